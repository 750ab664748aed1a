// How addresses, words and times are written where others read them: in URLs, for a shell, in JSON.

/** A host as it stands in a URL: an IPv6 address in brackets. */
export function urlHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** What a POSIX shell takes as it is, the address in `[::1]:80` included. */
const PLAIN = /^([\p{L}\p{N}_./@:+,=-]|\[[\da-f.]*:[\da-f:.]*\])+$/iu;

/** A word as a POSIX shell takes it: in quotes where it would not be taken as it is. */
export function quoteForShell(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The last moment that a `Date` can hold (ECMA-262), in milliseconds since the Unix epoch. */
const MAX_DATE_MS = 8.64e15;

/** A time in UTC as of RFC 3339, from milliseconds since the Unix epoch: `2030-01-02T03:04:05.678Z`. */
export function formatTime(timeMs: number): string {
  return new Date(Math.min(timeMs, MAX_DATE_MS)).toISOString();
}
