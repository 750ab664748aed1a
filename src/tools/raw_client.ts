// The client under all tools: sends any bytes, reports exactly what comes back, and buffers a limited amount of it.

import { type ByteSocket, closeQuietly } from "../firewall/byte_socket.ts";
import { latin1 } from "../core/latin1.ts";
import { FrameHeader, OPCODE, readFrameHeader } from "../protocol/frame.ts";
import { findHeadEnd } from "../protocol/handshake.ts";
import { bytesOf, concat } from "./raw_frame.ts";

/** A received frame. */
export interface Frame {
  readonly kind: "frame";
  readonly opcode: number;
  readonly fin: boolean;
  /** The three reserved bits as a number from 0 to 7. */
  readonly rsv: number;
  readonly masked: boolean;
  /** Unmasked. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The code of a Close frame, 1005 if it has none (RFC 6455 §7.1.5); undefined for other frames. */
  readonly closeCode?: number;
}

/** How a connection ended: by FIN, by RST (or a broken TLS stream), or closed by us. */
export interface End {
  readonly kind: "end";
  readonly how: "FIN" | "RST" | "closed here";
}

/** Nothing came in time. */
export interface Late {
  readonly kind: "late";
}

/** A frame, or with the opcode -1 any bytes, of a size beyond the limit; nothing can be read after it. */
export interface Oversize {
  readonly kind: "oversize";
  readonly opcode: number;
  readonly size: number;
}

/** The result of a wait for a frame. */
export type Arrival = Frame | End | Late | Oversize;

/** The head of an HTTP response, read leniently: the caller judges it. */
export interface ResponseHead {
  readonly kind: "head";
  /** 0 if the status line is malformed. */
  readonly status: number;
  /** The reason phrase. */
  readonly reason: string;
  /** Names in lower case; values of the same name in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The whole head as Latin-1. */
  readonly text: string;
}

/** An answer that is not HTTP, or whose head is too long. */
export interface NoHttp {
  readonly kind: "no http";
  readonly text: string;
}

/** Called with the bytes that are sent (`>`) and received (`<`). */
export type Trace = (direction: ">" | "<", bytes: Uint8Array) => void;

/** The longest response head that is read, in bytes. */
export const MAX_HEAD_SIZE = 64 * 1024;
const READ_SIZE = 64 * 1024;
const LATE: Late = { kind: "late" };

/** How much is read, and who watches. */
export interface RawClientOptions {
  /** The largest frame payload that is read, in bytes; 16 MiB if left out. */
  readonly maxPayload?: number;
  readonly trace?: Trace | undefined;
}

/**
 * One connection. A read goes on after a wait for it has timed out, and the next wait takes it up. Only one wait and
 * one write at a time.
 */
export class RawClient implements Disposable {
  readonly #socket: ByteSocket;
  readonly #maxPayload: number;
  readonly #trace: Trace | undefined;
  readonly #chunk = new Uint8Array(READ_SIZE);
  readonly #header = new FrameHeader();
  #bytes = new Uint8Array(READ_SIZE);
  #start = 0;
  #end = 0;
  #reading: Promise<void> | undefined;
  #ending: End | undefined;
  #isClosed = false;
  /** Bytes received so far. */
  received = 0;

  /** Owns and closes `socket`. */
  constructor(socket: ByteSocket, { maxPayload = 16 * 1024 * 1024, trace }: RawClientOptions = {}) {
    this.#socket = socket;
    this.#maxPayload = maxPayload;
    this.#trace = trace;
  }

  /** Sends bytes, or text as UTF-8. Returns undefined when done, else how the connection ended, or `late`. */
  async send(data: string | Uint8Array, timeoutMs: number): Promise<End | Late | undefined> {
    const bytes = bytesOf(data);
    this.#trace?.(">", bytes);
    const work = (async () => {
      for (let sent = 0; sent < bytes.length;) sent += await this.#socket.write(bytes.subarray(sent));
    })();
    // A failed write is not the end of reading: what the peer sent before can still be read.
    return await this.#within(timeoutMs, work.then(() => undefined, (error) => this.#describe(error)));
  }

  /** Ends our half (FIN); reading goes on. */
  async closeWrite(): Promise<void> {
    try {
      await this.#socket.closeWrite();
    } catch (error) {
      this.#describe(error);
    }
  }

  /** Waits for the head of a response. */
  async nextHead(timeoutMs: number): Promise<ResponseHead | NoHttp | End | Late> {
    const deadlineMs = performance.now() + timeoutMs;
    for (let looked = this.#start;;) {
      const at = findHeadEnd(this.#bytes, Math.max(looked, this.#start), this.#end);
      if (at >= 0) return parseHead(latin1(this.#take(at - this.#start)));
      looked = this.#end;
      const start = this.#bytes.subarray(this.#start, Math.min(this.#end, this.#start + 5));
      if (this.#end - this.#start > MAX_HEAD_SIZE || !"HTTP/".startsWith(latin1(start))) {
        return {
          kind: "no http",
          text: latin1(this.#bytes.subarray(this.#start, Math.min(this.#end, this.#start + 200))),
        };
      }
      const before = this.#start;
      const obstacle = await this.#more(deadlineMs);
      if (obstacle !== undefined) return obstacle;
      looked += this.#start - before;
    }
  }

  /** Waits for the next frame of any kind. */
  async nextFrame(timeoutMs: number): Promise<Arrival> {
    const deadlineMs = performance.now() + timeoutMs;
    const header = this.#header;
    for (;;) {
      if (readFrameHeader(this.#bytes, this.#start, this.#end, header)) {
        const { opcode, payloadLength: size } = header;
        if (size > this.#maxPayload) return { kind: "oversize", opcode, size };
        if (this.#end - this.#start >= header.size + size) break;
      }
      const obstacle = await this.#more(deadlineMs);
      if (obstacle !== undefined) return obstacle;
    }
    const { fin, rsv, opcode, masked, maskKey, payloadLength } = header;
    this.#start += header.size;
    const payload = this.#take(payloadLength);
    if (masked) {
      for (let i = 0; i < payload.length; i++) payload[i]! ^= (maskKey >>> (24 - (i & 3) * 8)) & 255;
    }
    const frame: Frame = { kind: "frame", opcode, fin, rsv, masked, payload };
    if (opcode !== OPCODE.close) return frame;
    return { ...frame, closeCode: payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]! };
  }

  /** Reads until there are `limit` bytes, the connection ends or the time is over; returns `limit` bytes at most. */
  async rest(limit: number, timeoutMs: number): Promise<Uint8Array<ArrayBuffer>> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#end - this.#start < limit && await this.#more(deadlineMs) === undefined);
    return this.#take(Math.min(limit, this.#end - this.#start));
  }

  /** Waits for the end of the connection and discards what comes before; `oversize` after more than `limit` bytes. */
  async end(timeoutMs: number, limit = 64 * 1024 * 1024): Promise<End | Late | Oversize> {
    const deadlineMs = performance.now() + timeoutMs;
    for (let size = 0;;) {
      size += this.#end - this.#start;
      this.#start = this.#end = 0;
      if (size > limit) return { kind: "oversize", opcode: -1, size };
      const obstacle = await this.#more(deadlineMs);
      if (obstacle !== undefined) return obstacle;
    }
  }

  /** Closes without a Close frame; with unread bytes, the system sends RST. A second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeQuietly(this.#socket);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits until more bytes are there; returns why there are none. */
  async #more(deadlineMs: number): Promise<End | Late | undefined> {
    if (this.#ending !== undefined) return this.#ending;
    this.#reading ??= this.#read();
    const late = await this.#within(deadlineMs - performance.now(), this.#reading.then(() => undefined));
    return late ?? this.#ending;
  }

  async #read(): Promise<void> {
    try {
      const count = await this.#socket.read(this.#chunk);
      if (count === null) this.#ending = { kind: "end", how: "FIN" };
      else this.#keep(this.#chunk.subarray(0, count));
    } catch (error) {
      this.#ending = this.#describe(error);
    }
    this.#reading = undefined;
  }

  #keep(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.#trace?.("<", bytes);
    if (this.#end + bytes.length > this.#bytes.length) {
      const held = this.#bytes.subarray(this.#start, this.#end);
      const size = held.length + bytes.length;
      // Twice what is needed, so that a large frame is copied few times.
      if (size > this.#bytes.length / 2) this.#bytes = concat(held, new Uint8Array(size));
      else this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
      this.#end = held.length;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(this.#start, this.#start + count);
    this.#start += count;
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      // The memory of a large frame is not kept for the small ones that follow.
      if (this.#bytes.length > 4 * READ_SIZE) this.#bytes = new Uint8Array(READ_SIZE);
    }
    return taken;
  }

  #describe(error: unknown): End {
    if (this.#isClosed) return { kind: "end", how: "closed here" };
    if (!isLost(error)) throw error;
    return { kind: "end", how: "RST" };
  }

  async #within<Value>(timeoutMs: number, work: Promise<Value>): Promise<Value | Late> {
    if (timeoutMs === Infinity) return await work;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const late = new Promise<Late>((resolve) =>
        timer = setTimeout(() => resolve(LATE), Math.max(timeoutMs, 0))
      );
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether an error means that the peer is gone or that the TLS stream is broken. */
function isLost(error: unknown): boolean {
  const {
    ConnectionReset,
    BrokenPipe,
    ConnectionAborted,
    UnexpectedEof,
    NotConnected,
    InvalidData,
    BadResource,
  } = Deno.errors;
  const lost = [
    ConnectionReset,
    BrokenPipe,
    ConnectionAborted,
    UnexpectedEof,
    NotConnected,
    InvalidData,
    BadResource,
  ];
  if (lost.some((type) => error instanceof type)) return true;
  // Errors of node:tls have a code.
  return error instanceof Error && "code" in error;
}

function parseHead(text: string): ResponseHead {
  const [line = "", ...rest] = text.slice(0, -4).split("\r\n");
  const [, status = "0", reason = ""] = /^HTTP\/\d\.\d (\d{3})(?: (.*))?$/.exec(line) ?? [];
  const headers = new Map<string, string[]>();
  for (const field of rest) {
    const colon = field.indexOf(":");
    const name = field.slice(0, Math.max(colon, 0)).toLowerCase();
    const values = headers.get(name) ?? [];
    values.push(field.slice(colon + 1).trim());
    headers.set(name, values);
  }
  return { kind: "head", status: Number(status), reason, headers, text };
}
