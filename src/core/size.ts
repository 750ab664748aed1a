// Sizes in bytes as people write them: 512B, 64KiB, 1MB.

const UNIT_BYTES: Readonly<Record<string, number>> = {
  GiB: 2 ** 30,
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  GB: 1e9,
  MB: 1e6,
  kB: 1e3,
  B: 1,
};
const FORM = /^(\d+)(B|[KMG]iB|[kMG]B)$/;

/**
 * Reads a size such as `"64KiB"` and returns bytes, exactly: one whole number with one unit (B, KiB, MiB, GiB, or the
 * decimal kB, MB, GB). Anything else, and what a number cannot hold exactly, is `undefined`.
 */
export function parseSize(text: string): number | undefined {
  const [, count, unit] = FORM.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const bytes = Number(count) * (UNIT_BYTES[unit] ?? NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
