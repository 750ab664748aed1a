// UTF-8 as it arrives: in pieces, masked, and refused at the first byte that can't be part of it (RFC 3629).

/**
 * Checks a text that comes in pieces, under the mask it was sent with. Nothing is copied or unmasked in place.
 * After `accepts` has returned false the validator must be `reset`.
 */
export class Utf8Validator {
  /** Continuation bytes that the current code point still needs. */
  #missing = 0;
  /** The range of the next continuation byte; narrower than 80..BF after E0, ED, F0 and F4. */
  #low = 0x80;
  #high = 0xbf;

  /** Forgets everything: the next byte starts a text. */
  reset(): void {
    this.#missing = 0;
    this.#low = 0x80;
    this.#high = 0xbf;
  }

  /** Whether the text may end here, which it may not inside a code point. */
  get isComplete(): boolean {
    return this.#missing === 0;
  }

  /**
   * Takes the bytes from `start` to `end`, of which the first is masked with the highest byte of `maskKey`.
   *
   * @returns False at the first byte that makes the text invalid.
   */
  accepts(bytes: Uint8Array, start: number, end: number, maskKey: number): boolean {
    let missing = this.#missing;
    let low = this.#low;
    let high = this.#high;
    for (let i = start; i < end; i++) {
      const byte = bytes[i]! ^ ((maskKey >>> (24 - ((i - start) & 3) * 8)) & 255);
      if (missing > 0) {
        if (byte < low || byte > high) return false;
        missing--;
        low = 0x80;
        high = 0xbf;
      } else if (byte < 0x80) {
        // Most text is ASCII: from here, four bytes at a time while none of them has its high bit set.
        if (((i - start) & 3) === 3) i = skipAscii(bytes, i + 1, end, maskKey) - 1;
      } else if (byte < 0xc2 || byte > 0xf4) {
        return false;
      } else if (byte < 0xe0) {
        missing = 1;
      } else if (byte < 0xf0) {
        missing = 2;
        if (byte === 0xe0) low = 0xa0;
        else if (byte === 0xed) high = 0x9f;
      } else {
        missing = 3;
        if (byte === 0xf0) low = 0x90;
        else if (byte === 0xf4) high = 0x8f;
      }
    }
    this.#missing = missing;
    this.#low = low;
    this.#high = high;
    return true;
  }
}

/** The first offset from `at`, in steps of four, whose four bytes are not all ASCII under `maskKey`. */
function skipAscii(bytes: Uint8Array, at: number, end: number, maskKey: number): number {
  const highBits = maskKey & 0x80808080;
  const stop = end - 3;
  while (at < stop) {
    const word = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (((word & 0x80808080) ^ highBits) !== 0) break;
    at += 4;
  }
  return at;
}
