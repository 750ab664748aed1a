// Servers by others, and the program in front of them.

import { createSecretKey } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer } from "ws";
import { type ForeignKey, makeToken } from "../auth/foreign.ts";
import { Program, type StartOptions } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

const SECRET = createSecretKey(Uint8Array.fromHex("5b".repeat(32)));
const KEY: ForeignKey = { alg: "HS256", publicKey: SECRET, privateKey: SECRET };

/** A token for alice, with other claims. */
export function makeUserToken(claims: Record<string, unknown> = {}): string {
  return makeToken(KEY, { user_id: "alice", exp: Math.floor(Date.now() / 1000) + 60, ...claims }, {});
}

/** What is used of a socket of npm `ws`, which brings no types. */
export interface ForeignSocket {
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): void;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): void;
  on(event: "ping" | "pong", listener: (data: Uint8Array) => void): void;
  send(data: unknown, options?: { readonly binary: boolean }): void;
  close(code?: number, reason?: string): void;
  ping(data?: string): void;
  terminate(): void;
}

/** npm `ws` as an echo, with what it was asked. */
export interface ForeignServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly http: Server;
  readonly server: WebSocketServer;
  /** The requests that were accepted, and their sockets. */
  readonly requests: IncomingMessage[];
  readonly sockets: ForeignSocket[];
  /** What ended its connections: code and reason. */
  readonly closes: { readonly code: number; readonly reason: string }[];
  /** Resolves when one more connection has ended than were awaited so far. */
  closed(): Promise<{ readonly code: number; readonly reason: string }>;
}

/** Options of npm `ws`. */
export interface ForeignOptions {
  readonly path?: string;
  /** Where to listen: a port, 0 for a free one, or the path of a Unix socket. */
  readonly listen?: number | string;
  readonly options?: Record<string, unknown>;
  /** Over TLS, for `localhost`. */
  readonly tls?: ServerOptions;
  readonly onConnection?: (socket: ForeignSocket, request: IncomingMessage) => void;
}

/** Starts npm `ws`, which answers each message with the same. */
export async function startForeign(
  { listen = 0, options = {}, tls, onConnection }: ForeignOptions = {},
): Promise<ForeignServer> {
  const http = tls === undefined ? createServer() : createTlsServer(tls);
  const server = new WebSocketServer({ server: http, ...options });
  const requests: IncomingMessage[] = [];
  const sockets: ForeignSocket[] = [];
  const closes: { code: number; reason: string }[] = [];
  const waiting: (() => void)[] = [];
  // Those that were never answered too.
  const connections = new Set<Socket>();
  http.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
  });
  let awaited = 0;
  server.on("connection", (socket: ForeignSocket, request: IncomingMessage) => {
    requests.push(request);
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("close", (code, reason) => {
      closes.push({ code, reason: new TextDecoder().decode(reason) });
      for (const wake of waiting.splice(0)) wake();
    });
    if (onConnection !== undefined) return onConnection(socket, request);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) =>
    typeof listen === "string" ? http.listen(listen, resolve) : http.listen(listen, "127.0.0.1", resolve)
  );
  const port = typeof listen === "string" ? 0 : (http.address() as AddressInfo).port;
  return {
    url: typeof listen === "string"
      ? `unix://${listen}`
      : tls === undefined
      ? `ws://127.0.0.1:${port}`
      : `wss://localhost:${port}`,
    port,
    http,
    server,
    requests,
    sockets,
    closes,
    async closed() {
      const which = awaited++;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) =>
        timer = setTimeout(() => reject(new Error("Timed out waiting for the server to see a Close")), 15_000)
      );
      try {
        while (closes.length <= which) {
          await Promise.race([late, new Promise<void>((resolve) => waiting.push(resolve))]);
        }
      } finally {
        clearTimeout(timer);
      }
      return closes[which]!;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.terminate();
      for (const connection of connections) connection.destroy();
      server.close();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** The program in front of servers. */
export class Front implements AsyncDisposable {
  readonly program: Program;
  readonly folder: string;

  constructor(urls: readonly string[], args: readonly string[] = [], options: StartOptions = {}) {
    this.folder = Deno.makeTempDirSync();
    Deno.writeTextFileSync(`${this.folder}/wsward.key`, SECRET.export().toString("base64url"), {
      mode: 0o600,
    });
    const upstreams = urls.flatMap((url) => ["--upstream", url]);
    this.program = new Program(["serve", "--secure-port", "0", ...upstreams, ...args], {
      folder: this.folder,
      ...options,
    });
  }

  /** The port in the ready line. */
  port(): Promise<number> {
    return this.program.port("upstream");
  }

  /** Opens a connection with a token in the header. */
  async connect(
    options: Parameters<typeof RawClient.connect>[1] = {},
    token: string | undefined = makeUserToken(),
  ): Promise<RawClient> {
    return await RawClient.connect({ port: await this.port() }, {
      ...options,
      headers: { Authorization: `Bearer ${token}`, ...options.headers },
    });
  }

  /** Sends a handshake and returns the answer with its body. */
  async ask(
    handshake: Parameters<RawClient["handshake"]>[0] = {},
    token: string | undefined = makeUserToken(),
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: string }> {
    using client = await RawClient.open({ port: await this.port() }, 15_000);
    const authorization = token === "" ? {} : { Authorization: `Bearer ${token}` };
    const { status, headers } = await client.handshake({
      ...handshake,
      headers: { ...authorization, ...handshake.headers },
    });
    const body = status === 101 ? "" : new TextDecoder().decode(await client.eof());
    return { status, headers, body };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}
