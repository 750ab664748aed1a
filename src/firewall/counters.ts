// What the firewall counts: plain fields, so that the hot path only adds.

import type { RefusalRule } from "../protocol/refusal_rule.ts";
import { Histogram, LIFETIME_BOUNDS, SizeHistogram } from "../telemetry/histogram.ts";
import type { Pool } from "./upstream/pool.ts";
import type { Violation } from "./violation.ts";

/** The counters of one endpoint, since the start of the firewall. */
export class EndpointCounters {
  /** Sockets that were accepted, refused ones included. */
  sockets = 0;
  /** Connections that were admitted, and those of them that have ended. */
  opened = 0;
  closed = 0;
  /** Bytes on the wire after the handshake, frame headers included. */
  bytesIn = 0;
  bytesOut = 0;
  /** For how long peers were not read because of their rates, in milliseconds, added up. */
  throttledMs = 0;
  /** Sizes of whole data messages, in bytes of payload. */
  readonly messagesIn = new SizeHistogram();
  readonly messagesOut = new SizeHistogram();
  /** Lifetimes of ended connections, in seconds. */
  readonly lifetimes = new Histogram(LIFETIME_BOUNDS);
  /** Ended connections by close code, 1006 without a Close frame. */
  readonly closes = new Map<number, number>();
  readonly violations = new Map<Violation["rule"], number>();
}

/** Adds one to a count. */
export function countUp<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** All numbers of a firewall, as of now. */
export interface FirewallMetrics {
  readonly endpoints: readonly {
    readonly name: string;
    readonly counters: EndpointCounters;
    /** Refused handshakes by rule. */
    readonly refusals: ReadonlyMap<RefusalRule, number>;
    /** Bytes that wait to be sent to its peers. */
    readonly sendQueueBytes: number;
  }[];
  /** Bans that have begun, and those in force. */
  readonly bansBegun: number;
  readonly bansInForce: number;
  /** Bytes that are held because of peers, as --max-buffered-memory counts them. */
  readonly bufferedBytes: number;
  /** The upstreams, if there are any. */
  readonly upstreams?: Pool | undefined;
}
