// The queue of connections that have more frames than fit in one turn of the event loop.

/**
 * How many connections get a turn before the runtime polls for I/O: each takes a tenth of a millisecond, or one frame.
 */
const MOST_AT_ONCE = 32;

/** A queue, first come first served. */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #isTimed = false;

  /**
   * Calls `go` when its turn comes. Returns a function that removes it from the queue; harmless when it was called
   * already.
   */
  wait(go: () => void): () => void {
    this.#waiting.add(go);
    this.#time();
    return () => this.#waiting.delete(go);
  }

  #time(): void {
    if (this.#isTimed || this.#waiting.size === 0) return;
    this.#isTimed = true;
    // Not by an immediate: the runtime polls for I/O in only one of 61 of those turns.
    setTimeout(() => {
      this.#isTimed = false;
      let left = MOST_AT_ONCE;
      for (const go of this.#waiting) {
        if (left-- === 0) break;
        this.#waiting.delete(go);
        go();
      }
      this.#time();
    }, 0);
  }
}
