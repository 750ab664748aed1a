// The queue of TLS handshakes: one at a time, for no more than a share of the event loop's time.

/** How long the loop is left to others after a handshake, as a multiple of the handshake's time. */
const REST_FACTOR = 1;

/** A queue, first come first served. A handshake computes in one go, so there is never a second one under way. */
export class TlsTurns {
  readonly #waiting = new Set<() => void>();
  /** Until when the loop is left to others, in milliseconds of the monotonic clock. */
  #restUntilMs = 0;

  /** Whether a timer for the next turn is set. */
  #isTimed = false;

  /**
   * Runs `work`, which does not throw, when its turn comes: at once if nobody waits.
   *
   * @returns A function that removes it from the queue; harmless when it has run.
   */
  take(work: () => void): () => void {
    if (this.#waiting.size === 0 && performance.now() >= this.#restUntilMs) this.#run(work);
    else {
      this.#waiting.add(work);
      this.#timeNext();
    }
    return () => this.#waiting.delete(work);
  }

  #run(work: () => void): void {
    const startMs = performance.now();
    work();
    const endMs = performance.now();
    this.#restUntilMs = endMs + (endMs - startMs) * REST_FACTOR;
  }

  #timeNext(): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    setTimeout(() => {
      this.#isTimed = false;
      const [work] = this.#waiting;
      if (work === undefined) return;
      this.#waiting.delete(work);
      this.#run(work);
      if (this.#waiting.size > 0) this.#timeNext();
    }, Math.max(0, this.#restUntilMs - performance.now()));
  }
}
