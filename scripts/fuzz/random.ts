// Random choices that can be repeated: the same seed gives the same choices on every machine.

/** A stream of choices (mulberry32). */
export class Random {
  #state: number;

  /** The seed of a run and the number of a case: a change to either gives an unrelated stream. */
  constructor(seed: number, stream: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 0x7f4a7c15, 0xc2b2ae35);
    for (let i = 0; i < 4; i++) this.next();
  }

  /** An integer of 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** An integer from 0 to `end`, excluding `end`. */
  below(end: number): number {
    return Math.floor(this.next() / 2 ** 32 * end);
  }

  /** True with the probability `share`, from 0 to 1. */
  chance(share: number): boolean {
    return this.next() / 2 ** 32 < share;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  bytes(size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = this.next();
    return bytes;
  }

  /** `bytes` in pieces, in order: whole, byte by byte, or cut anywhere. */
  cut(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
    const kind = this.below(4);
    if (kind === 0) return [bytes];
    const longest = kind === 1 && bytes.length < 2000 ? 1 : kind === 2 ? 20 : Math.max(1, bytes.length);
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    // Only small inputs are cut into small pieces alone, because many pieces cost much.
    const least = Math.ceil(bytes.length / 200);
    for (let at = 0; at < bytes.length;) {
      const size = Math.max(least, 1 + this.below(longest));
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    return pieces;
  }
}
