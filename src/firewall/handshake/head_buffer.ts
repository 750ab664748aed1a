// The bytes of one head as they come: in a small buffer, or in one of the largest size if that is too small.

import { small } from "../connection/buffer_stock.ts";
import type { ByteSocket } from "../byte_socket.ts";

/** The longest head, in bytes: room for a token of 8 KiB in a header. */
export const MAX_HEAD_SIZE = 16_384;

/** Holds what has been read of one head; to be released when nothing refers to its bytes any more. */
export class HeadBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  /** How many of the bytes have been read. */
  end = 0;
  readonly #first = small.take();

  constructor() {
    this.bytes = this.#first;
  }

  /** Whether there is no room for another byte. */
  get isFull(): boolean {
    return this.end === MAX_HEAD_SIZE;
  }

  /** Reads some more; false at the end of the stream, or if it is full. */
  async read(socket: ByteSocket): Promise<boolean> {
    if (this.isFull) return false;
    if (this.end === this.bytes.length) {
      this.bytes = new Uint8Array(MAX_HEAD_SIZE);
      this.bytes.set(this.#first);
    }
    const size = await socket.read(this.bytes.subarray(this.end));
    this.end += size ?? 0;
    return size !== null;
  }

  release(): void {
    small.giveBack(this.#first);
  }
}
