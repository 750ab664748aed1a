// Records that a stranger can cause again and again: a few at once, and then how many more there were.

import type { EventDeclaration } from "./event_declaration.ts";
import { type EventName, EVENTS } from "./events.ts";
import type { Log, LogFields } from "./log.ts";

/** How many records of one kind are logged before they are only counted. */
export const MOST_AT_ONCE = 5;
/** How long they are counted until that is logged, in milliseconds. */
const COUNTING_MS = 10_000;
/** How many kinds are told apart within that time: an event, the client that caused it and why, each. */
export const MAX_KINDS = 512;

interface Kind {
  readonly event: EventName;
  /** Those of the last one. */
  fields: LogFields;
  logged: number;
  /** How many have not been logged. */
  leftOut: number;
}

/**
 * Stands before a log. Repetitions of an event that is declared as a stranger's are counted, and logged as one record of that
 * event with the `count` of those left out, every ten seconds as long as there are any. With more than {@linkcode MAX_KINDS} kinds, the
 * others of an event are counted together. So the log grows at a bounded speed, whoever does what.
 */
export class RecordBrake {
  readonly #log: Log;
  readonly #clientOf: (address: string) => string;
  readonly #kinds = new Map<string, Kind>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param clientOf what the addresses of one client have in common */
  constructor(log: Log, clientOf: (address: string) => string) {
    this.#log = log;
    this.#clientOf = clientOf;
  }

  /** Takes all records. */
  readonly log: Log = (event, fields = {}) => {
    const declared: EventDeclaration = EVENTS[event];
    if (declared.isBraked !== true) return this.#log(event, fields);
    const kind = this.#kindOf(event, fields);
    if (kind.logged < MOST_AT_ONCE) {
      kind.logged++;
      this.#log(event, fields);
    } else {
      kind.fields = kind.logged === Infinity ? { peer: "others" } : fields;
      kind.leftOut++;
    }
    this.#startTimer();
  };

  /** Logs what has been counted; to be called at the end, too. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [key, kind] of this.#kinds) {
      const { event, fields, leftOut } = kind;
      kind.leftOut = 0;
      if (leftOut > 0) this.#log(event, { ...fields, count: leftOut });
      else this.#kinds.delete(key);
    }
  }

  #kindOf(event: EventName, fields: LogFields): Kind {
    const { peer, endpoint, upstream, rule, status, code, reason, method } = fields;
    const client = peer === undefined ? undefined : this.#clientOf(peer);
    // What a peer chooses freely is not looked at.
    const key = [event, client, endpoint, upstream, rule, status, code, reason, method].join(" ");
    return this.#kinds.get(key) ??
      (this.#kinds.size < MAX_KINDS
        ? this.#remember(key, { event, fields, logged: 0, leftOut: 0 })
        : this.#kinds.get(event) ?? this.#remember(event, { event, fields, logged: Infinity, leftOut: 0 }));
  }

  #remember(key: string, kind: Kind): Kind {
    this.#kinds.set(key, kind);
    return kind;
  }

  #startTimer(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.flush();
      if (this.#kinds.size > 0) this.#startTimer();
    }, COUNTING_MS);
    Deno.unrefTimer(this.#timer);
  }
}
