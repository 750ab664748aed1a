// What wsward, nginx and HAProxy (one worker each) cost as a proxy in front of `ws`, against `ws` without a proxy.

import { parseArgs } from "node:util";
import { assertRan, readWhole, runScript } from "../run_script.ts";
import { cpuSeconds } from "./cpu.ts";
import type { LoadOrder, LoadResult } from "./load.ts";
import { parseRow, type Row } from "./rows.ts";
import { startServer } from "./servers.ts";

const HELP = `Usage: deno run --allow-all scripts/bench/proxies.ts [--rounds N] [--seconds N] [--rows ROW,ROW]

Drives npm ws directly and through nginx, HAProxy and wsward (the firewall only), in turn within each round, and prints
medians: messages a second, p50 and p99 of a round trip in microseconds, and CPU of the proxy a message. What is not
installed is left out.`;

const ROWS = "1x1x32,50x1x32,50x16x32,50x1x16384";
const WARM_UP_SECONDS = 0.3;
const READY_TRIES = 200;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
}

interface Running {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

async function main({ rounds, seconds, rows }: Options): Promise<number> {
  const folder = Deno.makeTempDirSync();
  const running: Running[] = [];
  try {
    const ws = await startServer("ws", { folder, wswardFlags: [], signal: AbortSignal.timeout(30_000) });
    running.push({ ...ws, name: "direct", stop: () => ws.stop() });
    for (const start of [startNginx, startHaproxy, startWsward]) {
      const proxy = await start(folder, ws.port);
      if (proxy !== undefined) running.push(proxy);
    }
    console.log(running.map(({ name }) => name).join(", "));
    for (const row of rows) {
      const results = new Map(running.map(({ name }) => [name, [] as LoadResult[]]));
      for (let round = 0; round < rounds; round++) {
        for (const target of running) results.get(target.name)!.push(await drive(target, row, seconds));
      }
      report(row, results);
    }
    assertRan(running.length - 1, "proxies");
    return 0;
  } finally {
    for (const { stop } of running.reverse()) await stop();
    await Deno.remove(folder, { recursive: true });
  }
}

async function drive({ port, pid }: Running, row: Row, seconds: number): Promise<LoadResult> {
  const order: LoadOrder = { port, serverPid: pid, row, seconds, warmUpSeconds: WARM_UP_SECONDS };
  const load = new URL("load.ts", import.meta.url).href;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", load, JSON.stringify(order)],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return JSON.parse(new TextDecoder().decode(stdout));
}

function report(row: Row, results: ReadonlyMap<string, readonly LoadResult[]>): void {
  console.log(`\n${row.name}`);
  for (const [name, rounds] of results) {
    const of = (read: (result: LoadResult) => number) => median(rounds.map(read));
    const cpu = of(({ serverCpuSeconds = NaN, messages }) => serverCpuSeconds / messages * 1e6);
    console.log(
      `  ${name.padEnd(8)} ${
        String(Math.round(of(({ messages, seconds }) => messages / seconds))).padStart(8)
      }/s` +
        `  p50 ${String(of(({ p50Us }) => p50Us)).padStart(6)}  p99 ${
          String(of(({ p99Us }) => p99Us)).padStart(6)
        }` +
        `  CPU ${cpu.toFixed(1)} us`,
    );
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function startNginx(folder: string, upstream: number): Promise<Running | undefined> {
  const port = freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  Deno.writeTextFileSync(
    `${folder}/nginx.conf`,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
events { worker_connections 4096; }
http { access_log off; ${temporary}
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://127.0.0.1:${upstream}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } } }`,
  );
  return await start("nginx", "nginx", ["-c", `${folder}/nginx.conf`], port);
}

async function startHaproxy(folder: string, upstream: number): Promise<Running | undefined> {
  const port = freePort();
  Deno.writeTextFileSync(
    `${folder}/haproxy.cfg`,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server ws 127.0.0.1:${upstream}
`,
  );
  return await start("haproxy", "haproxy", ["-f", `${folder}/haproxy.cfg`, "-db"], port);
}

async function startWsward(folder: string, upstream: number): Promise<Running | undefined> {
  const port = freePort();
  const main = new URL("../../main.ts", import.meta.url).pathname;
  return await start("wsward", Deno.execPath(), [
    ...["run", "--allow-all", main, "serve", "--secure-port", String(port), "--upstream-auth", "none"],
    ...["--upstream", `ws://127.0.0.1:${upstream}`, "--log-file", `${folder}/errors.log`],
    ...["--message-rate", "unlimited", "--byte-rate", "unlimited"],
    ...["--max-connections-per-ip", "unlimited", "--handshake-rate", "unlimited"],
  ], port);
}

/** Undefined if the program is not installed. */
async function start(
  name: string,
  program: string,
  args: readonly string[],
  port: number,
): Promise<Running | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const stop = async () => {
    if (cpuSeconds(child.pid) !== undefined) child.kill("SIGKILL");
    await child.status;
  };
  for (let tries = 0; tries < READY_TRIES; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return { name, port, pid: child.pid, stop };
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  await stop();
  throw new Error(`Cannot start ${name}: it does not listen`);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      rows: { type: "string", default: ROWS },
      help: { type: "boolean", default: false },
    },
  });
  return {
    rounds: readWhole("--rounds", values.rounds, { most: 999 }),
    seconds: readWhole("--seconds", values.seconds, { most: 600 }),
    rows: values.rows.split(",").map(parseRow),
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
