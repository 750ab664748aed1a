// Unmasking a payload in place (RFC 6455 §5.3).

import { rotateMaskKey } from "./frame.ts";

/** From this many bytes on, unmasking by words pays for the view that it needs. */
const WORDS_FROM = 64;

const keyWord = new Uint32Array(1);
const keyBytes = new DataView(keyWord.buffer);
/** The last buffer, as words: connections share a few buffers, so the next call often has the same one. */
let words: Uint32Array<ArrayBufferLike> = keyWord;

/**
 * Takes the mask off the bytes from `start` to `end`, in place, or puts it on.
 *
 * @param maskKey The key for the byte at `start`, that byte's part in the highest bits.
 */
export function unmask(bytes: Uint8Array, start: number, end: number, maskKey: number): void {
  let at = start;
  if (end - start >= WORDS_FROM) {
    while (((bytes.byteOffset + at) & 3) !== 0) {
      bytes[at]! ^= (maskKey >>> (24 - ((at - start) & 3) * 8)) & 255;
      at++;
    }
    // The words are in the machine's byte order, and so must the key be.
    keyBytes.setUint32(0, rotateMaskKey(maskKey, at - start));
    const key = keyWord[0]!;
    if (words.buffer !== bytes.buffer) words = new Uint32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2);
    const stop = (bytes.byteOffset + end) >> 2;
    for (let word = (bytes.byteOffset + at) >> 2; word < stop; word++) words[word]! ^= key;
    at = (stop << 2) - bytes.byteOffset;
  }
  const k0 = maskKey >>> 24;
  const k1 = (maskKey >>> 16) & 255;
  const k2 = (maskKey >>> 8) & 255;
  const k3 = maskKey & 255;
  for (let i = at - start; at < end; at++, i++) {
    const phase = i & 3;
    bytes[at]! ^= phase === 0 ? k0 : phase === 1 ? k1 : phase === 2 ? k2 : k3;
  }
}
