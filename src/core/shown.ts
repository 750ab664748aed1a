// How addresses and words are written where others read them: in URLs and for a shell.

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
