// What three clients show their users of a path of `misbehave`: npm ws, Python websockets and Chromium.

import { chromium } from "playwright-core";
import NodeWebSocket from "ws";
import { CATALOGUE } from "../../src/tools/misbehave/catalogue.ts";
import { CLIENTS } from "../../src/tools/misbehave/clients.ts";
import { MisbehaveServer } from "../../src/tools/misbehave/server.ts";
import { findProgram } from "./deploy.ts";

/** How long a client waits for something that is going to happen; then it closes by itself. */
const PATIENCE_MS = 20_000;
/** The same after its Close; one of them waits twice, for the end of TCP as well. */
const CLOSE_PATIENCE_MS = 5000;
/** The same where nothing is going to happen. */
const SHORT_PATIENCE_MS = 700;
const MAX_SHOWN = 70;

/** What is to be watched, and for how long. */
export interface Visit {
  readonly url: string;
  /** How long a client waits to be connected, for a message after that, and for a Close after its own. */
  readonly openMs: number;
  readonly messageMs: number;
  readonly closeMs: number;
}

/** Sends `hello` once open, closes after an answer, and tells what it saw: `open; message "hello"; close 1000`. */
export type Watch = (visits: readonly Visit[]) => Promise<readonly string[]>;

/** So many at once, so that one does not wait for another's turn. */
const AT_ONCE = 4;

/** npm `ws`, in this process. */
export const watchWs: Watch = async (visits) => {
  const seen: string[] = [];
  for (let at = 0; at < visits.length; at += AT_ONCE) {
    seen.push(...await Promise.all(visits.slice(at, at + AT_ONCE).map(watchOneWs)));
  }
  return seen;
};

async function watchOneWs({ url, openMs, messageMs, closeMs }: Visit): Promise<string> {
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    const socket = new NodeWebSocket(url, { closeTimeout: closeMs });
    const giveUp = () => {
      seen.push("nothing");
      socket.close();
    };
    let timer = setTimeout(giveUp, openMs);
    socket.on("open", () => {
      seen.push("open");
      clearTimeout(timer);
      timer = setTimeout(giveUp, messageMs);
      socket.send("hello");
    });
    socket.on("message", (bytes: Uint8Array<ArrayBuffer>, isBinary: boolean) => {
      if (seen.some((line) => line.startsWith("message"))) return;
      seen.push(`message ${isBinary ? `${bytes.length} bytes` : show(new TextDecoder().decode(bytes))}`);
      clearTimeout(timer);
      socket.close(1000);
    });
    socket.on("error", (error: Error) => seen.push(`error ${show(error.message)}`));
    socket.on("close", (code: number) => {
      clearTimeout(timer);
      seen.push(`close ${code}`);
      resolve();
    });
  });
  return seen.join("; ");
}

const PYTHON = `
import asyncio, json, sys, websockets
async def watch(visit):
    seen = []
    patience = {"open_timeout": visit["openMs"] / 1000, "close_timeout": visit["closeMs"] / 1000}
    try:
        async with websockets.connect(visit["url"], max_size=2**20, **patience) as ws:
            seen.append("open")
            try:
                await ws.send("hello")
                data = await asyncio.wait_for(ws.recv(), visit["messageMs"] / 1000)
                seen.append("message " + (json.dumps(data[:40], ensure_ascii=False) if isinstance(data, str) else "%d bytes" % len(data)))
            except asyncio.TimeoutError:
                seen.append("nothing")
            await ws.close()
    except Exception as error:
        seen.append(type(error).__name__)
    try:
        if ws.close_code is not None: seen.append("close %d" % ws.close_code)
    except UnboundLocalError:
        pass
    return "; ".join(seen)
async def main():
    visits, seen = json.load(sys.stdin), []
    for at in range(0, len(visits), ${AT_ONCE}):
        seen += await asyncio.gather(*map(watch, visits[at:at + ${AT_ONCE}]))
    print(json.dumps(seen))
asyncio.run(main())
`;

/** The Python that has `websockets`; undefined if there is none. */
export function findPython(): string | undefined {
  for (const name of ["/usr/bin/python3", "python3"]) {
    const path = name.startsWith("/") ? name : findProgram(name);
    if (path === undefined) continue;
    try {
      if (
        new Deno.Command(path, { args: ["-c", "import websockets"], stderr: "null" }).outputSync().success
      ) return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** Python `websockets`, in a process of its own. */
export const watchPython: Watch = async (visits) => {
  const child = new Deno.Command(findPython()!, {
    args: ["-c", PYTHON],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(visits)));
  await writer.close();
  const { stdout } = await child.output();
  return JSON.parse(new TextDecoder().decode(stdout));
};

/** Chromium, on the server's own page. */
export const watchChromium: Watch = async (visits) => {
  const browser = await chromium.launch({ executablePath: findProgram("chromium")!, args: ["--no-sandbox"] });
  try {
    const watch = ({ url, openMs, messageMs, closeMs }: Visit) =>
      new Promise<string>((resolve) => {
        const seen: string[] = [];
        const socket = new WebSocket(url);
        const end = () => resolve(seen.join("; "));
        const giveUp = () => {
          seen.push("nothing");
          socket.close();
          setTimeout(end, closeMs);
        };
        let timer = setTimeout(giveUp, openMs);
        socket.onopen = () => {
          seen.push("open");
          clearTimeout(timer);
          timer = setTimeout(giveUp, messageMs);
          socket.send("hello");
        };
        socket.onmessage = ({ data }) => {
          if (seen.some((line) => line.startsWith("message"))) return;
          seen.push(
            `message ${typeof data === "string" ? JSON.stringify(data.slice(0, 40)) : `${data.size} bytes`}`,
          );
          clearTimeout(timer);
          socket.close(1000);
          setTimeout(end, closeMs);
        };
        socket.onerror = () => seen.push("error");
        socket.onclose = ({ code }) => {
          clearTimeout(timer);
          seen.push(`close ${code}`);
          end();
        };
      });
    const seen: string[] = [];
    const visitOne = async (visit: Visit) => {
      // A process of its own, because a page with failed connections has to wait longer and longer for the next.
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(new URL("/", visit.url.replace(/^ws/, "http")).href);
      const one = await page.evaluate(watch, visit);
      await context.close();
      return one;
    };
    // What is never answered alone, because a browser makes one handshake with a host at a time (RFC 6455 §4.1).
    for (let at = 0; at < visits.length;) {
      const isAlone = ({ url }: Visit) => url.endsWith("/never");
      const next = visits.slice(at, at + AT_ONCE);
      const first = next.findIndex(isAlone);
      const some = first < 0 ? next : next.slice(0, Math.max(first, 1));
      seen.push(...await Promise.all(some.map(visitOne)));
      at += some.length;
    }
    return seen;
  } finally {
    await browser.close();
  }
};

function show(text: string): string {
  return JSON.stringify(text.slice(0, MAX_SHOWN));
}

/** How long Python waits in vain for the end of a head that is too long: the others refuse it within that time. */
const HEAD_PATIENCE_MS = 5000;

/** Where some or all clients wait in vain to be connected, and how long. */
const NEVER_OPEN: Readonly<Record<string, number>> = {
  "/never": SHORT_PATIENCE_MS,
  "/handshake/huge-header": HEAD_PATIENCE_MS,
};
/** Where they wait in vain for a message, and for the end. */
const QUIET = ["/stall", "/silent", "/never-read"];
const ENDLESS = ["/stall", "/never-read", "/close/never-answer", "/close/stay", "/close/then-data"];

/** The paths of the catalogue as a client is to visit them. */
export function visitsOf(server: MisbehaveServer): readonly Visit[] {
  return CATALOGUE.map(({ example }) => ({
    url: `${server.url.replace(/^http/, "ws").slice(0, -1)}${example}`,
    openMs: NEVER_OPEN[example] ?? PATIENCE_MS,
    messageMs: QUIET.includes(example) ? SHORT_PATIENCE_MS : PATIENCE_MS,
    closeMs: ENDLESS.includes(example) ? SHORT_PATIENCE_MS : CLOSE_PATIENCE_MS,
  }));
}

/** Each client, and how it is watched. */
export const WATCHES: Readonly<Record<typeof CLIENTS[number], Watch>> = {
  "ws": watchWs,
  "websockets": watchPython,
  "Chromium": watchChromium,
};

// Writes down what they see now.
if (import.meta.main) {
  const options = {
    host: "127.0.0.1",
    port: 0,
    maxConnections: 100,
    maxLifetimeMs: 60_000,
    maxSent: 2 ** 30,
  };
  await using server = await MisbehaveServer.start(options);
  const seen: Record<string, Record<string, string>> = {};
  for (const client of CLIENTS) {
    const all = await WATCHES[client](visitsOf(server));
    CATALOGUE.forEach(({ example }, index) => (seen[example] ??= {})[client] = all[index]!);
  }
  const file = new URL("../../src/tools/misbehave/clients.json", import.meta.url);
  await Deno.writeTextFile(file, `${JSON.stringify(seen, undefined, 2)}\n`);
}
