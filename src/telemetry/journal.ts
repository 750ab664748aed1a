// The journal of systemd: whether stderr goes there, and how severe a line is in its terms. See sd-daemon(3).

import type { LogLevel } from "./event_declaration.ts";

/** Numbers of syslog, in brackets, for the beginning of a line. */
export const PRIORITIES: Readonly<Record<LogLevel, string>> = {
  debug: "<7>",
  info: "<6>",
  warning: "<4>",
  error: "<3>",
  fatal: "<2>",
};

/**
 * Whether stderr is the stream that `journalStream`, the variable JOURNAL_STREAM, names by its device and inode: a program
 * that was started from a service inherits the variable too, but has another stderr.
 */
export function isJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined || Deno.stderr.isTerminal()) return false;
  // The runtime's own functions can't look at an open stream. Loaded late: it takes long.
  const { dev, ino } = globalThis.process.getBuiltinModule("node:fs").fstatSync(2);
  return journalStream === `${dev}:${ino}`;
}
