// How late the event loop is.

const INTERVAL_MS = 250;
/** How many measurements are kept: those of the last five seconds. */
const SAMPLES = 20;

/** Measures from when it is made until it is stopped. */
export class LoopLag {
  readonly #lagsMs = new Array<number>(SAMPLES).fill(0);
  readonly #timer: ReturnType<typeof setInterval>;
  #next = 0;

  /** @param now milliseconds of a clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    let dueMs = now() + INTERVAL_MS;
    this.#timer = setInterval(() => {
      const nowMs = now();
      this.#lagsMs[this.#next] = Math.max(0, nowMs - dueMs);
      this.#next = (this.#next + 1) % SAMPLES;
      dueMs = nowMs + INTERVAL_MS;
    }, INTERVAL_MS);
  }

  /** The longest delay of a timer within the last five seconds, in seconds. */
  get worstSeconds(): number {
    return Math.max(...this.#lagsMs) / 1000;
  }

  /** Stops measuring; harmless when done twice. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
