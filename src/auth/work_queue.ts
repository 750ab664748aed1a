// A queue for work that must not pile up: some runs at once, some waits, the rest is refused.

/** Runs at most `atOnce` pieces of work at a time, and lets at most `waiting` more wait. */
export class WorkQueue {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #line: (() => void)[] = [];

  constructor({ atOnce, waiting }: { atOnce: number; waiting: number }) {
    this.#atOnce = atOnce;
    this.#maxWaiting = waiting;
  }

  /** Resolves with the result of `work`, which runs when its turn comes; undefined, at once, if the queue is full. */
  run<Value>(work: () => Promise<Value>): Promise<Value> | undefined {
    if (this.#running < this.#atOnce) {
      this.#running++;
      return this.#start(work);
    }
    if (this.#line.length >= this.#maxWaiting) return undefined;
    return new Promise<void>((resolve) => this.#line.push(resolve)).then(() => this.#start(work));
  }

  async #start<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } finally {
      // The place is handed over, not freed: somebody who came before the next one wakes up would be one too many.
      const next = this.#line.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
