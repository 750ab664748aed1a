// What time limits mean for a connection: a function of times, without a clock.

import type { Violation } from "../violation.ts";

/** The limits on time, in milliseconds; `Infinity` for none. */
export interface TimeLimits {
  readonly idleTimeout: number;
  readonly pingInterval: number;
  readonly pingTimeout: number;
  readonly sendTimeout: number;
  readonly messageTimeout: number;
  readonly maxLifetime: number;
}

/** When things last happened, in milliseconds of one clock. */
export interface Times {
  openedMs: number;
  /** The last byte from the peer, or the last time it was not being read. */
  heardMs: number;
  /** The last message in either direction, or progress of one from the peer. */
  dataMs: number;
  /** The last byte that the peer took, or the last time nothing was waiting for it. */
  sentMs: number;
  /** When the peer's unfinished message last grew by `MESSAGE_PROGRESS`, `Infinity` without one. */
  messageMs: number;
  /** When the unanswered Ping was sent, `Infinity` without one. */
  pingMs: number;
  /** Whether it is not read now, so that its silence says nothing. */
  isUnread: boolean;
}

/**
 * An unfinished message makes progress when it has grown by this many bytes: 17 bytes a second with the default
 * timeout.
 */
export const MESSAGE_PROGRESS = 1024;

/** What to do now: send a Ping, end the connection for a limit, or nothing. */
export function judgeTimes(times: Times, limits: TimeLimits, nowMs: number): "ping" | Violation | undefined {
  if (nowMs - times.sentMs >= limits.sendTimeout) {
    return late("send_timeout", "the peer does not read", limits.sendTimeout, nowMs - times.sentMs);
  }
  if (nowMs - times.openedMs >= limits.maxLifetime) {
    const reason = "the connection has reached its longest lifetime";
    return late("max_lifetime", reason, limits.maxLifetime, nowMs - times.openedMs);
  }
  if (nowMs - times.messageMs >= limits.messageTimeout) {
    const reason = "the rest of a message did not come in time";
    return late("message_timeout", reason, limits.messageTimeout, nowMs - times.messageMs);
  }
  if (nowMs - times.dataMs >= limits.idleTimeout) {
    return late("idle_timeout", "no message came in time", limits.idleTimeout, nowMs - times.dataMs);
  }
  if (nowMs - times.pingMs >= limits.pingTimeout) {
    // Its answer waits behind what was not read. But the system of a peer that is gone answers with a reset, at which
    // the next write fails.
    if (times.isUnread) return "ping";
    return late("ping_timeout", "no answer to a Ping", limits.pingTimeout, nowMs - times.pingMs);
  }
  return nowMs - times.heardMs >= limits.pingInterval && times.pingMs === Infinity ? "ping" : undefined;
}

/** Moves all times by `byMs`, for which the process stood still and could not see what peers did. */
export function excuse(times: Times, byMs: number): void {
  times.openedMs += byMs;
  times.heardMs += byMs;
  times.dataMs += byMs;
  times.sentMs += byMs;
  times.messageMs += byMs;
  times.pingMs += byMs;
}

/** Limits are given in milliseconds and recorded in seconds. */
function late(
  rule: "send_timeout" | "max_lifetime" | "message_timeout" | "idle_timeout" | "ping_timeout",
  reason: string,
  limitMs: number,
  valueMs: number,
): Violation {
  return { rule, code: 3008, reason, limit: limitMs / 1000, value: Math.round(valueMs) / 1000 };
}
