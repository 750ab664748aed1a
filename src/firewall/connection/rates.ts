// How fast a peer may send, and how much of it is handled in one turn of the event loop.

import { TokenBucket } from "../../core/token_bucket.ts";
import type { Violation } from "../violation.ts";

/** The limits on rates, per second; `Infinity` for none. */
export interface RateLimits {
  /** Frames of every kind: a fragment costs as much to read as a message. */
  readonly messageRate: number;
  readonly byteRate: number;
  readonly onRateLimit: "throttle" | "close";
}

/** How many frames of one connection are handled in a turn, while all others wait. */
const FRAMES_PER_TURN = 64;
/** How long that may take, in milliseconds: slow frames get fewer a turn. */
const MOST_TURN_MS = 0.1;

/** A throttled peer waits for this share of a second's tokens, so that it is not woken for each one. */
const REFILL_SHARE = 0.05;
/** A throttled peer is read again when it may send this many bytes, or sooner: a read costs as much as some thousand bytes. */
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
  /** With fewer bytes than this, the rate is used up. */
  readonly #leastBytes: number;
  /** Frames handled in this turn. */
  #inTurn = 0;
  /** When the turn began: what is spent in it is dated then, because reading the clock costs more than a frame. */
  #turnMs = performance.now();

  constructor(limits: RateLimits) {
    this.#limits = limits;
    if (limits.messageRate !== Infinity) this.#frames = new TokenBucket(limits.messageRate);
    if (limits.byteRate !== Infinity) this.#bytes = new TokenBucket(limits.byteRate);
    this.#leastBytes = limits.onRateLimit === "close"
      ? 1
      : Math.max(1, Math.min(LEAST_READ, limits.byteRate * REFILL_SHARE));
  }

  /** How many frames may still be handled in this turn. */
  frames(): number {
    if (this.#inTurn > 0 && performance.now() - this.#turnMs > MOST_TURN_MS) return 0;
    const available = this.#frames?.available(this.#turnMs) ?? Infinity;
    return Math.max(0, Math.min(FRAMES_PER_TURN - this.#inTurn, Math.floor(available)));
  }

  /** Begins a turn: the event loop has been with others since the last frame. */
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

  /** Counts `more` messages, even if that is too many; then returns the violation. */
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
