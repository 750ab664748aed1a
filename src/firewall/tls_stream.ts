// A byte stream as the duplex stream that node:tls works on, which reads only while somebody wants what it brings.

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { type ByteSocket, closeQuietly, writeAll } from "./byte_socket.ts";

/** A whole TLS record with its header fits (RFC 8446 §5.2). */
const READ_SIZE = 16 * 1024 + 512;

/**
 * The encrypted side of a TLS connection; owns and closes its socket.
 *
 * The runtime's TLS reads on when its reader has stopped, and keeps all of it in memory. What bounds a flood is that
 * this stream does not read either: at most one chunk is on its way.
 */
export class TlsStream extends Duplex {
  /** Whether the TLS side is waiting for bytes that it can use; set by who reads the other end. */
  #isWanted = true;
  #isAsked = false;
  #isReading = false;
  readonly #socket: ByteSocket;
  readonly #bytes = new Uint8Array(READ_SIZE);

  constructor(socket: ByteSocket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
  }

  /** From now on, reads only if `isWanted`. It is true until it is set. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    this.#pull();
  }

  override _read(): void {
    this.#isAsked = true;
    this.#pull();
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    writeAll(this.#socket, bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    closeQuietly(this.#socket);
    done(error);
  }

  #pull(): void {
    if (!this.#isAsked || !this.#isWanted || this.#isReading || this.destroyed) return;
    this.#isAsked = false;
    this.#isReading = true;
    this.#socket.read(this.#bytes).then((size) => {
      this.#isReading = false;
      // A copy, because the next read may come before these bytes are decrypted.
      if (!this.destroyed) this.push(size === null ? null : Buffer.from(this.#bytes.subarray(0, size)));
    }, (error) => this.destroy(error));
  }
}
