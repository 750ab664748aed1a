// Refusals in the log: the first of a kind from a client at once, the rest as a count, so that scanners can't flood it.

import type { Log, LogFields } from "../../telemetry/log.ts";

/**
 * What is recorded of a refusal: where and why, in fixed text, and as `detail` perhaps what the peer sent; the fields and
 * their order are the caller's.
 */
export type RefusalFields = LogFields & { readonly status: number; readonly reason: string };

/** Milliseconds for which repetitions are counted before they are logged as one record. */
export const REPETITION_WINDOW_MS = 10_000;

/** Most repetitions (a client, an endpoint and a reason each) that are told apart within a window. */
export const MAX_REPETITIONS = 512;

interface Repetition {
  /** Those of the last one: only `detail` can differ. */
  fields: LogFields;
  startedMs: number;
  /** Refusals since the last record. */
  count: number;
}

/**
 * Logs refusals as `handshake.refused`, and repetitions of one as `handshake.refused_repeatedly` with their `count`
 * when their window ends. When there are more than {@linkcode MAX_REPETITIONS} of them, the others are counted together,
 * without a record of their own, so the log grows at a bounded speed whoever knocks.
 */
export class RefusalLog {
  readonly #log: Log;
  readonly #repetitions = new Map<string, Repetition>();
  #others: Repetition | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Records one refusal of the client with this key (see `clientKey`). Two that differ in `detail` only are the same:
   * a peer chooses it, and could fill the log or crowd out everybody else's.
   */
  record(client: string, fields: RefusalFields, nowMs: number): void {
    const key = `${client} ${fields.endpoint} ${fields.status} ${fields.reason}`;
    const known = this.#repetitions.get(key);
    if (known !== undefined) {
      known.count++;
      known.fields = fields;
    } else if (this.#repetitions.size < MAX_REPETITIONS) {
      this.#log("handshake.refused", fields);
      this.#repetitions.set(key, { fields, startedMs: nowMs, count: 0 });
    } else {
      this.#others ??= { fields: { peer: "others" }, startedMs: nowMs, count: 0 };
      this.#others.count++;
    }
  }

  /** Logs what has been counted in windows that are over. To be called about once a second. */
  sweep(nowMs: number): void {
    for (const [key, repetition] of this.#repetitions) {
      if (nowMs - repetition.startedMs < REPETITION_WINDOW_MS) continue;
      if (repetition.count === 0) this.#repetitions.delete(key);
      // Who goes on is not new in the next window: one record a window is enough.
      this.#summarize(repetition, nowMs);
    }
    if (this.#others !== undefined && nowMs - this.#others.startedMs >= REPETITION_WINDOW_MS) {
      this.#summarize(this.#others, nowMs);
      this.#others = undefined;
    }
  }

  /** Logs all that has been counted; for the end of the process. */
  flush(): void {
    this.sweep(Infinity);
    this.#repetitions.clear();
  }

  #summarize(repetition: Repetition, nowMs: number): void {
    if (repetition.count > 0) {
      this.#log("handshake.refused_repeatedly", { ...repetition.fields, count: repetition.count });
    }
    repetition.count = 0;
    repetition.startedMs = nowMs;
  }
}
