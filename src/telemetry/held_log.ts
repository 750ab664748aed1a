// Holds records back until the one that must be first has been written.

import type { EventName, LogFields } from "./events.ts";
import type { Log } from "./log.ts";

/** A log whose records wait until they are released. */
export interface HeldLog {
  /** Takes records before and after that. */
  readonly log: Log;
  /** Passes on all that waits, in order; from then on nothing waits. Harmless when done twice. */
  release(): void;
}

/** Makes a held log in front of `log`. */
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
