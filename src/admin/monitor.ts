// The state of the program: whether it accepts connections, and all counts of its parts, read at one moment.

import type { Cluster } from "../cluster/cluster.ts";
import type { Readiness } from "../core/readiness.ts";
import type { SecureCounters } from "../endpoints/sessions/secure_counters.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { FirewallMetrics } from "../firewall/counters.ts";
import type { Firewall } from "../firewall/firewall.ts";
import { LoopLag } from "../telemetry/loop_lag.ts";
import type { EventFeed } from "./event_feed.ts";

/** What administration needs of the firewall. */
export type AdministeredFirewall = Pick<
  Firewall,
  "addresses" | "metrics" | "bans" | "ban" | "unban" | "connections" | "closeConnection" | "lackDescriptors"
>;

/** The parts of the program that are monitored. */
export interface MonitoredParts {
  readonly version: string;
  /** Whether the endpoints speak TLS. */
  readonly isSecure: boolean;
  /** Undefined until it has started. */
  readonly firewall: () => AdministeredFirewall | undefined;
  readonly readiness: Readiness;
  /** Undefined if tokens are not used. */
  readonly sessions: SessionRegistry | undefined;
  /** The other nodes; set with --redis. */
  readonly cluster?: Cluster | undefined;
  readonly counters: SecureCounters;
  readonly feed: EventFeed;
  /** How many log records could not be written. */
  readonly lostRecords?: (() => number) | undefined;
}

/** All numbers at one moment. */
export interface Snapshot {
  /** Milliseconds of `performance.now()`: since the process started. */
  readonly atMs: number;
  /** Why not all new connections are accepted; empty when they are. */
  readonly problems: readonly string[];
  /** Undefined until the firewall has started. */
  readonly firewall: FirewallMetrics | undefined;
  readonly lagSeconds: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** Monitors the parts of the program; measures the lag of the event loop until it is stopped. */
export class Monitor {
  readonly parts: MonitoredParts;
  /** When the process started, in milliseconds since the Unix epoch. */
  readonly startedAtMs = performance.timeOrigin;
  readonly #lag = new LoopLag();
  #residentBytes = 0;

  constructor(parts: MonitoredParts) {
    this.parts = parts;
  }

  /** Why not all new connections are accepted; empty when they are. */
  problems(): readonly string[] {
    return this.parts.readiness.problems();
  }

  /** Reads everything. */
  read(): Snapshot {
    const { rss, heapUsed } = Deno.memoryUsage();
    // It is 0 when there is no file descriptor left to read it.
    if (rss > 0) this.#residentBytes = rss;
    return {
      atMs: performance.now(),
      problems: this.problems(),
      firewall: this.parts.firewall()?.metrics(),
      lagSeconds: this.#lag.worstSeconds,
      heapBytes: heapUsed,
      residentBytes: this.#residentBytes,
    };
  }

  /** Stops measuring. */
  stop(): void {
    this.#lag.stop();
  }
}
