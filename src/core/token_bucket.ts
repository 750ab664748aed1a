// A token bucket: how much may happen at once and per second.

/**
 * Holds at most `burst` tokens, starts full, and gains `perSecond` tokens a second. Times are in milliseconds of any
 * one clock; a clock that goes back adds nothing. A rate of `Infinity` is no limit. Nothing is allocated by a call.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #updatedMs = -Infinity;

  constructor(perSecond: number, burst: number = perSecond) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes `count` tokens if they are there, and nothing otherwise. */
  take(count: number, nowMs: number): boolean {
    if (this.#perMs === Infinity) return true;
    this.#refill(nowMs);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes `count` tokens, whether they are there or not, and returns the milliseconds until the debt is paid: 0 when
   * there is none. So even more than the burst can pass, and is paid for by waiting afterwards.
   */
  spend(count: number, nowMs: number): number {
    if (this.#perMs === Infinity) return 0;
    this.#refill(nowMs);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  /** How many tokens there are; negative while there is a debt. */
  available(nowMs: number): number {
    if (this.#perMs === Infinity) return Infinity;
    this.#refill(nowMs);
    return this.#tokens;
  }

  /** Milliseconds until there are `count` tokens; `count` must not be above the burst. */
  delayMs(count: number, nowMs: number): number {
    return Math.max(0, (count - this.available(nowMs)) / this.#perMs);
  }

  /** Whether it holds all that it can hold, and so remembers nothing. */
  isFull(nowMs: number): boolean {
    if (this.#perMs === Infinity) return true;
    this.#refill(nowMs);
    return this.#tokens === this.#burst;
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#updatedMs) return;
    const tokens = this.#tokens + (nowMs - this.#updatedMs) * this.#perMs;
    this.#tokens = tokens < this.#burst ? tokens : this.#burst;
    this.#updatedMs = nowMs;
  }
}
