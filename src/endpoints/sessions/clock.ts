// Time as the endpoints see it; tests use a manual clock.
import { afterAwake } from "../../core/standstill.ts";

/** Stops a timer; harmless after it has rung and when called again. */
export type Cancel = () => void;

/** The source of time: dates that may jump, and delays that never do. */
export interface Clock {
  /** Milliseconds since the Unix epoch, by the wall clock: it may jump, forwards and backwards. */
  now(): number;
  /** Milliseconds since any fixed moment, by a clock that never jumps: for durations. */
  elapsed(): number;
  /** Calls `ring` once after `delayMs`, from 0 to `MAX_DELAY_MS`, and not right after the process stood still. */
  after(delayMs: number, ring: () => void): Cancel;
}

/** The longest delay, in milliseconds, that `setTimeout` honours (24.8 days); a longer one rings at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** How often the wall clock is checked while waiting for a date, in milliseconds. */
export const DATE_CHECK_INTERVAL_MS = 60_000;

/** The machine's own time. */
export const SYSTEM_CLOCK: Clock = { now: Date.now, elapsed: () => performance.now(), after: afterAwake };

/**
 * Calls `ring` once when the clock shows `timeMs` (since the epoch, `Infinity` for never) or later, never synchronously, and
 * not at all from `endMs` on. A clock that was set, or went on while the machine was suspended, is noticed within a minute.
 */
export function ringAt(clock: Clock, timeMs: number, ring: () => void, endMs = Infinity): Cancel {
  let cancel = arm();
  return () => cancel();

  function arm(): Cancel {
    const remainingMs = Math.max(0, timeMs - clock.now());
    return clock.after(Math.min(remainingMs, DATE_CHECK_INTERVAL_MS), () => {
      const nowMs = clock.now();
      if (nowMs < timeMs) cancel = arm();
      else if (nowMs < endMs) ring();
    });
  }
}
