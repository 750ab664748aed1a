// Tables for people: columns side by side, and nothing in them that could paint the terminal.

import { escapeText } from "../../core/visible_text.ts";

export { escapeText };

/** Rows under a head, in columns two spaces apart; invisible characters are written as `\u{...}`. */
export function formatColumns(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => escapeText(String(cell ?? ""))))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n");
}
