// One GET to a server that may be hostile: HTTP/1.1 (RFC 9112) over TCP or TLS, with a bound on everything.

import { latin1 } from "../core/latin1.ts";

/** How long the head of an answer may be, in bytes, with those of informational answers (1xx) before it. */
export const MAX_HEAD_SIZE_BYTES = 16 * 1024;

/** What each read counts at least, in bytes: many small pieces cost as much as a large answer. */
const MIN_READ_COST_BYTES = 256;

/** How many bytes may be read for each byte of the body: chunks make it longer. */
const CHUNK_OVERHEAD = 4;

/** What to ask for, and the limits on the answer. */
export interface RequestOptions {
  /** https, or http. */
  readonly url: URL;
  /** The header `Accept`. */
  readonly accept: string;
  /** The largest body, in bytes. */
  readonly maxBodySizeBytes: number;
  /** How long everything may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** An answer. */
export interface RequestAnswer {
  readonly status: number;
  /** Empty unless the status is 200. */
  readonly body: Uint8Array;
}

/** An answer that can't be used. The message is a sentence fragment in our own words. */
export class AnswerError extends Error {}

/**
 * Asks once. Follows no redirect, uses no proxy and decompresses nothing. An answer in many small pieces or with
 * endless heads is given up early, so that the work is bounded whatever the server sends.
 *
 * @throws {AnswerError} when the answer comes too late, is too large or is not HTTP
 * @throws {Error} of the runtime when there is no connection, or it breaks
 */
export async function request(options: RequestOptions): Promise<RequestAnswer> {
  const { url, timeoutMs } = options;
  const late = Promise.withResolvers<never>();
  let conn: Deno.Conn | undefined;
  let isOver = false;
  const timer = setTimeout(() => {
    late.reject(new AnswerError(`no complete answer within ${timeoutMs} ms`));
  }, timeoutMs);
  const work = async () => {
    conn = await connect(url);
    if (isOver) return conn.close();
    if (url.protocol === "https:") {
      const tls = await Deno.startTls(conn as Deno.TcpConn, {
        hostname: bareName(url),
        alpnProtocols: ["http/1.1"],
      });
      conn = tls;
      await tls.handshake();
    }
    await writeAll(conn, new TextEncoder().encode(headOf(options)));
    return await readAnswer(conn, options.maxBodySizeBytes);
  };
  const answer = work();
  // Once it is too late, its result is of no interest.
  answer.catch(() => {});
  try {
    return await Promise.race([answer, late.promise]) as RequestAnswer;
  } finally {
    isOver = true;
    clearTimeout(timer);
    closeQuietly(conn);
  }
}

async function connect(url: URL): Promise<Deno.Conn> {
  const { protocol, port } = url;
  const hostname = bareName(url);
  const target = { hostname, port: Number(port || (protocol === "https:" ? 443 : 80)) };
  try {
    return await Deno.connect(target);
  } catch (error) {
    // The runtime tries only the first address of a name; this name may have another one.
    if (hostname !== "localhost" || !(error instanceof Deno.errors.ConnectionRefused)) throw error;
    return await Deno.connect({ ...target, hostname: "::1" }).catch(() => Promise.reject(error));
  }
}

/** A host without the brackets that an IPv6 address has in a URL. */
function bareName({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function closeQuietly(conn: Deno.Conn | undefined): void {
  try {
    conn?.close();
  } catch (error) {
    // A connection that TLS took over, or that failed, is closed already.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function headOf({ url, accept }: RequestOptions): string {
  return [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    `Accept: ${accept}`,
    "Accept-Encoding: identity",
    "User-Agent: wsward",
    "Connection: close",
    "\r\n",
  ].join("\r\n");
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await conn.write(bytes.subarray(written));
}

/** Reads bytes into one buffer, and counts a price for each read. */
class Input {
  readonly #conn: Pick<Deno.Conn, "read">;
  readonly #buffer = new Uint8Array(MAX_HEAD_SIZE_BYTES);
  #start = 0;
  #end = 0;
  #leftBytes: number;

  constructor(conn: Pick<Deno.Conn, "read">, maxBodySizeBytes: number) {
    this.#conn = conn;
    this.#leftBytes = MAX_HEAD_SIZE_BYTES + CHUNK_OVERHEAD * maxBodySizeBytes;
  }

  /** Up to `most` bytes, at least one; undefined at the end. They are valid until the next call. */
  async some(most: number): Promise<Uint8Array | undefined> {
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (!await this.#fill()) return undefined;
    }
    const part = this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + most));
    this.#start += part.length;
    return part;
  }

  /** The next line without its end, of at most `most` bytes. */
  async line(most: number): Promise<string> {
    let text = "";
    for (;;) {
      const rest = await this.some(most - text.length + 2);
      if (rest === undefined) throw new AnswerError("the answer ends early");
      const end = rest.indexOf(LINE_FEED);
      if (end >= 0) {
        this.#start -= rest.length - end - 1;
        text += latin1(rest.subarray(0, end));
        return text.endsWith("\r") ? text.slice(0, -1) : text;
      }
      text += latin1(rest);
      if (text.length > most) throw new AnswerError("the answer's head is too long");
    }
  }

  async #fill(): Promise<boolean> {
    const size = await this.#conn.read(this.#buffer);
    if (size === null) return false;
    this.#end = size;
    this.#leftBytes -= Math.max(size, MIN_READ_COST_BYTES);
    if (this.#leftBytes < 0) throw new AnswerError("the answer is too long, or in too many small pieces");
    return true;
  }
}

const LINE_FEED = 0x0a;

interface AnswerHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * Reads an answer.
 *
 * @throws {AnswerError} when it is too large, in too many small pieces, or not HTTP
 */
export async function readAnswer(
  conn: Pick<Deno.Conn, "read">,
  maxBodySizeBytes: number,
): Promise<RequestAnswer> {
  const input = new Input(conn, maxBodySizeBytes);
  let leftBytes = MAX_HEAD_SIZE_BYTES;
  for (;;) {
    const { status, headers } = await readHead();
    // Informational: the real answer follows (RFC 9110 §15.2). 101 would be the end of HTTP.
    if (status >= 100 && status < 200 && status !== 101) continue;
    if (status !== 200) return { status, body: new Uint8Array() };
    return { status, body: await readBody(input, headers, maxBodySizeBytes) };
  }

  async function readHead(): Promise<AnswerHead> {
    const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(await readLine()) ?? [];
    if (status === undefined) throw new AnswerError("the answer is not HTTP/1.1");
    const headers = new Map<string, string>();
    for (let line = await readLine(); line !== ""; line = await readLine()) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      if (colon < 1 || headers.has(name) && FRAMING.includes(name)) {
        throw new AnswerError("the answer has a head that is not HTTP");
      }
      headers.set(name, line.slice(colon + 1).trim());
    }
    return { status: Number(status), headers };
  }

  async function readLine(): Promise<string> {
    const line = await input.line(leftBytes);
    leftBytes -= line.length + 2;
    if (leftBytes < 0) throw new AnswerError("the answer's head is too long");
    return line;
  }
}

/** The headers that say how long a body is: with two of a kind it would be unclear. */
const FRAMING = ["content-length", "transfer-encoding", "content-encoding"];

async function readBody(
  input: Input,
  headers: ReadonlyMap<string, string>,
  limitBytes: number,
): Promise<Uint8Array> {
  if ((headers.get("content-encoding") ?? "identity") !== "identity") {
    throw new AnswerError("the answer is compressed, which was not asked for");
  }
  const body = new Uint8Array(limitBytes);
  let size = 0;
  const coding = headers.get("transfer-encoding")?.toLowerCase();
  if (coding !== undefined && coding !== "chunked") {
    throw new AnswerError("the answer has an unknown encoding");
  }
  if (coding === undefined) {
    const length = headers.get("content-length");
    await take(length === undefined ? Infinity : toSize(length, /^\d{1,15}$/, 10), length !== undefined);
    return body.subarray(0, size);
  }
  for (;;) {
    const [sizeText = ""] = (await input.line(MAX_CHUNK_LINE_SIZE_BYTES)).split(";", 1);
    const chunkSize = toSize(sizeText.trim(), /^[\da-f]{1,8}$/i, 16);
    // What follows the last chunk is not part of the body.
    if (chunkSize === 0) return body.subarray(0, size);
    await take(chunkSize, true);
    if (await input.line(MAX_CHUNK_LINE_SIZE_BYTES) !== "") {
      throw new AnswerError("the answer has a broken chunk");
    }
  }

  async function take(wanted: number, mustBeWhole: boolean): Promise<void> {
    if (size + wanted > limitBytes && wanted !== Infinity) throw tooLarge();
    for (let left = wanted; left > 0;) {
      const part = await input.some(left);
      if (part === undefined) {
        if (mustBeWhole) throw new AnswerError("the answer ends early");
        return;
      }
      if (size + part.length > limitBytes) throw tooLarge();
      body.set(part, size);
      size += part.length;
      left -= part.length;
    }
  }

  function tooLarge(): AnswerError {
    return new AnswerError(`the answer is larger than ${limitBytes} bytes`);
  }
}

/** How long the line before a chunk may be, with its extensions, in bytes. */
const MAX_CHUNK_LINE_SIZE_BYTES = 256;

function toSize(text: string, form: RegExp, radix: number): number {
  if (!form.test(text)) throw new AnswerError("the answer does not say how long it is");
  return parseInt(text, radix);
}
