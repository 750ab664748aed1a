// Time as the endpoints see it; tests put a clock in its place that moves only when told.

/** Stops a timer; harmless after it has rung and when called again. */
export type Cancel = () => void;

/** The source of time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `ring` once, `delayMs` from now. The delay must be from 0 to `MAX_DELAY_MS`. */
  after(delayMs: number, ring: () => void): Cancel;
}

/** The longest delay, in milliseconds, that `setTimeout` honours (24.8 days); a longer one rings at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** The machine's own time. */
export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  after(delayMs, ring) {
    const timer = setTimeout(ring, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Calls `ring` once when the clock shows `timeMs` (since the epoch, `Infinity` for never) or later, never synchronously. */
export function ringAt(clock: Clock, timeMs: number, ring: () => void): Cancel {
  let cancel = arm();
  return () => cancel();

  function arm(): Cancel {
    const remainingMs = Math.max(0, timeMs - clock.now());
    return clock.after(Math.min(remainingMs, MAX_DELAY_MS), () => {
      if (clock.now() >= timeMs) ring();
      else cancel = arm();
    });
  }
}
