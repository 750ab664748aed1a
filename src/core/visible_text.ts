// Text from others, made safe to show.

/** Text without anything that could move a cursor, break a line or reorder what is shown: such characters become `\u{...}`. */
export function escapeText(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** As {@linkcode escapeText}, at most `maxLength` characters, with the number of those that were cut off. */
export function escapeShort(text: string, maxLength: number): string {
  if (text.length <= maxLength) return escapeText(text);
  return `${escapeText(text.slice(0, maxLength))}... (${text.length - maxLength} more)`;
}

/** Bytes in hexadecimal, at most `maxBytes`, with the number of those that were cut off. */
export function hexOf(bytes: Uint8Array, maxBytes = 32): string {
  const shown = Array.from(bytes.subarray(0, maxBytes), (byte) => byte.toString(16).padStart(2, "0")).join(
    " ",
  );
  return bytes.length <= maxBytes ? shown : `${shown} ... (${bytes.length - maxBytes} more)`;
}
