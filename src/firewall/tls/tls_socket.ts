// An established TLS connection as a `ByteSocket`.

import type { TLSSocket } from "node:tls";
import { type ByteSocket, closeQuietly } from "../byte_socket.ts";
import type { TlsStream } from "./tls_stream.ts";

/** A pending read or write. */
interface Pending<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

interface PendingRead extends Pending<number | null> {
  readonly bytes: Uint8Array;
}

/**
 * Decrypts only while a read is pending. A write resolves when the socket underneath has taken all of it. One read and
 * one write may be pending at a time; their buffers belong to the caller again when they settle.
 */
export class TlsSocket implements ByteSocket {
  /** Measured with 3000 idle connections, with and without TLS. */
  readonly overheadBytes = 36 * 1024;
  readonly #tls: TLSSocket;
  readonly #stream: TlsStream;
  readonly #socket: ByteSocket;
  /** Decrypted and not yet read, from one chunk. Each has its own buffer. */
  readonly #chunks: Uint8Array[] = [];
  #hasEnded = false;
  #failure: Error | undefined;
  #read: PendingRead | undefined;
  #write: Pending<number> | undefined;
  #closeWrite: Pending<void> | undefined;

  /**
   * @param tls Its handshake is complete; the adapter owns and closes it.
   * @param stream What `tls` works on.
   * @param socket The socket under `stream`; the adapter owns and closes it.
   */
  constructor(tls: TLSSocket, stream: TlsStream, socket: ByteSocket) {
    this.#tls = tls;
    this.#stream = stream;
    this.#socket = socket;
    stream.want(false);
    tls.on("data", (chunk: Uint8Array) => {
      const isOwn = chunk.length === chunk.buffer.byteLength;
      this.#chunks.push(isOwn ? chunk : chunk.slice());
      this.#serveRead();
    });
    tls.on("end", () => {
      this.#hasEnded = true;
      this.#serveRead();
    });
    // An unhandled 'error' would end the process.
    tls.on("error", (error) => this.#fail(error));
    stream.on("error", (error) => this.#fail(error));
    tls.on("close", () => this.#fail(closed()));
    stream.on("close", () => this.#fail(closed()));
  }

  /** As {@linkcode ByteSocket.read}; null after the peer's close_notify or FIN (RFC 8446 §6.1). */
  read(bytes: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#read = { bytes, resolve, reject };
      this.#serveRead();
    });
  }

  /** As {@linkcode ByteSocket.write}; writes all of `bytes`. */
  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#write = { resolve, reject };
      this.#tls.write(bytes, (error) => {
        if (error) return this.#fail(error);
        this.#write = undefined;
        resolve(bytes.length);
      });
    });
  }

  /** Sends close_notify and FIN; reading goes on. */
  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#closeWrite = { resolve, reject };
      this.#tls.end(() => {
        this.#closeWrite = undefined;
        this.#stream.endWriting().then(resolve, reject);
      });
    });
  }

  /**
   * Frees the descriptor at once, without a close_notify; pending reads and writes reject. Harmless when called twice.
   */
  close(): void {
    this.#chunks.length = 0;
    this.#hasEnded = false;
    this.#fail(closed());
  }

  #serveRead(): void {
    const read = this.#read;
    if (read === undefined) return;
    const [chunk] = this.#chunks;
    if (chunk === undefined && !this.#hasEnded && this.#failure === undefined) {
      this.#stream.want(true);
      return;
    }
    this.#read = undefined;
    this.#stream.want(false);
    // Bytes that came before an end or a failure are still good.
    if (chunk !== undefined) read.resolve(this.#take(chunk, read.bytes));
    else if (this.#failure !== undefined && !this.#hasEnded) read.reject(this.#failure);
    else read.resolve(null);
  }

  #take(chunk: Uint8Array, bytes: Uint8Array): number {
    const size = Math.min(chunk.length, bytes.length);
    bytes.set(chunk.subarray(0, size));
    if (size === chunk.length) {
      this.#chunks.shift();
      // Left to the garbage collector, those of many peers would add up to a hundred megabytes.
      (chunk.buffer as ArrayBuffer).transfer(0);
    } else this.#chunks[0] = chunk.subarray(size);
    return size;
  }

  /** Ends everything; only the first failure is reported. */
  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    closeQuietly(this.#socket);
    this.#stream.destroy();
    this.#tls.destroy();
    for (const pending of [this.#read, this.#write, this.#closeWrite]) pending?.reject(error);
    this.#read = this.#write = this.#closeWrite = undefined;
  }
}

function closed(): Error {
  return new Deno.errors.BadResource("The connection is closed");
}
