// The queue of batches: those of a hundred sessions must not be one piece of work for the event loop.

/** When batches have taken this many milliseconds, the loop is left to others for as long. */
const MOST_BUSY_MS = 1;

/**
 * A queue, first come first served: one batch begins in a turn of the event loop, and after each millisecond or more of
 * batches the loop is left to others for as long. The end of a batch is not waited for: it may itself wait for
 * something.
 */
export class BatchTurns {
  readonly #waiting = new Set<() => void>();
  #isTimed = false;
  /** What batches have taken since the loop was left to others. */
  #busyMs = 0;

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
    if (this.#busyMs < MOST_BUSY_MS) return void setImmediate(() => this.#begin());
    // An immediate is not enough: the runtime polls for I/O in few of those turns.
    setTimeout(() => this.#begin(), this.#busyMs);
    this.#busyMs = 0;
  }

  #begin(): void {
    const startMs = performance.now();
    const [resolve] = this.#waiting;
    this.#waiting.delete(resolve!);
    resolve!();
    // A batch computes now, in the promises that follow.
    setImmediate(() => {
      this.#busyMs += performance.now() - startMs;
      this.#isTimed = false;
      this.#timeNext();
    });
  }
}
