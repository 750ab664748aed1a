// Whose batch is answered: what a hundred sessions ask at once must not be one piece of work for the event loop.

/** From this many milliseconds on a batch was long enough to let the others have as much. */
const LONG_MS = 1;

/**
 * A queue, first come first served: one batch begins in a turn of the event loop, and after a long one the loop belongs to others
 * for as long as it took. Nobody waits for the end of a batch: it may itself wait for somebody.
 */
export class BatchTurns {
  readonly #waiting = new Set<() => void>();
  #isTimed = false;
  #restUntilMs = 0;

  /** Resolves when the caller may begin. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      this.#timeNext();
    });
  }

  #timeNext(): void {
    if (this.#isTimed || this.#waiting.size === 0) return;
    this.#isTimed = true;
    const restMs = this.#restUntilMs - performance.now();
    if (restMs < LONG_MS) setImmediate(() => this.#begin());
    else setTimeout(() => this.#begin(), restMs);
  }

  #begin(): void {
    const startMs = performance.now();
    const [resolve] = this.#waiting;
    this.#waiting.delete(resolve!);
    resolve!();
    // What it computes it computes now, in the promises that follow.
    setImmediate(() => {
      const endMs = performance.now();
      this.#restUntilMs = endMs + (endMs - startMs);
      this.#isTimed = false;
      this.#timeNext();
    });
  }
}
