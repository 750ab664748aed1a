// WebSocket servers by others, each an echo in a process of its own, as at the start of its documentation.

import config from "../../deno.json" with { type: "json" };
import { findProgram } from "./deploy.ts";
import { findPython } from "./misbehave_clients.ts";

/** Which server. */
export type ForeignName = "Deno.serve" | "ws" | "websockets";

const TIMEOUT_MS = 20_000;

const DENO = `
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
});
console.log(server.addr.port);
`;

const NODE = `
const { WebSocketServer } = require(process.argv[1]);
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(server.address().port));
`;

const PYTHON = `
import asyncio, websockets
async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(list(server.sockets)[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

/** The command that starts a server; undefined where what it needs is not there. */
export async function foreignCommand(name: ForeignName): Promise<readonly string[] | undefined> {
  if (name === "Deno.serve") return [Deno.execPath(), "eval", DENO];
  if (name === "websockets") {
    const python = findPython();
    return python === undefined ? undefined : [python, "-c", PYTHON];
  }
  const node = findProgram("node");
  // Where there is no Node, tasks find Deno under its name, which can't run this.
  if (node === undefined || Deno.realPathSync(node) === Deno.realPathSync(Deno.execPath())) return undefined;
  // The package is in Deno's own cache, because tests use it too.
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache }: { npmCache: string } = JSON.parse(new TextDecoder().decode(stdout));
  const version = config.imports.ws.slice(config.imports.ws.lastIndexOf("@") + 1);
  for await (const { name: registry } of Deno.readDir(npmCache)) {
    const folder = `${npmCache}/${registry}/ws/${version}`;
    const isThere = await Deno.stat(folder).then(() => true, () => false);
    if (isThere) return [node, "-e", NODE, folder];
  }
  return undefined;
}

/** A running server. */
export class ForeignServer implements AsyncDisposable {
  readonly port: number;
  readonly #child: Deno.ChildProcess;

  private constructor(port: number, child: Deno.ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  /** Starts it and waits until it listens. */
  static async start([program, ...args]: readonly string[]): Promise<ForeignServer> {
    const child = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "null" })
      .spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    let text = "";
    const decoder = new TextDecoder();
    for await (const part of child.stdout.values({ preventCancel: true })) {
      text += decoder.decode(part, { stream: true });
      if (text.includes("\n")) break;
    }
    clearTimeout(timer);
    const port = Number(text);
    if (!Number.isInteger(port) || port === 0) throw new Error(`Timed out waiting for ${program}: ${text}`);
    return new ForeignServer(port, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}
