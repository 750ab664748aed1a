// The buffers of connections: small while little comes, large while much does, and used again and again.

/** Bytes of a small buffer, which each direction of a connection has. */
export const SMALL_SIZE = 4096;
/** Room for a message of 16 KiB in one read; with more, a hundred stalled peers would hold megabytes. */
const LARGE_SIZE = 24_576;

/** A stock of buffers of one size. Garbage of this kind is collected late, and looks like a leak until then. */
class Stock {
  readonly #sizeBytes: number;
  readonly #mostSpare: number;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  /** How many are in use. */
  taken = 0;

  constructor(sizeBytes: number, mostSpare: number) {
    this.#sizeBytes = sizeBytes;
    this.#mostSpare = mostSpare;
  }

  take(): Uint8Array<ArrayBuffer> {
    this.taken++;
    return this.#spare.pop() ?? new Uint8Array(this.#sizeBytes);
  }

  giveBack(bytes: Uint8Array<ArrayBuffer>): void {
    this.taken--;
    if (this.#spare.length < this.#mostSpare) this.#spare.push(bytes);
    else bytes.buffer.transfer(0);
  }
}

/** How many large buffers may be in use at once, over all connections; who gets none goes on with its small one. */
const MAX_LARGE = 256;

const small = new Stock(SMALL_SIZE, 1024);
const large = new Stock(LARGE_SIZE, 64);

/** A small buffer, with anything in it; to be given back by `giveSmallBuffer` when nothing refers to it any more. */
export function takeSmallBuffer(): Uint8Array<ArrayBuffer> {
  return small.take();
}

/** Gives a buffer of `takeSmallBuffer` back. */
export function giveSmallBuffer(bytes: Uint8Array<ArrayBuffer>): void {
  small.giveBack(bytes);
}

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
  #stock: Stock | undefined;

  /**
   * @param headroom Bytes that stay free before the first one read.
   * @param initial Bytes that are already there; copied. The caller moves `end` past them.
   */
  constructor(headroom: number, initial: Uint8Array) {
    const isSmall = headroom + initial.length <= SMALL_SIZE;
    this.#stock = isSmall ? small : undefined;
    this.bytes = isSmall ? small.take() : new Uint8Array(headroom + initial.length);
    this.bytes.set(initial, headroom);
    this.start = headroom;
    this.end = headroom;
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
    if (this.#stock !== large && isFull && large.taken < MAX_LARGE) this.#move(large, from);
    else if (this.#stock !== small && used <= SMALL_SIZE / 2) this.#move(small, from);
    else if (kept > 0) this.bytes.copyWithin(this.start, from, this.end);
    this.end = this.start + kept;
  }

  /** Gives back what was borrowed; the buffer must not be used after that. */
  release(): void {
    this.#stock?.giveBack(this.bytes);
    this.#stock = undefined;
  }

  #move(stock: Stock, from: number): void {
    const old = this.bytes;
    this.bytes = stock.take();
    this.bytes.set(old.subarray(from, this.end), this.start);
    this.#stock?.giveBack(old);
    this.#stock = stock;
  }
}
