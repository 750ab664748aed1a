// Slows down records that a stranger can cause again and again: a few are logged at once, then only their number.

import type { EventDeclaration } from "./event_declaration.ts";
import { type EventName, EVENTS } from "./events.ts";
import type { Log, LogFields } from "./log.ts";

/** How many records of one kind are logged before they are only counted, unless the event declares another number. */
export const MOST_AT_ONCE = 5;
/** How long they are counted before the number is logged, in milliseconds. */
const COUNTING_MS = 10_000;
/** How many kinds of one event are told apart within that time; a kind is a client and a reason. */
export const MAX_KINDS = 512;
/** All other kinds of an event. */
const OTHERS = "others";

interface Kind {
  /** The fields of the last one. */
  fields: LogFields;
  logged: number;
  /** How many have not been logged. */
  leftOut: number;
}

/**
 * Sits in front of a log. Repetitions of an event that is declared with `isBraked` are counted, and every ten seconds
 * logged as one record with the `count` of those left out. With more than {@linkcode MAX_KINDS} kinds of an event, the
 * rest are counted together. So the log grows at a bounded speed, and a flood of one event hides no other.
 */
export class RecordBrake {
  readonly #log: Log;
  readonly #clientOf: (address: string) => string;
  readonly #kinds = new Map<EventName, Map<string, Kind>>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param clientOf gives the same text for all addresses of one client */
  constructor(log: Log, clientOf: (address: string) => string) {
    this.#log = log;
    this.#clientOf = clientOf;
  }

  /** Takes all records. */
  readonly log: Log = (event, fields = {}) => {
    const declared: EventDeclaration = EVENTS[event];
    if (declared.isBraked !== true) return this.#log(event, fields);
    const kind = this.#kindOf(event, fields);
    if (kind.logged < (declared.mostAtOnce ?? MOST_AT_ONCE)) {
      kind.logged++;
      this.#log(event, fields);
    } else {
      kind.fields = kind.logged === Infinity ? { peer: "others" } : fields;
      kind.leftOut++;
    }
    this.#startTimer();
  };

  /** Logs what was counted; also called at the end. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [event, kinds] of this.#kinds) {
      for (const [key, kind] of kinds) {
        const { fields, leftOut } = kind;
        kind.leftOut = 0;
        if (leftOut > 0) this.#log(event, { ...fields, count: leftOut });
        else kinds.delete(key);
      }
      if (kinds.size === 0) this.#kinds.delete(event);
    }
  }

  #kindOf(event: EventName, fields: LogFields): Kind {
    const { peer, endpoint, upstream, rule, status, code, reason, method } = fields;
    const client = peer === undefined ? undefined : this.#clientOf(peer);
    // What a peer can choose freely is not part of it.
    let key = [client, endpoint, upstream, rule, status, code, reason, method].join(" ");
    let kinds = this.#kinds.get(event);
    if (kinds === undefined) this.#kinds.set(event, kinds = new Map());
    if (!kinds.has(key) && kinds.size >= MAX_KINDS) key = OTHERS;
    let kind = kinds.get(key);
    if (kind === undefined) {
      kinds.set(key, kind = { fields, logged: key === OTHERS ? Infinity : 0, leftOut: 0 });
    }
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
