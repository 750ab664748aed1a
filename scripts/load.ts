// A lean WebSocket client over bytes, for scripts that open thousands of connections or break the rules.

import { frame, OPCODE, requestHead } from "../tests/support/raw_client.ts";

/** A frame of the server. */
export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Reads the frames of a server from bytes as they come; throws at a frame that a server must not send. */
export class FrameReader {
  #bytes = new Uint8Array(4096);
  #start = 0;
  #end = 0;

  /** The number of bytes that are not yet a whole frame. */
  get pending(): number {
    return this.#end - this.#start;
  }

  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) {
      const kept = this.#bytes.subarray(this.#start, this.#end);
      const larger = new Uint8Array(Math.max(4096, 2 * (kept.length + bytes.length)));
      larger.set(kept);
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The next whole frame; undefined if it is not there yet. */
  next(): ServerFrame | undefined {
    const bytes = this.#bytes;
    const at = this.#start;
    const available = this.#end - at;
    if (available < 2) return undefined;
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    const extended = second === 126 ? 2 : second === 127 ? 8 : 0;
    if (available < 2 + extended) return undefined;
    let size = extended === 0 ? second : 0;
    for (let i = 0; i < extended; i++) size = size * 256 + bytes[at + 2 + i]!;
    const opcode = first & 15;
    const isKnown = opcode === OPCODE.text || opcode === OPCODE.binary ||
      opcode >= OPCODE.close && opcode <= OPCODE.pong;
    const isMinimal = extended === 0 || size >= (extended === 2 ? 126 : 65_536);
    if (first >> 4 !== 8 || !isKnown || second > 127 || !isMinimal || (opcode >= 8 && size > 125)) {
      throw new Error(`The server sent a wrong frame: ${bytes.subarray(at, at + 10)}`);
    }
    if (available < 2 + extended + size) return undefined;
    this.#start += 2 + extended + size;
    return { opcode, payload: bytes.slice(at + 2 + extended, this.#start) };
  }
}

/** The code of a Close frame, 1005 if it has none. */
export function closeCodeOf(payload: Uint8Array): number {
  return payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]!;
}

/** What a client needs of a connection, over TCP or TLS. */
export type LoadConn = Pick<Deno.TcpConn, "read" | "write" | "close">;

/** Where a client connects to, and what it sends first. */
export interface LoadTarget {
  readonly port: number;
  /** 127.0.0.1 if left out. */
  readonly hostname?: string;
  /** The PEM certificate of a server with TLS and the name localhost; plain TCP without it. */
  readonly certificate?: string | undefined;
  /** The request head; {@linkcode HEAD} if left out. */
  readonly head?: Uint8Array;
}

/** Opens a connection and sends nothing. */
export async function dial({ port, hostname = "127.0.0.1", certificate }: LoadTarget): Promise<LoadConn> {
  const conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  if (certificate === undefined) return conn;
  return await Deno.startTls(conn, { hostname: "localhost", caCerts: [certificate] });
}

/** An open connection that reads one frame at a time. */
export class LoadClient {
  readonly conn: LoadConn;
  readonly #reader: FrameReader;
  readonly #chunk: Uint8Array<ArrayBuffer>;

  private constructor(conn: LoadConn, rest: Uint8Array, chunkSize: number) {
    this.conn = conn;
    this.#chunk = new Uint8Array(chunkSize);
    this.#reader = new FrameReader();
    this.#reader.push(rest);
  }

  /** Connects and does the handshake; throws if the answer is not 101. */
  static async connect(target: LoadTarget, chunkSize = 4096): Promise<LoadClient> {
    const conn = await dial(target);
    try {
      await writeAll(conn, target.head ?? HEAD);
      const { status, rest } = await readResponse(conn);
      if (status !== 101) throw new Error(`The server answered ${status}`);
      return new LoadClient(conn, rest, chunkSize);
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  /** The next frame of the server; undefined at the end of the connection. */
  async next(): Promise<ServerFrame | undefined> {
    for (;;) {
      const found = this.#reader.next();
      if (found !== undefined) return found;
      const size = await this.conn.read(this.#chunk);
      if (size === null) return undefined;
      this.#reader.push(this.#chunk.subarray(0, size));
    }
  }

  async sendText(text: string): Promise<void> {
    await writeAll(this.conn, frame({ opcode: OPCODE.text, payload: text }));
  }

  close(): void {
    try {
      this.conn.close();
    } catch {
      // It is closed already.
    }
  }
}

/** A valid handshake. */
export const HEAD = new TextEncoder().encode(requestHead());

/** Reads the head of a response and the bytes that came with it. The status is 0 if the connection ended before. */
export async function readResponse(
  conn: Pick<LoadConn, "read">,
): Promise<{ status: number; rest: Uint8Array }> {
  const bytes = new Uint8Array(4096);
  let end = 0;
  for (;;) {
    const size = await conn.read(bytes.subarray(end));
    if (size === null) return { status: 0, rest: bytes.subarray(0, end) };
    end += size;
    const text = String.fromCharCode(...bytes.subarray(0, end));
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd >= 0) {
      return {
        status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]),
        rest: bytes.subarray(headEnd + 4, end),
      };
    }
  }
}

/** Writes all of `bytes`. */
export async function writeAll(conn: Pick<LoadConn, "write">, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
