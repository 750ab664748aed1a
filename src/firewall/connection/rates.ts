// How fast a peer may send, and how much of it is dealt with in one turn of the event loop.

import { TokenBucket } from "../../core/token_bucket.ts";
import type { Violation } from "../violation.ts";

/** The limits on rates, per second; `Infinity` for none. */
export interface RateLimits {
  /** Frames of every kind: a fragment costs as much to read as a message. */
  readonly messageRate: number;
  readonly byteRate: number;
  readonly onRateLimit: "throttle" | "close";
}

/** All others wait while the frames of one connection are dealt with. */
const FRAMES_PER_TURN = 64;
/** And when they take so long that few fit into this many milliseconds, for these few only. */
const MOST_TURN_MS = 0.1;

/** How many tokens a throttled peer waits for: a share of a second's worth, so that waking up costs little. */
const REFILL_SHARE = 0.05;
/** How many bytes it is read at the least, unless that is more: each read costs as much as some thousand bytes do. */
const LEAST_READ = 16_384;

/** A rate that is used up, and the milliseconds until some of it is there again. */
export interface UsedUp {
  readonly violation: Violation;
  readonly delayMs: number;
}

/** The rates of one connection. */
export class Rates {
  readonly #limits: RateLimits;
  readonly #frames: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  /** With fewer bytes than these the rate is used up. */
  readonly #leastBytes: number;
  /** Frames dealt with in this turn. */
  #inTurn = 0;
  /** When the turn began: what is spent in it is spent then, for the clock costs more than a frame. */
  #turnMs = performance.now();

  constructor(limits: RateLimits) {
    this.#limits = limits;
    if (limits.messageRate !== Infinity) this.#frames = new TokenBucket(limits.messageRate);
    if (limits.byteRate !== Infinity) this.#bytes = new TokenBucket(limits.byteRate);
    this.#leastBytes = limits.onRateLimit === "close"
      ? 1
      : Math.max(1, Math.min(LEAST_READ, limits.byteRate * REFILL_SHARE));
  }

  /** How many frames may be dealt with in this turn. */
  frames(): number {
    if (this.#inTurn > 0 && performance.now() - this.#turnMs > MOST_TURN_MS) return 0;
    const available = this.#frames?.available(this.#turnMs) ?? Infinity;
    return Math.max(0, Math.min(FRAMES_PER_TURN - this.#inTurn, Math.floor(available)));
  }

  /** The event loop has been with others since the last frame. */
  beginTurn(): void {
    this.#inTurn = 0;
    this.#turnMs = performance.now();
  }

  /** How many bytes may be read now. */
  bytes(): number {
    return this.#bytes?.available(this.#turnMs) ?? Infinity;
  }

  /** Whether there are enough bytes for a read. */
  mayRead(): boolean {
    return this.bytes() >= this.#leastBytes;
  }

  spendFrames(count: number): void {
    this.#inTurn += count;
    if (count > 0) this.#frames?.spend(count, this.#turnMs);
  }

  /** Counts `more` messages, whether they may come now or not; returns what is broken if they may not. */
  charge(more: number): Violation | undefined {
    this.spendFrames(more);
    if (this.#frames === undefined || this.#frames.available(this.#turnMs) >= 0) return undefined;
    return broken("message_rate", this.#limits.messageRate);
  }

  spendBytes(count: number): void {
    this.#bytes?.spend(count, this.#turnMs);
  }

  /** The rate that has nothing left, if one has. */
  usedUp(): UsedUp | undefined {
    const nowMs = performance.now();
    if (this.#bytes !== undefined && this.#bytes.available(nowMs) < this.#leastBytes) {
      return usedUp("byte_rate", this.#bytes, this.#limits.byteRate, nowMs);
    }
    if (this.#frames !== undefined && this.#frames.available(nowMs) < 1) {
      return usedUp("message_rate", this.#frames, this.#limits.messageRate, nowMs);
    }
    return undefined;
  }
}

function usedUp(
  rule: "byte_rate" | "message_rate",
  bucket: TokenBucket,
  perSecond: number,
  nowMs: number,
): UsedUp {
  return {
    violation: broken(rule, perSecond),
    delayMs: bucket.delayMs(Math.max(1, perSecond * REFILL_SHARE), nowMs),
  };
}

function broken(rule: "byte_rate" | "message_rate", perSecond: number): Violation {
  return { rule, code: 1008, reason: `more than ${perSecond} a second`, limit: perSecond };
}
