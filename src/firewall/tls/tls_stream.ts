// A `ByteSocket` as the stream under node:tls, which reads only while its data is wanted.

import { EventEmitter } from "node:events";
import { large } from "../connection/buffer_stock.ts";
import { type ByteSocket, expectLoss, writeAll } from "../byte_socket.ts";
import { type Alert, readAlert } from "./tls_hello.ts";

/** Bytes of the buffer for an idle peer; a flood is read with large buffers from the stock. */
const IDLE_SIZE = 1024;

/**
 * The encrypted side of a TLS connection. Not a `Duplex`: that would cost an idle connection two unused queues and each
 * record a copy, and would drop the alert, which is written after the library has destroyed the stream.
 *
 * The runtime's TLS reads on when its reader has stopped, and keeps everything in memory. So this stream stops reading
 * too: at most one chunk is on its way.
 */
export class TlsStream extends EventEmitter {
  readonly readable = true;
  readonly writable = true;
  readonly allowHalfOpen = true;
  /** The last fatal alert that was written unencrypted. */
  alert: Alert | undefined;
  readonly #socket: ByteSocket;
  readonly #idle = new Uint8Array(IDLE_SIZE);
  /** Whether the reader of the decrypted side wants more. */
  #isWanted = false;
  #isReading = false;
  #isLarge = false;
  #isDestroyed = false;
  #isMuted = false;
  #hasEnded = false;
  /** Called at the peer's end, once that is waited for. */
  #onEnd: (() => void) | undefined;
  #lastWrite: Promise<void> = Promise.resolve();

  /** @param socket Stays the caller's to close. */
  constructor(socket: ByteSocket) {
    super();
    this.#socket = socket;
  }

  /** Hands `bytes` to the library as the first ones read, and begins to read. */
  start(bytes: Uint8Array): void {
    this.emit("data", bytes);
    this.want(true);
  }

  /** From now on, reads only if `isWanted`. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    this.#pull();
  }

  /** Writes nothing more, not even what the library has written already. */
  mute(): void {
    this.#isMuted = true;
  }

  /**
   * Writes all that the library still has, then `bytes`, ends the writing side, and drops what still comes. Resolves at
   * the peer's end, or when the socket is closed.
   */
  async finish(bytes?: Uint8Array): Promise<void> {
    // The library hands over its last record some microtasks after it has reported the failure.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (bytes !== undefined) this.write(bytes);
    this.destroy();
    await this.endWriting();
    if (this.#hasEnded) return;
    await new Promise<void>((resolve) => {
      this.#onEnd = resolve;
      this.want(true);
    });
  }

  /** Sends FIN after what was written. */
  async endWriting(): Promise<void> {
    try {
      await this.#lastWrite;
      await this.#socket.closeWrite();
    } catch (error) {
      // The peer is gone or the deadline has closed the socket: the read ends with it.
      expectLoss(error);
    }
  }

  /** As of a stream; also works after `destroy`. */
  write(bytes: Uint8Array, done?: () => void): boolean {
    if (this.#isMuted) return false;
    this.alert = readAlert(bytes) ?? this.alert;
    this.#lastWrite = this.#lastWrite.then(() => writeAll(this.#socket, bytes)).then(
      () => done?.(),
      (error) => this.#fail(error),
    );
    return true;
  }

  /** As of a stream; the FIN is sent by {@linkcode endWriting}. */
  end(done?: () => void): void {
    done?.();
  }

  /** As of a stream, but what comes is governed by {@linkcode want}. */
  pause(): void {}

  /** As {@linkcode pause}. */
  resume(): void {}

  /** Nothing more reaches the library; the socket stays open. */
  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#isWanted = false;
    this.emit("close");
  }

  #pull(): void {
    if (!this.#isWanted || this.#isReading || this.#hasEnded) return;
    this.#isReading = true;
    const isLarge = this.#isLarge && large.hasMore;
    const bytes = isLarge ? large.take() : this.#idle;
    this.#socket.read(bytes)
      .then((size) => this.#deliver(bytes, size))
      .catch((error) => this.#fail(error))
      .finally(() => {
        if (isLarge) large.giveBack(bytes);
        this.#isReading = false;
        this.#pull();
      });
  }

  /** Delivers bytes to the library, which has decrypted them when this returns: the buffer is free then. */
  #deliver(bytes: Uint8Array, size: number | null): void {
    this.#isLarge = size !== null && size >= IDLE_SIZE;
    if (size === null) this.#end("end");
    else if (!this.#isDestroyed) this.emit("data", bytes.subarray(0, size));
  }

  #fail(error: Error): void {
    this.#end("error", error);
    this.destroy();
  }

  #end(event: "end" | "error", error?: Error): void {
    this.#hasEnded = true;
    if (!this.#isDestroyed) this.emit(event, error);
    this.#onEnd?.();
  }
}
