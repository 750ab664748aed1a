// Points in time as the session protocol writes them.

/** The last moment that a `Date` can hold (ECMA-262), in milliseconds since the Unix epoch. */
const MAX_DATE_MS = 8.64e15;

/** A time in UTC as of RFC 3339, from milliseconds since the Unix epoch: `2030-01-02T03:04:05.678Z`. */
export function formatTime(timeMs: number): string {
  return new Date(Math.min(timeMs, MAX_DATE_MS)).toISOString();
}
