// The misbehaving server: a listener on loopback, with limits on everything, which does what the path of a client says.

import { urlHost } from "../../core/shown.ts";
import { createServer, type Server, type Socket } from "node:net";
import { StartError } from "../../core/errors.ts";
import { latin1 } from "../../core/latin1.ts";
import { PrefixedSocket } from "../../firewall/byte_socket.ts";
import {
  badRequest,
  checkHandshake,
  encodeRefusal as encodeAnswer,
  findHeadEnd,
  parseRequestHead,
  type Refusal,
  type RequestHead,
} from "../../protocol/handshake.ts";
import { RawClient } from "../raw_client.ts";
import { isLoopback } from "../target.ts";
import { ConnectionUnderTest, MAX_MESSAGE, Over } from "./connection_under_test.ts";
import { NodeByteSocket } from "./node_byte_socket.ts";
import { encodePage } from "./page.ts";
import { parsePath, type Plan } from "./path.ts";

/** Where it listens and how much it may cost. Times are milliseconds. */
export interface MisbehaveOptions {
  /** A loopback address. */
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly maxLifetimeMs: number;
  /** The most bytes that are sent on one connection. */
  readonly maxSent: number;
  /** Called when a connection is over. `path` is what the client sent, unescaped. */
  readonly onEnd?: (path: string, how: string) => void;
}

const MAX_HEAD_SIZE = 16 * 1024;
const HEAD_TIMEOUT_MS = 10_000;
/** How many keys of `/fail` are remembered; the oldest is forgotten first. */
const MAX_KEYS = 1000;

/** A running server that misbehaves. */
export class MisbehaveServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: MisbehaveOptions;
  readonly #open = new Set<Socket>();
  readonly #serving = new Set<Promise<void>>();
  readonly #failed = new Map<string, number>();
  #count = 0;

  private constructor(options: MisbehaveOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      const work = this.#serve(socket).finally(() => this.#serving.delete(work));
      this.#serving.add(work);
    });
  }

  /** Starts to listen. Throws {@linkcode StartError}. */
  static async start(options: MisbehaveOptions): Promise<MisbehaveServer> {
    if (!isLoopback(options.host)) {
      throw new StartError(`Cannot listen on ${options.host}: it is not a loopback address`);
    }
    const misbehaving = new MisbehaveServer(options);
    const server = misbehaving.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => {
        const where = `${options.host}:${options.port}`;
        reject(new StartError(`Cannot listen on ${where}: ${cause.message}`, { cause }));
      });
      server.listen(options.port, options.host, () => resolve());
    });
    return misbehaving;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** The URL of the catalogue. */
  get url(): string {
    const { host } = this.#options;
    return `http://${urlHost(host)}:${this.port}/`;
  }

  /** Stops listening and ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    await closed;
    await Promise.all(this.#serving);
  }

  async #serve(socket: Socket): Promise<void> {
    // Chance is decided by the index, so each connection counts, also one that is over the limit.
    const index = this.#count++;
    const stream = new NodeByteSocket(socket);
    if (this.#open.size >= this.#options.maxConnections) return void socket.destroy();
    this.#open.add(socket);
    const abort = new AbortController();
    const lifetime = setTimeout(() => socket.destroy(), this.#options.maxLifetimeMs);
    const headTimer = setTimeout(() => socket.destroy(), HEAD_TIMEOUT_MS);
    socket.once("close", () => abort.abort());
    let path = "";
    let how = "the client has gone";
    try {
      const read = await readRequest(stream);
      clearTimeout(headTimer);
      if (read === undefined) return;
      const { request, accept, rest } = read;
      path = request.path + request.query;
      const plan = await this.#judge(request, accept);
      if ("answer" in plan) {
        how = "answered";
        await stream.write(plan.answer);
        await stream.closeWrite();
        return;
      }
      const client = new RawClient(new PrefixedSocket(stream, rest), { maxPayload: MAX_MESSAGE });
      const { maxSent } = this.#options;
      await this.#follow(
        plan,
        index,
        new ConnectionUnderTest({ request, socket: stream, client, signal: abort.signal, maxSent }),
      );
    } catch (error) {
      // Every plan ends by an `Over`; a client that is lost can show as any error of the system.
      if (error instanceof Over) how = error.message;
      else if (!isLost(error)) how = `fault: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      clearTimeout(headTimer);
      clearTimeout(lifetime);
      socket.destroy();
      this.#open.delete(socket);
      if (path !== "") this.#options.onEnd?.(path, how);
    }
  }

  async #judge(
    request: RequestHead,
    accept: string,
  ): Promise<Plan | { readonly answer: Uint8Array<ArrayBuffer> }> {
    const host = request.headers.get("host") ?? "";
    // A web page must not get here by a name of its own (DNS rebinding), nor from a site on another machine.
    const refusal = checkPlace(host, request.headers.get("origin"));
    if (refusal !== undefined) return { answer: encodeRefusal(refusal) };
    if (request.method === "GET" && request.path === "/" && !request.headers.has("upgrade")) {
      return { answer: await encodePage(host, accept) };
    }
    const plan = parsePath(request.path, request.query);
    if ("fault" in plan) {
      return { answer: encodeRefusal({ status: 404, reason: `${plan.fault} (GET / lists all)` }) };
    }
    const fault = checkHandshake(request);
    return fault === undefined ? plan : { answer: encodeRefusal(fault) };
  }

  async #follow(plan: Plan, index: number, connection: ConnectionUnderTest): Promise<void> {
    if (this.#isToFail(plan)) await connection.refuse(503, "Retry-After: 0");
    if (plan.probability === 1 || random(plan.seed, index) < plan.probability) {
      for (const { what, value } of plan.steps) await what.run(connection, value);
    }
    await connection.echo();
  }

  #isToFail({ failures, key }: Plan): boolean {
    if (failures === 0) return false;
    const failed = this.#failed.get(key) ?? 0;
    if (failed >= failures) return false;
    this.#failed.delete(key);
    this.#failed.set(key, failed + 1);
    if (this.#failed.size > MAX_KEYS) this.#failed.delete(this.#failed.keys().next().value!);
    return true;
  }
}

/** A request head, its header Accept, and the bytes that came after it. */
interface Received {
  readonly request: RequestHead;
  readonly accept: string;
  readonly rest: Uint8Array;
}

function encodeRefusal(refusal: Refusal): Uint8Array<ArrayBuffer> {
  return encodeAnswer(refusal, { date: new Date().toUTCString(), hasBody: true });
}

async function readRequest(stream: NodeByteSocket): Promise<Received | undefined> {
  const bytes = new Uint8Array(MAX_HEAD_SIZE);
  let size = 0;
  for (;;) {
    const before = size;
    const count = size < bytes.length ? await stream.read(bytes.subarray(size)) : null;
    if (count === null) {
      if (size > 0) {
        await stream.write(encodeRefusal(badRequest("this is no whole request of at most 16 KiB")));
      }
      return undefined;
    }
    size += count;
    const end = findHeadEnd(bytes, before, size);
    if (end < 0) continue;
    const result = parseRequestHead(bytes, 0, end);
    if (result.ok) {
      // The parser of handshakes does not keep this header.
      const [, accept = ""] = /^accept:(.*)$/im.exec(latin1(bytes, 0, end)) ?? [];
      return { request: result.head, accept, rest: bytes.slice(end, size) };
    }
    await stream.write(encodeRefusal(result.refusal));
    await stream.closeWrite();
    return undefined;
  }
}

function checkPlace(host: string, origin: string | undefined): Refusal | undefined {
  if (!isOwnName(host)) {
    return { status: 421, reason: "the header Host must be localhost or a loopback address" };
  }
  if (origin === undefined || origin === "null") return undefined;
  const isOwn = URL.canParse(origin) && isOwnName(new URL(origin).host);
  return isOwn ? undefined : { status: 403, reason: "only pages of this machine may connect" };
}

function isOwnName(host: string): boolean {
  const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return name === "localhost" || isLoopback(name);
}

function isLost(error: unknown): boolean {
  return error instanceof Error &&
    ("code" in error || Object.values(Deno.errors).some((type) => error instanceof type));
}

/** A number from 0 to just below 1, always the same for a seed and an index (mulberry32). */
function random(seed: number, index: number): number {
  let state = (seed + Math.imul(index + 1, 0x6d2b79f5)) | 0;
  state = Math.imul(state ^ (state >>> 15), state | 1);
  state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
  return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32;
}
