// UTF-8 as it arrives: in pieces, masked, and refused at the first byte that can't be part of it (RFC 3629).

import { rotateMaskKey } from "./frame.ts";

/** Bytes that are looked at together where all are ASCII. */
const BLOCK_SIZE = 32;

const keyWord = new Uint32Array(1);
const keyBytes = new DataView(keyWord.buffer);

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
  /** The last buffer, as words. */
  #words: Uint32Array = keyWord;

  /** Forgets everything: the next byte starts a text. */
  reset(): void {
    this.#missing = 0;
    this.#low = 0x80;
    this.#high = 0xbf;
  }

  /** Whether the text may end here: not inside a code point. */
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
        // Most text is ASCII: from the next word on it is skipped by words.
        const next = i + 1;
        if (((bytes.byteOffset + next) & 3) === 0 && end - next >= BLOCK_SIZE) {
          i = this.#skipAscii(bytes, next, end, rotateMaskKey(maskKey, next - start)) - 1;
        }
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

  /** The first offset from `at`, in blocks, from which not all bytes are ASCII; `at` must be the start of a word. */
  #skipAscii(bytes: Uint8Array, at: number, end: number, maskKey: number): number {
    if (this.#words.buffer !== bytes.buffer) {
      this.#words = new Uint32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2);
    }
    const words = this.#words;
    // The words are in the machine's byte order, and so must the mask be.
    keyBytes.setUint32(0, maskKey);
    const key = keyWord[0]!;
    let word = (bytes.byteOffset + at) >> 2;
    for (; at + BLOCK_SIZE <= end; at += BLOCK_SIZE, word += 8) {
      const all = (words[word]! ^ key) | (words[word + 1]! ^ key) | (words[word + 2]! ^ key) |
        (words[word + 3]! ^ key) |
        (words[word + 4]! ^ key) | (words[word + 5]! ^ key) | (words[word + 6]! ^ key) |
        (words[word + 7]! ^ key);
      if ((all & 0x80808080) !== 0) break;
    }
    return at;
  }
}
