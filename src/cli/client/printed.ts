// What commands print: tables and times for people, JSON for programs, with everything escaped that could paint the
// terminal.

import { escapeText } from "../../core/visible_text.ts";

export { escapeText };

/** Rows under a head, in columns two spaces apart; invisible characters are written as `\u{...}`. */
export function formatColumns(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => escapeText(String(cell ?? ""))))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

/** Prints JSON with invisible characters escaped. */
export async function printJson(value: unknown): Promise<void> {
  const { escapeInvisible } = await import("../../auth/inspection.ts");
  console.log(escapeInvisible(JSON.stringify(value)));
}

/** A time of RFC 3339, without fractions of a second. */
export function shortTime(time: unknown): string {
  return String(time).replace(/\.\d+Z$/, "Z");
}

/** What to add about a change that not all nodes know of yet. */
export function notEverywhere(answer: unknown): string {
  return Object(answer).everywhere === false
    ? ", but not everywhere yet: the other nodes are told when Redis is back"
    : "";
}
