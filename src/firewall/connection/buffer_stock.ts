// The buffers of connections, which are reused: the garbage collector is slow to free them, which looks like a leak.

/** Bytes of the buffer with which a connection waits for an idle peer. */
export const TINY_SIZE = 512;
/** Bytes of a small buffer: enough for what most peers send or are sent at once. */
export const SMALL_SIZE = 4096;
/** Has room for a message of 16 KiB; with larger ones, a hundred stalled peers would hold megabytes. */
export const LARGE_SIZE = 24_576;

/** How many large buffers may be in use, over all connections; beyond that, small ones are used. */
const MAX_LARGE = 256;

/** A stock of buffers of one size. */
export class BufferStock {
  /** Bytes of each buffer. */
  readonly sizeBytes: number;
  readonly #mostSpare: number;
  readonly #mostTaken: number;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #taken = 0;

  constructor(sizeBytes: number, mostSpare: number, mostTaken = Infinity) {
    this.sizeBytes = sizeBytes;
    this.#mostSpare = mostSpare;
    this.#mostTaken = mostTaken;
  }

  /** Whether a buffer may be taken. */
  get hasMore(): boolean {
    return this.#taken < this.#mostTaken;
  }

  /** A buffer with old bytes in it; to be given back when nothing refers to it any more. */
  take(): Uint8Array<ArrayBuffer> {
    this.#taken++;
    return this.#spare.pop() ?? new Uint8Array(this.sizeBytes);
  }

  giveBack(bytes: Uint8Array<ArrayBuffer>): void {
    this.#taken--;
    if (this.#spare.length < this.#mostSpare) this.#spare.push(bytes);
    else bytes.buffer.transfer(0);
  }
}

/** Buffers of `TINY_SIZE`. */
export const tiny = new BufferStock(TINY_SIZE, 4096);
/** Buffers of `SMALL_SIZE`. */
export const small = new BufferStock(SMALL_SIZE, 1024);
/** Buffers of `LARGE_SIZE`. */
export const large = new BufferStock(LARGE_SIZE, 64, MAX_LARGE);
