// Points in time in words: 2026-01-31T12:00:00Z (in 3m20s).

import { formatDuration } from "../../core/duration.ts";

/** A time as a date, with its distance from now in whole seconds. Both times are in milliseconds since 1970. */
export function describeTime(timeMs: number, nowMs: number): string {
  const date = new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
  const distance = formatDuration(Math.floor(Math.abs(timeMs - nowMs) / 1000) * 1000);
  if (distance === "0s") return `${date} (now)`;
  return `${date} (${timeMs > nowMs ? `in ${distance}` : `${distance} ago`})`;
}
