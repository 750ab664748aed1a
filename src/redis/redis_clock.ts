// The earliest time that it can be at Redis, so that a command that was given up here is given up there too.

/** How far two clocks may drift apart, as a share of the time that passes: ten times the drift of bad quartz clocks. */
const DRIFT = 0.001;

/**
 * Knows the difference between the clock of Redis and a monotonic clock of ours, from times that Redis sent between our
 * question and its answer.
 */
export class RedisClock {
  #lowest = -Infinity;
  #highest = Infinity;
  #observedMs = 0;

  /**
   * Takes in that Redis showed `redisMs` at some moment between two of ours.
   *
   * @returns By how much its clock was set ahead since then, at least, in milliseconds; 0 if it was not.
   */
  observe(redisMs: number, askedMs: number, answeredMs: number): number {
    const lowest = redisMs - answeredMs;
    // Redis counts whole milliseconds.
    const highest = redisMs + 1 - askedMs;
    const driftMs = (answeredMs - this.#observedMs) * DRIFT;
    const aheadMs = Math.max(0, lowest - this.#highest - driftMs);
    this.#observedMs = answeredMs;
    this.#lowest = Math.max(this.#lowest - driftMs, lowest);
    this.#highest = Math.min(this.#highest + driftMs, highest);
    if (this.#lowest <= this.#highest) return 0;
    // One of the clocks was set: what was known before is worth nothing.
    this.#lowest = lowest;
    this.#highest = highest;
    return aheadMs;
  }

  /** The earliest that it can be at Redis at a moment of ours, in milliseconds since the Unix epoch. */
  earliest(ownMs: number): number {
    return ownMs + this.#lowest;
  }
}
