// A WebSocket client that keeps to RFC 6455, trusts nothing that comes, and says exactly how a connection ended.

import { ABNORMAL_CLOSURE, isValidCloseCode, NO_STATUS_RECEIVED } from "../../protocol/close_code.ts";
import { isControl, MAX_CONTROL_PAYLOAD, OPCODE } from "../../protocol/frame.ts";
import { findHandshakeFault, requestHead } from "../client_handshake.ts";
import { dial, DialError, type TlsOptions } from "../dial.ts";
import { type End, type Frame, RawClient, type ResponseHead, type Trace } from "../raw_client.ts";
import { concat, frame } from "../raw_frame.ts";
import type { Target } from "../target.ts";

/** How to open a WebSocket. */
export interface OpenOptions {
  readonly target: Target;
  readonly tls: TlsOptions;
  /** Header lines to add, each `Name: value`. */
  readonly headers: readonly string[];
  readonly subprotocols: readonly string[];
  /** Milliseconds for each: TCP, TLS, the handshake, and the answer to a Close. */
  readonly timeoutMs: number;
  /** The largest message that is taken, in bytes. */
  readonly maxMessageSize: number;
  readonly trace?: Trace | undefined;
  /** Called with the heads of the request and the response. */
  readonly onHead?: (direction: ">" | "<", head: string) => void;
}

/** The server answered the handshake, but not with a WebSocket. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly head: ResponseHead;
  /** The first 4 KiB at most. */
  readonly body: Uint8Array;

  constructor(head: ResponseHead, body: Uint8Array) {
    super(`the server refused with ${head.status}`);
    this.head = head;
    this.body = body;
  }
}

/** What comes: a message, a Ping or Pong, or the end. */
export type Incoming =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "binary"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "ping" | "pong"; readonly payload: Uint8Array<ArrayBuffer> }
  | Ending;

/** How a connection ended. */
export interface Ending {
  readonly kind: "closed";
  /** 1005 for a Close frame without a code, 1006 without a Close frame (RFC 6455 §7.4.1). */
  readonly code: number;
  /** The server's reason, what was wrong with what it sent, or how the connection was lost. */
  readonly reason: string;
  /** Who sent the first Close; `nobody` for a connection that was lost. */
  readonly by: "server" | "client" | "nobody";
}

const BODY_SIZE = 4096;

/** Opens a WebSocket. Throws {@linkcode RefusedError} for another status than 101, else {@linkcode DialError}. */
export async function openWebSocket(options: OpenOptions): Promise<WebSocketClient> {
  const { target, tls, headers, subprotocols, timeoutMs, maxMessageSize } = options;
  const socket = await dial(target, { timeoutMs, tls });
  const client = new RawClient(socket, { maxPayload: maxMessageSize, trace: options.trace });
  try {
    const offer = subprotocols.length === 0 ? [] : [`Sec-WebSocket-Protocol: ${subprotocols.join(", ")}`];
    const request = requestHead(target, [...headers, ...offer]);
    options.onHead?.(">", request);
    await client.send(request, timeoutMs);
    const head = await client.nextHead(timeoutMs);
    if (head.kind === "late") throw new DialError(`no answer to the handshake within ${timeoutMs} ms`);
    if (head.kind === "end") throw new DialError(`the server ended the handshake with a ${head.how}`);
    if (head.kind === "no http") throw new DialError("what answers there does not speak HTTP");
    options.onHead?.("<", head.text);
    if (head.status !== 101) throw new RefusedError(head, await readBody(client, head, timeoutMs));
    const fault = await findHandshakeFault(head, subprotocols);
    if (fault !== undefined) throw new DialError(`the server's 101 is wrong: ${fault}`);
    return new WebSocketClient(client, head, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

async function readBody(
  client: RawClient,
  { headers }: ResponseHead,
  timeoutMs: number,
): Promise<Uint8Array> {
  const length = Number(headers.get("content-length")?.[0] ?? BODY_SIZE);
  return await client.rest(Math.min(Number.isSafeInteger(length) ? length : BODY_SIZE, BODY_SIZE), timeoutMs);
}

/** An open WebSocket. One `next` at a time. */
export class WebSocketClient implements Disposable {
  /** The subprotocol that the server chose. */
  readonly subprotocol: string | undefined;
  readonly #client: RawClient;
  readonly #timeoutMs: number;
  readonly #maxMessageSize: number;
  /** The opcode of the unfinished message, 0 without one. */
  #opcode = 0;
  #message = new Uint8Array(0);
  #size = 0;
  /** The code of the Close that was sent. */
  #closeCode: number | undefined;
  /** Ends the wait for the answer to a Close. */
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(client: RawClient, head: ResponseHead, { timeoutMs, maxMessageSize }: OpenOptions) {
    this.#client = client;
    this.subprotocol = head.headers.get("sec-websocket-protocol")?.[0];
    this.#timeoutMs = timeoutMs;
    this.#maxMessageSize = maxMessageSize;
  }

  /** Sends a message. Resolves when the system has taken it, which is never if the server does not read. */
  async send(data: string | Uint8Array): Promise<void> {
    await this.#write(typeof data === "string" ? OPCODE.text : OPCODE.binary, data, Infinity);
  }

  /** Sends a Ping or a Pong of at most 125 bytes. */
  async sendControl(kind: "ping" | "pong", payload: string | Uint8Array = ""): Promise<void> {
    await this.#write(OPCODE[kind], payload, this.#timeoutMs);
  }

  /** Sends a Close, without a code for 1005; `next` then brings the end, after `timeoutMs` at the latest. */
  async close(code: number, reason = ""): Promise<void> {
    if (this.#closeCode !== undefined) return;
    this.#closeCode = code;
    this.#closeTimer = setTimeout(() => this.#client.close(), this.#timeoutMs);
    const head = code === NO_STATUS_RECEIVED ? [] : [Uint8Array.of(code >> 8, code & 255)];
    await this.#write(OPCODE.close, concat(...head, new TextEncoder().encode(reason)), this.#timeoutMs);
  }

  /** What comes next. Answers Pings and the Close. Must not be called after the end. */
  async next(): Promise<Incoming> {
    for (;;) {
      const arrival = await this.#client.nextFrame(Infinity);
      if (arrival.kind === "oversize") return await this.#fail(1009, "a frame is too large for this client");
      if (arrival.kind === "end") return this.#lost(arrival);
      if (arrival.kind === "late") continue;
      const incoming = await this.#take(arrival);
      if (incoming !== undefined) return incoming;
    }
  }

  /** Ends the connection at once. */
  [Symbol.dispose](): void {
    clearTimeout(this.#closeTimer);
    this.#client.close();
  }

  async #take(frame: Frame): Promise<Incoming | undefined> {
    const { opcode, fin, payload } = frame;
    const fault = this.#findFault(frame);
    if (fault !== undefined) return await this.#fail(1002, fault);
    if (isControl(opcode)) return await this.#takeControl(frame);
    if (opcode !== OPCODE.continuation) {
      this.#opcode = opcode;
      this.#size = 0;
    }
    if (this.#size + payload.length > this.#maxMessageSize) {
      return await this.#fail(1009, "a message is too large for this client");
    }
    const isWhole = fin && this.#size === 0;
    if (!isWhole) this.#append(payload);
    if (!fin) return undefined;
    const bytes = isWhole ? payload : this.#message.slice(0, this.#size);
    const isText = this.#opcode === OPCODE.text;
    this.#opcode = this.#size = 0;
    this.#message = new Uint8Array(0);
    if (!isText) return { kind: "binary", bytes };
    const text = decode(bytes);
    return text === undefined ? await this.#fail(1007, "a text is not UTF-8") : { kind: "text", text };
  }

  #findFault({ opcode, fin, rsv, masked, payload }: Frame): string | undefined {
    if (masked) return "a frame is masked";
    if (rsv !== 0) return "a reserved bit is set";
    if ((opcode > 2 && opcode < 8) || opcode > 10) return `a frame has the reserved opcode ${opcode}`;
    if (isControl(opcode)) {
      if (!fin) return "a control frame is fragmented";
      return payload.length > MAX_CONTROL_PAYLOAD ? "a control frame is too long" : undefined;
    }
    if (opcode === OPCODE.continuation) {
      return this.#opcode === 0 ? "a continuation has no beginning" : undefined;
    }
    return this.#opcode === 0 ? undefined : "a message begins inside another";
  }

  async #takeControl({ opcode, payload, closeCode = 0 }: Frame): Promise<Incoming | undefined> {
    if (opcode === OPCODE.pong) return { kind: "pong", payload };
    if (opcode === OPCODE.ping) {
      if (this.#closeCode === undefined) await this.sendControl("pong", payload);
      return { kind: "ping", payload };
    }
    const reason = decode(payload.subarray(2));
    if (payload.length === 1) return await this.#fail(1002, "a Close frame has one byte");
    if (payload.length > 0 && !isValidCloseCode(closeCode)) {
      return await this.#fail(1002, `a Close frame has the code ${closeCode}, which must not be sent`);
    }
    if (reason === undefined) return await this.#fail(1007, "the reason of a Close frame is not UTF-8");
    // Two Close frames can cross: one with another code is no answer.
    const by = this.#closeCode === closeCode ? "client" : "server";
    await this.close(closeCode);
    return await this.#finish({ kind: "closed", code: closeCode, reason, by });
  }

  #append(payload: Uint8Array): void {
    const size = this.#size + payload.length;
    if (size > this.#message.length) {
      this.#message = concat(this.#message.subarray(0, this.#size), new Uint8Array(size));
    }
    this.#message.set(payload, this.#size);
    this.#size = size;
  }

  async #fail(code: number, reason: string): Promise<Ending> {
    await this.close(code, reason);
    return await this.#finish({ kind: "closed", code, reason, by: "client" });
  }

  // The server should end the connection first (RFC 6455 §7.1.1), and gets a second to do so.
  async #finish(ending: Ending): Promise<Ending> {
    await this.#client.end(Math.min(this.#timeoutMs, 1000));
    this[Symbol.dispose]();
    return ending;
  }

  #lost({ how }: End): Ending {
    this[Symbol.dispose]();
    const reason = how !== "closed here"
      ? `the server ended the connection with a ${how} and no Close frame`
      : "the server did not answer the Close frame";
    return { kind: "closed", code: ABNORMAL_CLOSURE, reason, by: "nobody" };
  }

  // One write at a time: an answer to a Ping may come in the middle of a message that is being sent.
  async #write(opcode: number, payload: string | Uint8Array, timeoutMs: number): Promise<void> {
    // Nothing comes after a Close (RFC 6455 §5.5.1).
    if (this.#closeCode !== undefined && opcode !== OPCODE.close) return;
    const [maskKey = 0] = crypto.getRandomValues(new Uint32Array(1));
    const bytes = frame({ opcode, payload, maskKey });
    const before = this.#writing;
    const write = (async () => {
      await before;
      await this.#client.send(bytes, timeoutMs);
    })();
    this.#writing = write;
    await write;
  }
}

/** UTF-8 as text, with a byte order mark kept; undefined if it is not UTF-8. */
function decode(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
