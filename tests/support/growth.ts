// How much longer work takes on a larger input, measured so that other work on the machine does not count.

/** What is shorter says nothing, in milliseconds. */
const LEAST_MS = 0.4;

/** How growth is measured. */
export interface Measuring {
  /** How long to go on until it is believed to be what it seems, in milliseconds; 20 seconds by default. */
  readonly patienceMs?: number;
  /** Does some work and returns how many milliseconds that took. */
  readonly stopwatch?: (work: () => unknown) => number | Promise<number>;
}

/** The shortest times that work took, in milliseconds. */
export interface Growth {
  readonly smallerMs: number;
  readonly largerMs: number;
  /** How many times as long the larger one took; 0 if it was too short to compare. */
  readonly times: number;
}

/**
 * Measures two pieces of work in turns until the larger one takes at most `mostTimes` times as long as the smaller one
 * and at most `mostMs`; gives up when that has not been so for long. Other work on the machine makes a time longer and
 * never shorter, so the shortest time counts, and it is looked for only as long as that might help.
 */
export async function measureGrowth(
  smaller: () => unknown,
  larger: () => unknown,
  { mostTimes, mostMs = Infinity }: { mostTimes: number; mostMs?: number },
  { patienceMs = 20_000, stopwatch = timeOf }: Measuring = {},
): Promise<Growth> {
  const startedMs = performance.now();
  let [smallerMs, largerMs] = [Infinity, Infinity];
  for (let round = 1;; round++) {
    smallerMs = Math.min(smallerMs, await stopwatch(smaller));
    largerMs = Math.min(largerMs, await stopwatch(larger));
    const times = largerMs < LEAST_MS ? 0 : largerMs / smallerMs;
    // The first rounds compile the code.
    const isGood = round >= 3 && times <= mostTimes && largerMs <= mostMs;
    if (isGood || (round >= 5 && performance.now() - startedMs > patienceMs)) {
      return { smallerMs, largerMs, times };
    }
  }
}

async function timeOf(work: () => unknown): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
