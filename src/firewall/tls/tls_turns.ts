// Whose TLS handshake is worked on: one at a time, and never for more than a share of the event loop's time.

/** How long the loop belongs to others after a handshake, as a multiple of what the handshake took. */
const REST_FACTOR = 1;

/** A queue, first come first served. What a handshake computes it computes at once, so there is never a second under way. */
export class TlsTurns {
  readonly #waiting = new Set<() => void>();
  /** Until when the loop belongs to others, in milliseconds of the monotonic clock. */
  #restUntilMs = 0;

  /** Whether the next turn has its time already. */
  #isTimed = false;

  /**
   * Runs `work`, which does not throw, when its turn comes: at once if nobody waits.
   *
   * @returns What takes it out of the queue; harmless when it has run.
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
