// Bytes as text of which each character is one byte.

/** How many characters are made at once: as many arguments a call can have in any case. */
const CHUNK = 4096;

/** The bytes from `start` to `end` as ISO 8859-1: never fails, and costs no decoder, which takes long to load. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  for (let at = start; at < end; at += CHUNK) {
    // It takes whatever has a length, but its type says an array; spreading is an iterator, and eight times as slow.
    const codes = bytes.subarray(at, Math.min(at + CHUNK, end)) as unknown as number[];
    text += String.fromCharCode.apply(null, codes);
  }
  return text;
}
