// JSON that is safe to show on a terminal.

/** A value as JSON, in one line without `indent`. What could move a cursor or reorder the text is escaped. */
export function jsonLine(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  // Outside of strings JSON has none of these, except for the line breaks of an indented one.
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === "\n") return character;
    let escaped = "";
    for (let i = 0; i < character.length; i++) {
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
