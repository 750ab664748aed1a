// Bytes as text of which each character is one byte.

/** Characters made by one call: a safe number of arguments. */
const CHUNK = 4096;

/** The bytes from `start` to `end` as ISO 8859-1. Never fails, and needs no decoder, which takes long to load. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  for (let at = start; at < end; at += CHUNK) {
    // `apply` takes anything with a length, though its type says an array. Spreading uses an iterator and is eight
    // times as slow.
    const codes = bytes.subarray(at, Math.min(at + CHUNK, end)) as unknown as number[];
    text += String.fromCharCode.apply(null, codes);
  }
  return text;
}
