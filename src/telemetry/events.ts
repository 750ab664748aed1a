// Every event of the log, declared once: its name, level, fields and meaning.

import type { FieldValues } from "./fields.ts";
import { PEER_EVENTS } from "./peer_events.ts";
import { SERVER_EVENTS } from "./server_events.ts";

/** The closed set of events. Names are stable: programs match on them. */
export const EVENTS = { ...SERVER_EVENTS, ...PEER_EVENTS } as const;

/** The name of an event. */
export type EventName = keyof typeof EVENTS;

/** The fields that records of `Event` may have; of any event if left out. */
export type LogFields<Event extends EventName = EventName> = FieldValues<
  typeof EVENTS[Event]["fields"][number]
>;
