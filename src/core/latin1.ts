// Bytes as text of which each character is one byte.

/** The bytes from `start` to `end` as ISO 8859-1: never fails, and costs no decoder, which takes long to load. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
