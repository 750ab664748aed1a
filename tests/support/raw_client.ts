// A WebSocket client made of bytes: tests see exactly what is on the wire and may send what no client would.

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
  /** How long each wait may take, in milliseconds; 5000 by default. */
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
export interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  /** The three reserved bits as a number from 0 to 7. */
  readonly rsv: number;
  readonly masked: boolean;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The payload as UTF-8, with replacement characters where it is not. */
  readonly text: string;
  /** The code of a Close frame, 1005 if it has none; undefined for other frames. */
  readonly closeCode?: number;
  /** The reason of a Close frame, `""` if it has none; undefined for other frames. */
  readonly closeReason?: string;
}

/** What a client needs of a connection; `Deno.Conn` is one. */
export type ByteStream = Pick<Deno.TcpConn, "read" | "write" | "closeWrite" | "close">;

/** The opcodes of RFC 6455 §5.2. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const READ_SIZE = 64 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * One connection. Every wait ends after `timeoutMs` at the latest; the connection is then closed and the error says what was
 * awaited and what came instead.
 */
export class RawClient {
  /** The response to the handshake; undefined before one was made. */
  response: ResponseHead | undefined;
  readonly #conn: ByteStream;
  readonly #timeoutMs: number;
  readonly #chunk = new Uint8Array(READ_SIZE);
  #received = new Uint8Array(0);
  #ended = false;
  #closed = false;

  /** Speaks over a connection that is open already (TLS, say) and now belongs to the client. */
  constructor(conn: ByteStream, timeoutMs: number = DEFAULT_TIMEOUT_MS) {
    this.#conn = conn;
    this.#timeoutMs = timeoutMs;
  }

  /** Connects and sends nothing. */
  static async open(target: Target, timeoutMs?: number): Promise<RawClient> {
    const conn = "path" in target
      ? await Deno.connect({ transport: "unix", path: target.path })
      : await Deno.connect({ hostname: target.hostname ?? "127.0.0.1", port: target.port });
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
    let end = -1;
    await this.#until("a response head", () => (end = indexOfEmptyLine(this.#received)) >= 0);
    const text = decoder.decode(this.#take(end));
    const [statusLine = "", ...lines] = text.trimEnd().split("\r\n");
    const headers = new Headers();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    this.response = { status: Number(statusLine.split(" ")[1]), headers, text };
    return this.response;
  }

  /** Sends bytes (or text as UTF-8) as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    await this.#bounded(`the peer to take ${bytes.length} bytes`, async () => {
      for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
    });
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
    let size: FrameSize | undefined;
    await this.#until(awaited, () => (size = frameSize(this.#received)) !== undefined);
    const { header, payload } = size!;
    return parseFrame(this.#take(header + payload), header);
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
    await this.#bounded("the end of the connection", async () => {
      while (await this.#readMore());
    });
    return this.#take(this.#received.length);
  }

  /** Ends our half of the connection (FIN); reading goes on. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Closes the connection without a Close frame; harmless when done twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
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

  /** Reads until `isDone`; fails at the end of the connection. */
  async #until(awaited: string, isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    await this.#bounded(awaited, async () => {
      while (!isDone()) {
        if (!await this.#readMore()) {
          throw new Error(`Cannot wait for ${awaited}: the connection ended after ${this.#unread()}`);
        }
      }
    });
  }

  async #bounded(awaited: string, work: () => Promise<void>): Promise<void> {
    let isLate = false;
    // Closing is what ends the read or write that is under way.
    const timer = setTimeout(() => {
      isLate = true;
      this.close();
    }, this.#timeoutMs);
    try {
      await work();
    } catch (error) {
      if (!isLate) throw error;
    } finally {
      clearTimeout(timer);
    }
    if (isLate) {
      throw new Error(
        `Timed out after ${this.#timeoutMs} ms waiting for ${awaited}; unread: ${this.#unread()}`,
      );
    }
  }

  /** Returns false at the end of the connection. */
  async #readMore(): Promise<boolean> {
    if (this.#ended) return false;
    let count: number | null;
    try {
      count = await this.#conn.read(this.#chunk);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) {
        throw error;
      }
      count = null;
    }
    if (count === null) this.#ended = true;
    else this.#received = concat(this.#received, this.#chunk.subarray(0, count));
    return !this.#ended;
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#received.slice(0, count);
    this.#received = this.#received.slice(count);
    return taken;
  }

  #unread(): string {
    return JSON.stringify(decoder.decode(this.#received.subarray(0, 200)));
  }
}

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

/** Byte strings, one after the other, in a new one. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
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

interface FrameSize {
  readonly header: number;
  readonly payload: number;
}

/** The size of the first frame, undefined if not all of it is there. */
function frameSize(bytes: Uint8Array<ArrayBuffer>): FrameSize | undefined {
  if (bytes.length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = bytes[1]! & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const header = 2 + lengthBytes + (bytes[1]! & 0x80 ? 4 : 0);
  if (bytes.length < header) return undefined;
  const payload = lengthBytes === 2
    ? view.getUint16(2)
    : lengthBytes === 8
    ? Number(view.getBigUint64(2))
    : short;
  return bytes.length < header + payload ? undefined : { header, payload };
}

function parseFrame(bytes: Uint8Array<ArrayBuffer>, headerSize: number): Frame {
  const [first = 0, second = 0] = bytes;
  const masked = (second & 0x80) !== 0;
  const key = bytes.subarray(headerSize - 4, headerSize);
  const payload = bytes.slice(headerSize);
  if (masked) payload.forEach((byte, index) => payload[index] = byte ^ key[index % 4]!);
  const opcode = first & 0x0f;
  const parsed = {
    opcode,
    fin: (first & 0x80) !== 0,
    rsv: (first >> 4) & 7,
    masked,
    payload,
    text: decoder.decode(payload),
  };
  if (opcode !== OPCODE.close) return parsed;
  const closeCode = payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]!;
  return { ...parsed, closeCode, closeReason: decoder.decode(payload.subarray(2)) };
}

function describeFrame({ opcode, fin, text, closeCode, closeReason }: Frame): string {
  if (closeCode !== undefined) return `a Close frame ${closeCode} ${JSON.stringify(closeReason)}`;
  return `a frame with opcode ${opcode}, fin ${fin} and the payload ${JSON.stringify(text.slice(0, 200))}`;
}

/** Where the body begins, -1 if the head is not complete. */
function indexOfEmptyLine(bytes: Uint8Array): number {
  for (let index = 0; index + 4 <= bytes.length; index++) {
    if (
      bytes[index] === 13 && bytes[index + 1] === 10 && bytes[index + 2] === 13 && bytes[index + 3] === 10
    ) {
      return index + 4;
    }
  }
  return -1;
}
