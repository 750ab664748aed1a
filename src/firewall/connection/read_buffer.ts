// The read buffer of one side of a connection: small while little comes, large while much does.

import { BufferStock, large, small, SMALL_SIZE, tiny } from "./buffer_stock.ts";

/**
 * From the smallest to the largest. A full buffer is exchanged for the next, one that is hardly used for the one
 * before.
 */
const STOCKS: readonly BufferStock[] = [tiny, small, large];

/**
 * Bytes that were read, with free room before them; unfinished ones are carried to the next read.
 *
 * A quiet peer keeps half a KiB; full reads borrow 4 and then 24 KiB, the latter from a bounded stock for all
 * connections.
 */
export class ReadBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  /** Offset of the first byte: always the headroom. */
  readonly start: number;
  /** Offset after the last byte that was read. */
  end: number;
  /** Which of `STOCKS` `bytes` is from; -1 for one made to hold the initial bytes. */
  #level: number;
  /** `end` after the last `carry`, as long as nothing was read since. */
  #carriedEnd = -1;

  /**
   * @param headroom Bytes that stay free before the first one read.
   * @param initial Bytes that are already there; copied.
   */
  constructor(headroom: number, initial: Uint8Array) {
    const size = headroom + initial.length;
    this.#level = STOCKS.findIndex(({ sizeBytes }) => sizeBytes > size && sizeBytes <= SMALL_SIZE);
    this.bytes = STOCKS[this.#level]?.take() ?? new Uint8Array(size);
    this.bytes.set(initial, headroom);
    this.start = headroom;
    this.end = headroom + initial.length;
  }

  /** The free room after the bytes, at most `most` bytes of it: where the next read goes. */
  room(most = Infinity): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.end, Math.min(this.bytes.length, this.end + Math.floor(most)));
  }

  /** Whether there is room for as much again behind what is there, which a smaller buffer would not have. */
  get hasRoomBehind(): boolean {
    const used = this.end - this.start;
    const smaller = this.#level === 0 ? 0 : STOCKS[this.#level - 1]?.sizeBytes ?? Infinity;
    return used <= this.bytes.length / 2 && used > smaller / 2;
  }

  /** Moves the bytes from `from` on to the beginning, for the next read, and sizes the buffer for it. */
  carry(from: number): void {
    // Nothing was read since, which says nothing about how much the peer sends.
    if (from === this.start && this.end === this.#carriedEnd) return;
    const used = this.end - this.start;
    const kept = this.end - from;
    const level = this.#level;
    const larger = this.end === this.bytes.length ? STOCKS[level + 1] : undefined;
    const smaller = STOCKS[level < 0 ? 1 : level - 1];
    if (larger?.hasMore) this.#move(level + 1, from);
    else if (smaller !== undefined && used <= smaller.sizeBytes / 2) {
      this.#move(level < 0 ? 1 : level - 1, from);
    } else if (kept > 0) this.bytes.copyWithin(this.start, from, this.end);
    this.end = this.#carriedEnd = this.start + kept;
  }

  /** Gives back what was borrowed; the buffer must not be used after that. */
  release(): void {
    STOCKS[this.#level]?.giveBack(this.bytes);
    this.#level = -1;
  }

  #move(level: number, from: number): void {
    const old = this.bytes;
    this.bytes = STOCKS[level]!.take();
    this.bytes.set(old.subarray(from, this.end), this.start);
    STOCKS[this.#level]?.giveBack(old);
    this.#level = level;
  }
}
