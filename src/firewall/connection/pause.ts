// Lets a connection's loop wait until something has changed.

import type { Turns } from "./turns.ts";

/** One wait at a time. */
export class Pause {
  #onEnded: (() => void) | undefined;

  /** Whether the loop waits. */
  get isOn(): boolean {
    return this.#onEnded !== undefined;
  }

  /** Waits until `end` is called. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#onEnded = resolve);
  }

  /** Ends the wait; harmless without one. */
  end(): void {
    const onEnded = this.#onEnded;
    this.#onEnded = undefined;
    onEnded?.();
  }

  /** Waits for at most `delayMs`. Returns how long it was, in milliseconds. */
  async atMost(delayMs: number): Promise<number> {
    const startedMs = performance.now();
    const timer = setTimeout(() => this.end(), delayMs);
    await this.wait();
    clearTimeout(timer);
    return performance.now() - startedMs;
  }

  /** Waits for a turn, whatever else changes; stops early if something changes and `isOver` returns true. */
  async untilTurn(turns: Turns, isOver: () => boolean): Promise<void> {
    let isDue = false;
    const leave = turns.wait(() => {
      isDue = true;
      this.end();
    });
    while (!isDue && !isOver()) await this.wait();
    leave();
  }
}
