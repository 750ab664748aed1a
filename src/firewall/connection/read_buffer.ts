// What was read of one side of a connection: in a small buffer while little comes, in a large one while much does.

import { BufferStock, large, small, SMALL_SIZE } from "./buffer_stock.ts";

/**
 * Bytes that were read, with free room before them and a carry from one read to the next.
 *
 * An idle connection keeps 4 KiB; a full read borrows 24 KiB from a bounded stock that all connections share.
 */
export class ReadBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  /** Offset of the first byte: always the headroom. */
  readonly start: number;
  /** Offset after the last byte that was read. */
  end: number;
  /** Where `bytes` come from; undefined when they were made for what was there at the beginning. */
  #stock: BufferStock | undefined;

  /**
   * @param headroom Bytes that stay free before the first one read.
   * @param initial Bytes that are already there; copied.
   */
  constructor(headroom: number, initial: Uint8Array) {
    const isSmall = headroom + initial.length <= SMALL_SIZE;
    this.#stock = isSmall ? small : undefined;
    this.bytes = isSmall ? small.take() : new Uint8Array(headroom + initial.length);
    this.bytes.set(initial, headroom);
    this.start = headroom;
    this.end = headroom + initial.length;
  }

  /** The free room after the bytes, at most `most` bytes of it: where the next read goes. */
  room(most = Infinity): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.end, Math.min(this.bytes.length, this.end + Math.floor(most)));
  }

  /** Keeps the bytes from `from` to the end as the first ones of the next read, and sizes the buffer for it. */
  carry(from: number): void {
    const used = this.end - this.start;
    const kept = this.end - from;
    const isFull = this.end === this.bytes.length;
    if (this.#stock !== large && isFull && large.hasMore) this.#move(large, from);
    else if (this.#stock !== small && used <= SMALL_SIZE / 2) this.#move(small, from);
    else if (kept > 0) this.bytes.copyWithin(this.start, from, this.end);
    this.end = this.start + kept;
  }

  /** Gives back what was borrowed; the buffer must not be used after that. */
  release(): void {
    this.#stock?.giveBack(this.bytes);
    this.#stock = undefined;
  }

  #move(stock: BufferStock, from: number): void {
    const old = this.bytes;
    this.bytes = stock.take();
    this.bytes.set(old.subarray(from, this.end), this.start);
    this.#stock?.giveBack(old);
    this.#stock = stock;
  }
}
