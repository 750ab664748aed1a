// Histograms that are cheap to count in: plain numbers.

/** How often a value was in which range. */
export interface Buckets {
  /** The upper bound of each range, itself included, in ascending order; one more range follows the last. */
  readonly bounds: readonly number[];
  /** How many values were in each range; one longer than `bounds`. */
  readonly counts: readonly number[];
  /** All values added up. */
  readonly sum: number;
}

/** Bounds for how long something lived, in seconds: from a second to a day. */
export const LIFETIME_BOUNDS: readonly number[] = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];

/** Bounds for how long something took, in seconds: from a tenth of a millisecond to a second. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  1,
];

/** A histogram with any bounds. */
export class Histogram implements Buckets {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  /** @param bounds as of {@linkcode Buckets} */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Counts one value. */
  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index++;
    this.counts[index]! += 1;
    this.sum += value;
  }
}

const SIZE_BOUNDS: readonly number[] = Array.from({ length: 14 }, (_, power) => 4 ** power);

/** A histogram of sizes in bytes, from 1 to 64 MiB in powers of 4, for the hot path: it compares nothing. */
export class SizeHistogram implements Buckets {
  readonly bounds = SIZE_BOUNDS;
  readonly counts: number[] = new Array<number>(SIZE_BOUNDS.length + 1).fill(0);
  sum = 0;

  /** Counts one size, a whole number from 0 to 4 GiB. */
  observe(bytes: number): void {
    // Half the number of bits of `bytes - 1`, rounded up.
    const index = bytes <= 1 ? 0 : (33 - Math.clz32(bytes - 1)) >> 1;
    this.counts[index < 14 ? index : 14]! += 1;
    this.sum += bytes;
  }
}

/** How many values were counted. */
export function countOf({ counts }: Buckets): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
