// Writes to an upstream: in order, one write at a time, with no promise but the write's own.

import type { ByteSocket } from "../byte_socket.ts";

/** The writer to one upstream. Bytes that it is given must not change until `isBusy` is false. */
export class EndpointWriter {
  /** Whether something is not written yet. */
  isBusy = false;
  /** How many writes have succeeded. */
  writes = 0;

  readonly #socket: ByteSocket;
  readonly #onIdle: () => void;
  readonly #onFailed: (error: unknown) => void;
  /** What is being written, and what comes after it. */
  #current: Uint8Array | undefined;
  #next: Uint8Array[] = [];
  #onSettled: (() => void) | undefined;

  /**
   * @param onIdle is called when all has been written.
   * @param onFailed is called when a write fails; the rest is dropped, and nothing may be written after that.
   */
  constructor(socket: ByteSocket, onIdle: () => void, onFailed: (error: unknown) => void) {
    this.#socket = socket;
    this.#onIdle = onIdle;
    this.#onFailed = onFailed;
  }

  /** Writes `bytes` after all those given before. */
  write(bytes: Uint8Array): void {
    if (this.isBusy) {
      this.#next.push(bytes);
      return;
    }
    this.isBusy = true;
    this.#begin(bytes);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.isBusy) await new Promise<void>((resolve) => this.#onSettled = resolve);
  }

  #begin(bytes: Uint8Array): void {
    this.#current = bytes;
    this.#socket.write(bytes).then(this.#written, this.#failed);
  }

  readonly #written = (size: number): void => {
    this.writes++;
    const current = this.#current!;
    if (size < current.length) return this.#begin(current.subarray(size));
    const next = this.#next.shift();
    if (next !== undefined) return this.#begin(next);
    this.#settle();
    this.#onIdle();
  };

  readonly #failed = (error: unknown): void => {
    this.#next = [];
    this.#settle();
    this.#onFailed(error);
  };

  #settle(): void {
    this.isBusy = false;
    this.#current = undefined;
    this.#onSettled?.();
  }
}
