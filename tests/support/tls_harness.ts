// A listener with a TlsAcceptor in this process, and clients of several kinds.

import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { type ByteSocket, closeQuietly } from "../../src/firewall/byte_socket.ts";
import { TlsAcceptor, type TlsResult } from "../../src/firewall/tls/tls_acceptor.ts";

export const TIMEOUT_MS = 20_000;

/** The folder of the certificates and keys. */
export const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

export function pem(name: string): string {
  return Deno.readTextFileSync(`${FIXTURES}${name}.pem`);
}

export const SERVER = { cert: pem("server"), key: pem("server.key") };
export const RENEWED = { cert: pem("renewed"), key: pem("renewed.key") };
export const CLIENT = { cert: pem("client"), key: pem("client.key") };
export const STRANGER = { cert: pem("stranger"), key: pem("stranger.key") };
export const WITH_CLIENT_CA = { ...SERVER, clientCa: pem("client_ca") };

/** A socket that counts what is read from it and can stop taking bytes. */
export class MeteredSocket implements ByteSocket {
  bytesRead = 0;
  pendingReads = 0;
  isStalled = false;
  readonly #socket: ByteSocket;
  readonly #stall = Promise.withResolvers<number>();
  readonly #hasStalled = Promise.withResolvers<void>();

  constructor(socket: ByteSocket) {
    this.#socket = socket;
  }

  /** Resolves when the first write has been kept waiting. */
  get stalledWrite(): Promise<void> {
    return this.#hasStalled.promise;
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    this.pendingReads++;
    try {
      const size = await this.#socket.read(bytes);
      this.bytesRead += size ?? 0;
      return size;
    } finally {
      this.pendingReads--;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    if (!this.isStalled) return this.#socket.write(bytes);
    this.#hasStalled.resolve();
    return this.#stall.promise;
  }

  closeWrite(): Promise<void> {
    return this.#socket.closeWrite();
  }

  close(): void {
    closeQuietly(this.#socket);
    if (this.isStalled) this.#stall.reject(new Deno.errors.BadResource("closed"));
  }
}

/** A listener and an acceptor, and one raw or TLS client at a time. */
export class Harness {
  readonly acceptor: TlsAcceptor;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor(identity: ConstructorParameters<typeof TlsAcceptor>[0] = SERVER) {
    this.acceptor = new TlsAcceptor(identity);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Makes the server's side of the next connection's handshake. */
  async next(timeoutMs = TIMEOUT_MS): Promise<TlsResult> {
    return await this.acceptor.handshake(await this.#listener.accept(), timeoutMs);
  }

  async nextSocket(): Promise<ByteSocket> {
    const result = await this.next();
    if (!result.ok) throw new Error(`Cannot accept: ${result.reason}`);
    return result.socket;
  }

  /** Begins the handshake of the next connection. */
  async begin(): Promise<{ below: MeteredSocket; result: Promise<TlsResult> }> {
    const below = new MeteredSocket(await this.#listener.accept());
    return { below, result: this.acceptor.handshake(below, TIMEOUT_MS) };
  }

  async nextMetered(): Promise<{ below: MeteredSocket; socket: ByteSocket }> {
    const { below, result } = await this.begin();
    const ended = await result;
    if (!ended.ok) throw new Error(`Cannot accept: ${ended.reason}`);
    return { below, socket: ended.socket };
  }

  async raw(): Promise<Deno.TcpConn> {
    return await Deno.connect({ hostname: "127.0.0.1", port: this.port });
  }

  async tls(cert = SERVER.cert): Promise<Deno.TlsConn> {
    const conn = await Deno.connectTls({ hostname: "localhost", port: this.port, caCerts: [cert] });
    await conn.handshake();
    return conn;
  }

  /** A client and the server's socket. */
  async pair(cert = SERVER.cert): Promise<{ client: Deno.TlsConn; server: ByteSocket }> {
    const [client, server] = await Promise.all([this.tls(cert), this.nextSocket()]);
    return { client, server };
  }

  nodeTls(options: ConnectionOptions = {}): TLSSocket {
    const socket = connect({
      host: "127.0.0.1",
      port: this.port,
      servername: "localhost",
      ca: [SERVER.cert, RENEWED.cert],
      ...options,
    });
    // The server's side is what is asserted on.
    socket.on("error", () => {});
    return socket;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

export async function readAll(socket: Pick<ByteSocket, "read">): Promise<string> {
  const bytes = new Uint8Array(1000);
  let text = "";
  for (let size; (size = await socket.read(bytes)) !== null;) {
    text += new TextDecoder().decode(bytes.subarray(0, size));
  }
  return text;
}

export async function readSize(socket: Pick<ByteSocket, "read">, size: number): Promise<string> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = await socket.read(bytes.subarray(at));
    if (count === null) throw new Error(`Cannot read ${size} bytes: the stream ended after ${at}`);
    at += count;
  }
  return new TextDecoder().decode(bytes);
}

export async function end(socket: TLSSocket): Promise<void> {
  if (socket.closed) return;
  const closed = once(socket, "close");
  socket.destroy();
  await closed;
}

export const bytesOf = (text: string) => new TextEncoder().encode(text);
export const refusalOf = (result: TlsResult) => result.ok ? "accepted" : result.reason;

/**
 * A whole ClientHello of a client that knows `version` at most (RFC 5246 §7.4.1.2), with one cipher suite, in records
 * of `fragmentSize` bytes.
 */
export function clientHello(
  version: number,
  { suite = 0xc02b, fragmentSize = 16_384, padding = 0 } = {},
): Uint8Array<ArrayBuffer> {
  // secp256r1, and ECDSA with SHA-256 on it; then padding (RFC 7685).
  const extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
  if (padding > 0) extensions.push(0, 21, ...uint16(padding), ...new Array(padding).fill(0));
  const random = new Array(32).fill(7);
  const body = [...uint16(version), ...random, 0, 0, 2, ...uint16(suite), 1, 0];
  body.push(...uint16(extensions.length), ...extensions);
  const message = [1, 0, ...uint16(body.length), ...body];
  const bytes: number[] = [];
  for (let at = 0; at < message.length; at += fragmentSize) {
    const fragment = message.slice(at, at + fragmentSize);
    bytes.push(22, 3, 1, ...uint16(fragment.length), ...fragment);
  }
  return Uint8Array.from(bytes);
}

function uint16(value: number): [number, number] {
  return [value >> 8, value & 255];
}
