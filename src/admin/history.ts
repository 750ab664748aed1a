// Numbers of the last two minutes, once a second and in fixed memory, with which charts begin.

/** How many moments are kept: two minutes of rates are between them. */
const LENGTH = 121;
const STEP_MS = 1000;

/** Counts that only grow; also used for rates per second. */
export interface Totals {
  readonly connections: number;
  readonly refusals: number;
  readonly closes: number;
  readonly violations: number;
  readonly messages_in: number;
  readonly messages_out: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
}

const TOTALS = [
  "connections",
  "refusals",
  "closes",
  "violations",
  "messages_in",
  "messages_out",
  "bytes_in",
  "bytes_out",
] as const satisfies readonly (keyof Totals)[];

/** What is remembered of a moment. */
export interface Moment {
  readonly connections_open: number;
  readonly sessions_open: number;
  readonly totals: Totals;
}

/** One moment of the answer to `GET /history`. */
export interface HistoryPoint {
  readonly seconds_ago: number;
  readonly connections_open: number;
  readonly sessions_open: number;
  /** Per second, since the moment before. */
  readonly rates: Totals;
}

/** Takes numbers once a second until it is stopped. */
export class History {
  readonly #atMs = new Float64Array(LENGTH);
  readonly #connections = new Float64Array(LENGTH);
  readonly #sessions = new Float64Array(LENGTH);
  readonly #totals = TOTALS.map(() => new Float64Array(LENGTH));
  readonly #timer: ReturnType<typeof setInterval>;
  /** How many moments there were. */
  #count = 0;

  /** @param look returns the numbers of now; undefined if there are none yet */
  constructor(look: () => Moment | undefined) {
    this.#timer = setInterval(() => {
      const moment = look();
      if (moment !== undefined) this.add(moment, performance.now());
    }, STEP_MS);
  }

  /** Keeps a moment, and forgets the one before the last two minutes. */
  add({ connections_open, sessions_open, totals }: Moment, nowMs: number): void {
    const at = this.#count++ % LENGTH;
    this.#atMs[at] = nowMs;
    this.#connections[at] = connections_open;
    this.#sessions[at] = sessions_open;
    TOTALS.forEach((name, i) => this.#totals[i]![at] = totals[name]);
  }

  /** All points, oldest first. The first moment makes none, because rates need the one before. */
  report(nowMs: number): readonly HistoryPoint[] {
    const points: HistoryPoint[] = [];
    for (let i = Math.max(1, this.#count - LENGTH + 1); i < this.#count; i++) {
      const at = i % LENGTH;
      const before = (i - 1) % LENGTH;
      const seconds = Math.max(0.001, (this.#atMs[at]! - this.#atMs[before]!) / 1000);
      const rates = TOTALS.map((name, j) => {
        const values = this.#totals[j]!;
        return [name, (values[at]! - values[before]!) / seconds];
      });
      points.push({
        seconds_ago: (nowMs - this.#atMs[at]!) / 1000,
        connections_open: this.#connections[at]!,
        sessions_open: this.#sessions[at]!,
        rates: Object.fromEntries(rates) as Totals,
      });
    }
    return points;
  }

  /** Stops looking. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
