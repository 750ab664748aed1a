// Tables for people: columns side by side, and nothing in them that could paint the terminal.

/** Rows under a head, in columns two spaces apart; invisible characters are written as `\u{...}`. */
export function formatColumns(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => escapeText(String(cell ?? ""))))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

/** Text without anything that could move a cursor, break a line or reorder what is shown. */
export function escapeText(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
