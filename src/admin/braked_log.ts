// Records that strangers can cause: a few a second, and then how many more there were.

import { TokenBucket } from "../core/token_bucket.ts";
import type { Log } from "../telemetry/log.ts";

/** How many records of a kind are logged at once, and per second unless somebody says otherwise. */
const MAX_RECORDS = 5;

/** After which time those that were left out are summed up, in milliseconds. */
const SUMMARY_MS = 10_000;

/** Logs records of one kind, at most {@linkcode MAX_RECORDS} at once, and the number of the others every ten seconds. */
export class BrakedLog {
  readonly #log: Log;
  readonly #kind: string;
  readonly #bucket: TokenBucket;
  #leftOut = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param kind what they are called in the sum: `refusals` */
  constructor(log: Log, kind: string, perSecond = MAX_RECORDS) {
    this.#bucket = new TokenBucket(perSecond, MAX_RECORDS);
    this.#log = log;
    this.#kind = kind;
  }

  /** Logs a record, or counts it. */
  record(...[event, fields]: Parameters<Log>): void {
    if (this.#bucket.take(1, performance.now())) return this.#log(event, fields);
    this.#leftOut++;
    this.#timer ??= setTimeout(() => this.flush(), SUMMARY_MS);
  }

  /** Logs how many were left out; to be called at the end, too. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#leftOut > 0) this.#log("admin.records_left_out", { kind: this.#kind, count: this.#leftOut });
    this.#leftOut = 0;
  }
}
