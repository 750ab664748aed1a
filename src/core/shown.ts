// How addresses, words and times are written in URLs, for a shell and in JSON.

/** A host as a URL has it: an IPv6 address in brackets. */
export function urlHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** What a POSIX shell takes as it is, the address in `[::1]:80` included. */
const PLAIN = /^([\p{L}\p{N}_./@:+,=-]|\[[\da-f.]*:[\da-f:.]*\])+$/iu;

/** A word for a POSIX shell, in quotes where it needs them. */
export function quoteForShell(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The last moment that a `Date` can hold (ECMA-262), in milliseconds since the Unix epoch. */
const MAX_DATE_MS = 8.64e15;

/** A time in UTC by RFC 3339, from milliseconds since the Unix epoch: `2030-01-02T03:04:05.678Z`. */
export function formatTime(timeMs: number): string {
  return new Date(Math.min(timeMs, MAX_DATE_MS)).toISOString();
}
