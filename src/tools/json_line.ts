// JSON that a terminal can be shown.

/** A value as one line of JSON, in which everything is escaped that could move a cursor or reorder what is shown. */
export function jsonLine(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  // Outside of texts JSON has none of these but line breaks, which only an indented one has.
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === "\n") return character;
    let escaped = "";
    for (let i = 0; i < character.length; i++) {
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
