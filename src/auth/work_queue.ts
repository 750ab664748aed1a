// Work that must not pile up: some of it at once, some waiting in line, the rest refused.

/** Runs at most `atOnce` pieces of work at the same time, and lets at most `waiting` more stand in line. */
export class WorkQueue {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #line: (() => void)[] = [];

  constructor({ atOnce, waiting }: { atOnce: number; waiting: number }) {
    this.#atOnce = atOnce;
    this.#maxWaiting = waiting;
  }

  /** What `work` gives, once it is its turn; undefined, at once, if the line is full. */
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
      // The place is handed over, not freed: whoever comes before the next one wakes up would be one too many.
      const next = this.#line.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
