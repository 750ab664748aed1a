// The buffer of one direction of one connection: small while little comes, large while much does.

const SMALL_SIZE = 4096;
const LARGE_SIZE = 65536;

/** How many large buffers may exist at once, over all connections. A connection that gets none goes on with its small one. */
const MAX_LARGE = 256;

const spare: Uint8Array<ArrayBuffer>[] = [];
let taken = 0;

/**
 * Bytes that were read, with free room before them and a carry from one read to the next.
 *
 * An idle connection keeps 4 KiB; a full read borrows 64 KiB from a bounded stock that all connections share.
 */
export class ReadBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  /** Offset of the first byte: always the headroom. */
  readonly start: number;
  /** Offset after the last byte that was read. */
  end: number;
  readonly #small: Uint8Array<ArrayBuffer>;

  /**
   * @param headroom Bytes that stay free before the first one read.
   * @param initial Bytes that are already there; copied. The caller moves `end` past them.
   */
  constructor(headroom: number, initial: Uint8Array) {
    this.#small = new Uint8Array(Math.max(SMALL_SIZE, headroom + initial.length));
    this.#small.set(initial, headroom);
    this.bytes = this.#small;
    this.start = headroom;
    this.end = headroom;
  }

  /** The free room after the bytes, at most `most` bytes of it: where the next read goes. */
  room(most = Infinity): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.end, Math.min(this.bytes.length, this.end + Math.floor(most)));
  }

  /** Keeps the bytes from `from` to the end as the first ones of the next read, and sizes the buffer for it. */
  carry(from: number): void {
    const wasFull = this.end === this.bytes.length;
    const kept = this.end - from;
    const old = this.bytes;
    const used = this.end - this.start;
    if (wasFull && old === this.#small && taken < MAX_LARGE) {
      taken++;
      this.bytes = spare.pop() ?? new Uint8Array(LARGE_SIZE);
    } else if (old !== this.#small && used <= SMALL_SIZE / 2) {
      this.bytes = this.#small;
    }
    if (this.bytes !== old) this.bytes.set(old.subarray(from, this.end), this.start);
    else if (kept > 0) old.copyWithin(this.start, from, this.end);
    this.end = this.start + kept;
    if (this.bytes === this.#small && old !== this.#small) giveBack(old);
  }

  /** Gives back what was borrowed; the buffer must not be used after that. */
  release(): void {
    if (this.bytes !== this.#small) giveBack(this.bytes);
    this.bytes = this.#small;
  }
}

function giveBack(bytes: Uint8Array<ArrayBuffer>): void {
  taken--;
  spare.push(bytes);
}
