// Claims as header values: visible ASCII, and never the same text for two different ones.

const HEX = "0123456789ABCDEF";

/**
 * `text` as visible ASCII: everything else, and `%`, is percent-encoded as UTF-8. Different texts stay different: half
 * a surrogate pair, which UTF-8 can't write, is encoded as the three bytes that it would have.
 */
export function encodeHeaderValue(text: string): string {
  let value = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code > 0x20 && code < 0x7f && code !== 0x25) value += character;
    else for (const byte of bytesOf(code)) value += `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
  }
  return value;
}

function bytesOf(code: number): readonly number[] {
  if (code < 0x80) return [code];
  const last = 0x80 | (code & 63);
  if (code < 0x800) return [0xc0 | (code >> 6), last];
  const middle = 0x80 | ((code >> 6) & 63);
  if (code < 0x10000) return [0xe0 | (code >> 12), middle, last];
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), middle, last];
}

/** A claim as a header value: text as it is, numbers, truth values, lists and objects as JSON; undefined for a missing one. */
export function encodeClaim(claim: unknown): string | undefined {
  if (claim === undefined) return undefined;
  return encodeHeaderValue(typeof claim === "string" ? claim : JSON.stringify(claim));
}
