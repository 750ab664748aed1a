// Time in which the process did not run: it was stopped by a signal, its container or machine was paused, or its event
// loop was blocked.

/** From how late a call on, in milliseconds, the loop counts as having stood still. */
export const STANDSTILL_MS = 1000;

/** How long after a standstill, in milliseconds, peers are given: what they sent meanwhile has to be read first. */
export const GRACE_MS = 1000;

/**
 * Measures standstills for something that checks deadlines again and again. A peer's deadline is moved by what `tick`
 * returns: what the peer sent meanwhile has arrived, but was not read.
 */
export class StandstillMeter {
  readonly #everyMs: number;
  #tickedAtMs: number;
  #lateMs = 0;

  /** `everyMs` is how often `tick` is called; times are those of one monotonic clock, in milliseconds. */
  constructor(everyMs: number, nowMs: number) {
    this.#everyMs = everyMs;
    this.#tickedAtMs = nowMs;
  }

  /** How much later than planned the last call came, in milliseconds. */
  get lateMs(): number {
    return this.#lateMs;
  }

  /** How long the loop stood still since the last call, at least {@linkcode STANDSTILL_MS}; 0 if it did not. */
  tick(nowMs: number): number {
    const lateMs = this.#lateMs = nowMs - this.#tickedAtMs - this.#everyMs;
    this.#tickedAtMs = nowMs;
    return lateMs >= STANDSTILL_MS ? lateMs : 0;
  }
}

/** How a deadline is measured; tests use a clock of their own. */
export interface AwakeTimer {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Calls `ring` once after a delay, and returns a function that stops it. */
  readonly after: (delayMs: number, ring: () => void) => () => void;
}

const MACHINE: AwakeTimer = {
  now: () => performance.now(),
  after(delayMs, ring) {
    const timer = setTimeout(ring, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Calls `ring` once after `delayMs`, but not right after a standstill: there were at least {@linkcode GRACE_MS} (or the whole
 * delay, if it is shorter) before it in which the loop ran, so that what has arrived by then was read.
 *
 * @returns Stops it; harmless after it has rung and when called again.
 */
export function afterAwake(delayMs: number, ring: () => void, timer = MACHINE): () => void {
  const lastMs = Math.min(delayMs, GRACE_MS);
  let graces = MAX_GRACES;
  let cancel = timer.after(delayMs - lastMs, waitAwake);
  return () => cancel();

  function waitAwake(): void {
    const dueAtMs = timer.now() + lastMs;
    cancel = timer.after(lastMs, () => {
      if (timer.now() - dueAtMs < LATE_MS || graces-- === 0) ring();
      else waitAwake();
    });
  }
}

/** How late the last wait may end, in milliseconds; if it is later, the loop was busy and the wait is repeated. */
const LATE_MS = 250;

/** How often that wait is repeated: a loop that is always late must not keep silent peers for ever. */
const MAX_GRACES = 10;

/**
 * The same for a deadline that is checked again and again: one timer serves many of them, and a deadline that is kept
 * needs none.
 */
export class AwakeDeadline {
  readonly #graceMs: number;
  #dueMs: number;
  #graces = MAX_GRACES;

  /** Times are those of one monotonic clock, in milliseconds. */
  constructor(delayMs: number, nowMs: number) {
    this.#dueMs = nowMs + delayMs;
    this.#graceMs = Math.min(delayMs, GRACE_MS);
  }

  /** Whether it is over. `lateMs` is how much later than planned this call comes. */
  isOver(nowMs: number, lateMs: number): boolean {
    if (lateMs >= LATE_MS && this.#graces > 0 && this.#dueMs < nowMs + this.#graceMs) {
      this.#graces--;
      this.#dueMs = nowMs + this.#graceMs;
    }
    return nowMs >= this.#dueMs;
  }
}
