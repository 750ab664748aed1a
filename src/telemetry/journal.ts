// The journal of systemd: whether stderr goes there, and the priorities of its lines. See sd-daemon(3).

import type { LogLevel } from "./event_declaration.ts";

/** Syslog priorities in angle brackets, to be put before a line. */
export const PRIORITIES: Readonly<Record<LogLevel, string>> = {
  debug: "<7>",
  info: "<6>",
  warning: "<4>",
  error: "<3>",
  fatal: "<2>",
};

/**
 * Whether stderr is the stream that `journalStream`, the variable JOURNAL_STREAM, names by device and inode. A program
 * that a service has started inherits the variable, but may have another stderr.
 */
export function isJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined || Deno.stderr.isTerminal()) return false;
  // Deno's own functions can't inspect an open stream. Loaded late: it takes long.
  const { dev, ino } = globalThis.process.getBuiltinModule("node:fs").fstatSync(2);
  return journalStream === `${dev}:${ino}`;
}
