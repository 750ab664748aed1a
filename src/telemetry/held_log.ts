// Holds records back until the one that has to be first is there.

import type { EventName, LogFields } from "./events.ts";
import type { Log } from "./log.ts";

/** A log whose records wait until they are let go. */
export interface HeldLog {
  /** Takes records all the time. */
  readonly log: Log;
  /** Passes on all that waits, in order; from then on nothing waits. Harmless when done twice. */
  release(): void;
}

/** Puts a hold before `log`. */
export function holdBack(log: Log): HeldLog {
  let held: [EventName, LogFields | undefined][] | undefined = [];
  return {
    log: (event, fields) => held === undefined ? log(event, fields) : void held.push([event, fields]),
    release() {
      const records = held ?? [];
      held = undefined;
      for (const [event, fields] of records) log(event, fields);
    },
  };
}
