// A socket of node:net as a byte stream, because the runtime's own can't be ended with a RST.

import type { Socket } from "node:net";
import type { ByteSocket } from "../../firewall/byte_socket.ts";

/** Owns and closes the socket, and buffers no more than that does. One read and one write at a time. */
export class NodeByteSocket implements ByteSocket {
  readonly #socket: Socket;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  /** `socket` must be paused. */
  constructor(socket: Socket) {
    this.#socket = socket;
    const wake = () => this.#wake?.();
    socket.on("readable", wake).on("end", wake).on("close", wake);
    // An "error" event without a listener would end the process.
    socket.on("error", (error) => {
      this.#error = error;
      wake();
    });
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#rest.length === 0) this.#rest = this.#socket.read() ?? this.#rest;
      if (this.#rest.length > 0) break;
      if (this.#error !== undefined) throw this.#error;
      if (this.#socket.readableEnded) return null;
      if (this.#socket.destroyed) throw new Deno.errors.BadResource("The connection is closed");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const size = Math.min(this.#rest.length, bytes.length);
    bytes.set(this.#rest.subarray(0, size));
    this.#rest = this.#rest.subarray(size);
    return size;
  }

  /** Resolves when the system has taken all of `bytes`. */
  async write(bytes: Uint8Array): Promise<number> {
    await this.#untilDone((done) => this.#socket.write(bytes, done));
    return bytes.length;
  }

  async closeWrite(): Promise<void> {
    await this.#untilDone((done) => this.#socket.end(done));
  }

  /** Waits until `done` is called or the socket closes, because a destroyed socket never calls it. */
  async #untilDone(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    if (this.#socket.destroyed) throw new Deno.errors.BadResource("The connection is closed");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = () => reject(new Deno.errors.BadResource("The connection is closed"));
    this.#socket.once("close", onClose);
    start((error) => error ? reject(error) : resolve());
    try {
      await promise;
    } finally {
      this.#socket.off("close", onClose);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Ends with a RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}
