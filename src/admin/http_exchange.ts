// One request and its answer on a connection of the admin listener (RFC 9112), each step with a deadline.

import { closeQuietly, isConnectionLost, writeAll } from "../firewall/byte_socket.ts";
import { linger } from "../firewall/connection/linger.ts";
import { findHeadEnd, parseRequestHead, skipEmptyLines } from "../protocol/handshake.ts";
import { SlowReader } from "./event_stream.ts";
import { isProblem, type Problem, TITLES } from "./problem.ts";

/** A request whose head has been read. */
export interface AdminRequest {
  /** In capitals: `GET`. */
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether it is a request of HTTP/1.0, which only health checks may be. */
  readonly isOld: boolean;
  /** Marks it as sent by an administrator: such a connection is never cut for others. */
  trust(): void;
  /** Reads the body of `size` bytes, as it comes. */
  readBody(size: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** How long each step may take, in milliseconds. */
export interface ExchangeTimeouts {
  /** From the accept to the end of the head. */
  readonly head: number;
  readonly body: number;
  /** From the end of the head or the body to the answer. */
  readonly answer: number;
  /** For one piece of an answer: a write must not wait for ever. */
  readonly write: number;
  /** From the end of the answer until the peer ends its side. */
  readonly linger: number;
}

/** The timeouts of a listener. */
export const EXCHANGE_TIMEOUTS: ExchangeTimeouts = {
  head: 5000,
  body: 10_000,
  answer: 30_000,
  write: 10_000,
  linger: 1000,
};

/** The longest head, in bytes: room for a token of 8 KiB. */
export const MAX_HEAD_SIZE = 16_384;

/** What may be asked for in HTTP/1.0, as health checks of proxies often do. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

/** The first buffer, in bytes; most heads and bodies are shorter. */
const FIRST_SIZE = 2048;
/** Takes bytes that are not used. */
const UNREAD = new Uint8Array(FIRST_SIZE);

/** The headers that are read. */
const KEPT_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "authorization",
  "content-length",
  "content-type",
  "expect",
  "host",
  "last-event-id",
  "origin",
  "transfer-encoding",
]);

const LATE_HEAD: Problem = { status: 408, detail: "the head did not come in time" };
const LATE_BODY: Problem = { status: 408, detail: "the body did not come in time" };
const LATE_ANSWER: Problem = { status: 503, detail: "the answer took too long" };
const LONG_HEAD: Problem = { status: 431, detail: `a head has at most ${MAX_HEAD_SIZE} bytes` };

/** Answers a request, or a broken head with its problem. */
export type Answer = (request: AdminRequest | Problem) => Promise<Response>;

/** The peer is gone, or was told that it is late: there is nobody to answer. */
export class Lost extends Error {}

/** Reads one request, has it answered, and closes; more is not read. */
export class HttpExchange implements AdminRequest {
  method = "";
  path = "";
  query = new URLSearchParams();
  headers: ReadonlyMap<string, string> = new Map();
  isOld = false;
  readonly #conn: Deno.TcpConn;
  readonly #answer: Answer;
  readonly #timeouts: ExchangeTimeouts;
  /** What came after the head. */
  #rest = new Uint8Array(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTrusted = false;
  #isLate = false;

  /** Owns `conn` from now on. */
  constructor(conn: Deno.TcpConn, answer: Answer, timeouts: ExchangeTimeouts) {
    this.#conn = conn;
    this.#answer = answer;
    this.#timeouts = timeouts;
  }

  /** The address of the peer. */
  get address(): string {
    return this.#conn.remoteAddr.hostname;
  }

  /** Whether an administrator sent it. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  trust(): void {
    this.#isTrusted = true;
  }

  /** Ends it at any step. */
  cut(): void {
    clearTimeout(this.#timer);
    closeQuietly(this.#conn);
  }

  /** Runs the exchange. Rejects only with what is not the fault of the peer or the network. */
  async run(): Promise<void> {
    try {
      const problem = await this.#readHead();
      if (problem === undefined) return;
      this.#limit(this.#timeouts.answer, LATE_ANSWER);
      const response = await this.#answer(isProblem(problem) ? problem : this);
      if (this.#isLate) return void response.body?.cancel();
      await this.#write(response);
      this.#limit(this.#timeouts.linger);
      await linger(this.#conn);
    } catch (error) {
      if (!isLost(error)) throw error;
    } finally {
      // A peer that is late is being told so, and cut after that.
      if (!this.#isLate) this.cut();
    }
  }

  async readBody(size: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#limit(this.#timeouts.body, LATE_BODY);
    let body = this.#rest.slice(0, size);
    let end = body.length;
    if (end === 0 && size > 0 && this.headers.has("expect")) {
      await this.#send(new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    while (end < size) {
      if (end === body.length) body = grow(body, Math.min(size, Math.max(FIRST_SIZE, end * 2)));
      const count = await this.#read(body.subarray(end));
      if (count === null) throw new Lost();
      end += count;
    }
    this.#limit(this.#timeouts.answer, LATE_ANSWER);
    return body;
  }

  /** Undefined if the peer has ended without a request; a problem if it sent something else. */
  async #readHead(): Promise<this | Problem | undefined> {
    this.#limit(this.#timeouts.head, LATE_HEAD);
    let bytes = new Uint8Array(FIRST_SIZE);
    let start = 0;
    for (let end = 0;;) {
      if (end === MAX_HEAD_SIZE) return LONG_HEAD;
      if (end === bytes.length) bytes = grow(bytes, end * 2);
      const size = await this.#read(bytes.subarray(end));
      if (size === null) return undefined;
      const from = end;
      end += size;
      start = skipEmptyLines(bytes, start, end);
      const headEnd = findHeadEnd(bytes, from, end, start);
      if (headEnd < 0) continue;
      const result = parseRequestHead(bytes, start, headEnd, { kept: KEPT_HEADERS, oldPaths: HEALTH_PATHS });
      if (!result.ok) {
        const { status, reason } = result.refusal;
        return { status: status === 505 ? status : 400, detail: reason };
      }
      ({ method: this.method, path: this.path, headers: this.headers, isOld: this.isOld = false } =
        result.head);
      this.query = new URLSearchParams(result.head.query);
      this.#rest = bytes.slice(headEnd, end);
      return this;
    }
  }

  async #write(response: Response): Promise<void> {
    const { status, headers, body } = response;
    const isStream = headers.get("content-type") === "text/event-stream";
    const isHead = this.method === "HEAD";
    const content = isStream ? undefined : new Uint8Array(await response.arrayBuffer());
    // RFC 9110 §6.6.1 for Date, §8.6 for a length; a stream ends with the connection (RFC 9112 §6.3).
    const lines = [
      `HTTP/1.1 ${status} ${REASONS[status] ?? ""}`,
      `Date: ${new Date().toUTCString()}`,
      "Connection: close",
    ];
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    if (content !== undefined && status !== 204) lines.push(`Content-Length: ${content.length}`);
    await this.#send(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    if (content !== undefined) return isHead ? undefined : await this.#send(content);
    if (isHead) await body?.cancel();
    else if (body !== null) await this.#stream(body);
  }

  async #stream(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    // A peer that leaves ends its own side.
    const left = this.#readToEnd().then(() => reader.cancel());
    try {
      for (;;) {
        clearTimeout(this.#timer);
        const { done, value } = await reader.read();
        if (done) return;
        await this.#send(value);
      }
    } finally {
      await reader.cancel();
      this.cut();
      await left;
    }
  }

  async #readToEnd(): Promise<void> {
    try {
      while (await this.#read(UNREAD) !== null);
    } catch (error) {
      if (!isLost(error)) throw error;
    }
  }

  async #read(bytes: Uint8Array): Promise<number | null> {
    const size = await this.#conn.read(bytes).catch(rethrowLost);
    if (this.#isLate) throw new Lost();
    return size;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#limit(this.#timeouts.write);
    await writeAll(this.#conn, bytes).catch(rethrowLost);
  }

  /** Sets the deadline of the next step. A late peer is cut, after it got `problem`, if there is one. */
  #limit(ms: number, problem?: Problem): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (problem === undefined) return this.cut();
      this.#isLate = true;
      void this.#tellLate(problem);
    }, ms);
  }

  async #tellLate(problem: Problem): Promise<void> {
    try {
      await this.#write(await this.#answer(problem));
    } catch (error) {
      if (!isLost(error)) throw error;
    } finally {
      this.cut();
    }
  }
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  ...TITLES,
};

function grow(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

function isLost(error: unknown): boolean {
  return error instanceof Lost || error instanceof SlowReader;
}

/** Turns errors that mean the end of the connection into a {@linkcode Lost}. */
function rethrowLost(error: unknown): never {
  throw isConnectionLost(error) ? new Lost() : error;
}
