// A WebSocket client over bytes: tests see exactly what is on the wire, and may send what no client would. It is the
// client of the tools, but fails where that one returns what came; the frames to send are made here, by other code.

import type { ByteSocket } from "../../src/firewall/byte_socket.ts";
import {
  type Arrival,
  type Frame as RawFrame,
  RawClient as Client,
  type ResponseHead as RawHead,
} from "../../src/tools/raw_client.ts";
import { bytesOf, concat } from "../../src/tools/raw_frame.ts";

export { concat };

/** Where to connect: a TCP port (on 127.0.0.1 unless said otherwise) or the path of a Unix socket. */
export type Target =
  | { readonly port: number; readonly hostname?: string }
  | { readonly path: string };

/** A handshake request. By default it is a valid one for `/`. */
export interface Handshake {
  /** The request target, `/` by default. */
  readonly target?: string;
  /** Header lines beyond the necessary ones. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole request head, sent as it is (the empty line included); the other fields are then ignored. */
  readonly head?: string;
}

/** How a client connects. */
export interface ConnectOptions extends Handshake {
  /** How long each wait may take, in milliseconds; 20 seconds by default. */
  readonly timeoutMs?: number;
}

/** The head of an HTTP response. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: Headers;
  /** All of it, with the status line and the empty line at the end. */
  readonly text: string;
}

/** What goes into a frame (RFC 6455 §5.2). Nothing is checked, so illegal frames can be built. */
export interface FrameInit {
  /** 0 to 15. */
  readonly opcode: number;
  /** True by default. */
  readonly fin?: boolean;
  /** The three reserved bits as a number from 0 to 7; RSV1 is 4. */
  readonly rsv?: number;
  /** Text is sent as UTF-8; empty by default. */
  readonly payload?: string | Uint8Array;
  /** False for an unmasked frame, or the four bytes of the key; a fixed key by default. */
  readonly mask?: boolean | Uint8Array;
  /** How many bits the length is written with; the fewest that can hold it by default. */
  readonly lengthForm?: 7 | 16 | 64;
  /** The length that the header claims; the payload's by default. */
  readonly claimedLength?: number | bigint;
}

/** A frame that came from the server. */
export interface Frame extends RawFrame {
  /** The payload as UTF-8, with replacement characters where it is not. */
  readonly text: string;
  /** The reason of a Close frame, `""` if it has none; undefined for other frames. */
  readonly closeReason?: string;
}

/** The opcodes of RFC 6455 §5.2. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Nothing takes so long, on however busy a machine. */
const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * One connection. Every wait ends after `timeoutMs` at the latest; the connection is then closed, and the error says
 * what was awaited and what came instead.
 */
export class RawClient {
  /** The response to the handshake; undefined before one was made. */
  response: ResponseHead | undefined;
  readonly #client: Client;
  readonly #timeoutMs: number;

  /** Speaks over a connection that is open already (TLS, say) and now belongs to the client. */
  constructor(conn: ByteSocket, timeoutMs: number = DEFAULT_TIMEOUT_MS) {
    this.#client = new Client(conn, { maxPayload: Infinity });
    this.#timeoutMs = timeoutMs;
  }

  /** Connects and sends nothing. */
  static async open(target: Target, timeoutMs?: number): Promise<RawClient> {
    if ("path" in target) {
      return new RawClient(await Deno.connect({ transport: "unix", path: target.path }), timeoutMs);
    }
    const conn = await Deno.connect({ hostname: target.hostname ?? "127.0.0.1", port: target.port });
    // Each write goes out as it was made, at once.
    conn.setNoDelay(true);
    return new RawClient(conn, timeoutMs);
  }

  /** Connects and makes the handshake; fails if the answer is not 101. */
  static async connect(target: Target, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(target, options.timeoutMs);
    try {
      const { status, text } = await client.handshake(options);
      if (status !== 101) throw new Error(`Cannot connect: the answer was ${JSON.stringify(text)}`);
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Sends a handshake request and returns the head of whatever is answered. */
  async handshake(handshake: Handshake = {}): Promise<ResponseHead> {
    await this.send(handshake.head ?? requestHead(handshake));
    return await this.readHead();
  }

  /** Reads the head of a response, and remembers it as `response`. */
  async readHead(): Promise<ResponseHead> {
    const awaited = "a response head";
    const head = await this.#client.nextHead(this.#timeoutMs);
    if (head.kind !== "head") return await this.#fail(awaited, head);
    const { status, text } = head;
    const headers = new Headers();
    for (const [name, values] of head.headers) {
      for (const value of values) headers.append(name, value);
    }
    return this.response = { status, headers, text };
  }

  /** Sends bytes (or text as UTF-8) as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    const obstacle = await this.#client.send(data, this.#timeoutMs);
    if (obstacle === undefined) return;
    const awaited = `the peer to take ${bytesOf(data).length} bytes`;
    if (obstacle.kind === "late") {
      this.close();
      throw new Error(`Timed out after ${this.#timeoutMs} ms waiting for ${awaited}`);
    }
    // What it has said before can still be read, perhaps by somebody who waits for it now.
    throw new Error(`Cannot wait for ${awaited}: the connection has ended`);
  }

  /** Sends one frame. */
  async sendFrame(init: FrameInit): Promise<void> {
    await this.send(frame(init));
  }

  /** Sends one text message in one frame. */
  async sendText(text: string): Promise<void> {
    await this.sendFrame({ opcode: OPCODE.text, payload: text });
  }

  /** Sends one binary message in one frame. */
  async sendBinary(payload: Uint8Array): Promise<void> {
    await this.sendFrame({ opcode: OPCODE.binary, payload });
  }

  /** Sends a Close frame; an empty one without a code. */
  async sendClose(code?: number, reason = ""): Promise<void> {
    const payload = code === undefined ? new Uint8Array(0) : closePayload(code, reason);
    await this.sendFrame({ opcode: OPCODE.close, payload });
  }

  /** The next frame of any kind; fails at the end of the connection. `awaited` names it in the failure. */
  async nextFrame(awaited = "a frame"): Promise<Frame> {
    const arrival = await this.#client.nextFrame(this.#timeoutMs);
    if (arrival.kind !== "frame") return await this.#fail(awaited, arrival);
    const text = decoder.decode(arrival.payload);
    if (arrival.opcode !== OPCODE.close) return { ...arrival, text };
    return { ...arrival, text, closeReason: decoder.decode(arrival.payload.subarray(2)) };
  }

  /** The text of the next frame, which must be a whole text message. */
  async nextText(): Promise<string> {
    return (await this.#next("a text message", OPCODE.text)).text;
  }

  /** The bytes of the next frame, which must be a whole binary message. */
  async nextBinary(): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.#next("a binary message", OPCODE.binary)).payload;
  }

  /** Code and reason of the next frame, which must be a Close. */
  async nextClose(): Promise<{ code: number; reason: string }> {
    const { closeCode, closeReason } = await this.#next("a Close frame", OPCODE.close);
    return { code: closeCode!, reason: closeReason! };
  }

  /** Waits for the end of the connection (FIN or reset) and returns what came before it. */
  async eof(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#client.rest(Infinity, this.#timeoutMs);
    const end = await this.#client.end(0);
    return end.kind === "end" ? bytes : await this.#fail("the end of the connection", end, bytes);
  }

  /** Ends our half of the connection (FIN); reading goes on. */
  async closeWrite(): Promise<void> {
    await this.#client.closeWrite();
  }

  /** Closes the connection without a Close frame; harmless when done twice. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #next(awaited: string, opcode: number): Promise<Frame> {
    const next = await this.nextFrame(awaited);
    if (next.opcode === opcode && next.fin) return next;
    this.close();
    throw new Error(`Expected ${awaited}: got ${describeFrame(next)}`);
  }

  /** Closes, and throws what was awaited and what came instead. */
  async #fail(awaited: string, obstacle: Obstacle, unread?: Uint8Array<ArrayBuffer>): Promise<never> {
    const bytes = unread ?? await this.#client.rest(200, 0);
    this.close();
    const shown = JSON.stringify(decoder.decode(bytes.subarray(0, 200)));
    throw new Error(
      obstacle.kind === "end"
        ? `Cannot wait for ${awaited}: the connection ended after ${shown}`
        : obstacle.kind === "late"
        ? `Timed out after ${this.#timeoutMs} ms waiting for ${awaited}; unread: ${shown}`
        : `Cannot read ${awaited}: ${shown}`,
    );
  }
}

/** What may come in place of what is awaited. */
type Obstacle = Exclude<Arrival, RawFrame> | Exclude<Awaited<ReturnType<Client["nextHead"]>>, RawHead>;

/** The bytes of one frame. */
export function frame(init: FrameInit): Uint8Array<ArrayBuffer> {
  const payload = typeof init.payload === "string"
    ? encoder.encode(init.payload)
    : init.payload ?? new Uint8Array(0);
  const length = BigInt(init.claimedLength ?? payload.length);
  const form = init.lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const key = init.mask === false ? undefined : init.mask instanceof Uint8Array ? init.mask : DEFAULT_MASK;
  const header = new DataView(new ArrayBuffer(form === 7 ? 2 : form === 16 ? 4 : 10));
  header.setUint8(0, (init.fin === false ? 0 : 0x80) | ((init.rsv ?? 0) << 4) | init.opcode);
  header.setUint8(
    1,
    (key === undefined ? 0 : 0x80) | (form === 7 ? Number(length) : form === 16 ? 126 : 127),
  );
  if (form === 16) header.setUint16(2, Number(length));
  if (form === 64) header.setBigUint64(2, length);
  if (key === undefined) return concat(new Uint8Array(header.buffer), payload);
  return concat(new Uint8Array(header.buffer), key, payload.map((byte, index) => byte ^ key[index % 4]!));
}

/** The payload of a Close frame: a code (any number of 16 bits) and a reason. */
export function closePayload(code: number, reason = ""): Uint8Array<ArrayBuffer> {
  return concat(Uint8Array.of(code >> 8, code & 0xff), encoder.encode(reason));
}

/** The head of a valid handshake request (RFC 6455 §4.1) with the RFC's own example key. */
export function requestHead({ target = "/", headers = {} }: Handshake = {}): string {
  const lines = [
    `GET ${target} HTTP/1.1`,
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return lines.join("\r\n") + "\r\n\r\n";
}

function describeFrame({ opcode, fin, text, closeCode, closeReason }: Frame): string {
  if (closeCode !== undefined) return `a Close frame ${closeCode} ${JSON.stringify(closeReason)}`;
  return `a frame with opcode ${opcode}, fin ${fin} and the payload ${JSON.stringify(text.slice(0, 200))}`;
}
