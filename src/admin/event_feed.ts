// Keeps the latest log records, and passes new ones to watchers.

import type { LogLevel } from "../telemetry/event_declaration.ts";
import { type EventName, EVENTS } from "../telemetry/events.ts";
import { formatJsonLine, type LineRecord } from "../telemetry/line.ts";
import type { Log } from "../telemetry/log.ts";

/** How many records are kept. */
export const MAX_RECORDS = 200;

/** A record as one line of JSON, with its number: the first of a process is 1. */
export interface FeedRecord {
  readonly id: number;
  readonly json: string;
}

/** Keeps the last {@linkcode MAX_RECORDS} records, of every level, and counts all of them. */
export class EventFeed {
  /** Records so far, by level. */
  readonly counts: Readonly<Record<LogLevel, number>> = { debug: 0, info: 0, warning: 0, error: 0, fatal: 0 };
  readonly #counts: Record<LogLevel, number> = this.counts;
  readonly #records: FeedRecord[] = [];
  readonly #watchers = new Set<(record: FeedRecord) => void>();
  #lastId = 0;

  /** A log that does what `log` does, and whose records are kept here too; a fault in that is given to `onFault`. */
  tee(log: Log, onFault: (fault: unknown) => void): Log {
    return (event, fields) => {
      try {
        this.record(event, { ...fields });
      } catch (fault) {
        onFault(fault);
      }
      log(event, fields);
    };
  }

  /** Takes one record. */
  record(event: EventName, fields: LineRecord["fields"]): void {
    const { level, text } = EVENTS[event];
    this.#counts[level]++;
    const json = formatJsonLine({ time: new Date().toISOString(), level, event, text, fields });
    const record = { id: ++this.#lastId, json };
    this.#records.push(record);
    if (this.#records.length > MAX_RECORDS) this.#records.shift();
    for (const watcher of this.#watchers) watcher(record);
  }

  /** The kept records with a number above `afterId`, oldest first. */
  recent(afterId = 0): readonly FeedRecord[] {
    return this.#records.filter(({ id }) => id > afterId);
  }

  /** Calls `watcher`, which must not throw, with every record from now on. Returns a function that ends that. */
  watch(watcher: (record: FeedRecord) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
