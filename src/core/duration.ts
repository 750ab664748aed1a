// Durations as people write them: 250ms, 10s, 1h30m.

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;
const FORM = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/**
 * Reads a duration such as `"1h30m"` and returns milliseconds, exactly: whole numbers with a unit each (d, h, m, s,
 * ms), the largest unit first, none twice. Anything else, and what a number cannot hold exactly, is `undefined`.
 */
export function parseDuration(text: string): number | undefined {
  const counts = FORM.exec(text);
  if (counts === null || text === "") return undefined;
  const ms = UNITS.reduce((sum, [, unitMs], index) => sum + Number(counts[index + 1] ?? 0) * unitMs, 0);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/**
 * Writes milliseconds in the form that {@linkcode parseDuration} reads, so that nothing is lost: 5400000 is `"1h30m"`.
 * What has no such form (a fraction, a negative number) is written as it is, followed by `ms`.
 */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (!Number.isSafeInteger(ms) || ms < 0) return `${ms}ms`;
  let text = "";
  let rest = ms;
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}
