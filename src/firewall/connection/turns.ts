// Whose frames are dealt with next, of the connections that have more of them than fit in one turn of the event loop.

/** How many come to their turn before the runtime looks for what has arrived: each takes a tenth of a millisecond, or one frame. */
const MOST_AT_ONCE = 32;

/** A queue, first come first served. */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #isTimed = false;

  /** Calls `go` when it is its turn. Returns what takes it out of the queue; harmless when it has been called. */
  wait(go: () => void): () => void {
    this.#waiting.add(go);
    this.#time();
    return () => this.#waiting.delete(go);
  }

  #time(): void {
    if (this.#isTimed || this.#waiting.size === 0) return;
    this.#isTimed = true;
    // Not by an immediate: the runtime looks for what has arrived in one of 61 of those turns only.
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
