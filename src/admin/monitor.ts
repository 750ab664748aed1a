// How the program is: whether it accepts connections, and all that its parts have counted, read at one moment.

import type { Endpoint } from "../endpoints/endpoint.ts";
import type { SecureCounters } from "../endpoints/secure_counters.ts";
import type { SessionRegistry } from "../endpoints/session_registry.ts";
import type { FirewallMetrics } from "../firewall/counters.ts";
import type { FirewallThread } from "../firewall/firewall_thread.ts";
import { LoopLag } from "../telemetry/loop_lag.ts";
import type { EventFeed } from "./event_feed.ts";

/** What the administration needs of the firewall. */
export type AdministeredFirewall = Pick<
  FirewallThread,
  "addresses" | "isRunning" | "metrics" | "bans" | "ban" | "unban"
>;

/** The parts of the program that are looked at. */
export interface MonitoredParts {
  readonly version: string;
  /** Whether the endpoints speak TLS. */
  readonly isSecure: boolean;
  /** Undefined until it has started. */
  readonly firewall: () => AdministeredFirewall | undefined;
  readonly isDraining: () => boolean;
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly sessions: SessionRegistry;
  readonly counters: SecureCounters;
  readonly feed: EventFeed;
  /** How many log records could not be written. */
  readonly lostRecords?: (() => number) | undefined;
}

/** All numbers at one moment. */
export interface Snapshot {
  /** Milliseconds of `performance.now()`. */
  readonly atMs: number;
  /** Why not all new connections are accepted; empty when they are. */
  readonly problems: readonly string[];
  /** Undefined while the firewall does not answer. */
  readonly firewall: FirewallMetrics | undefined;
  /** Bytes that wait to be sent, by endpoint. */
  readonly sendQueues: ReadonlyMap<string, number>;
  readonly lagSeconds: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** How long the firewall's thread may take to answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 2000;

/** Looks at the parts of the program; measures the lag of this thread from when it is made until it is stopped. */
export class Monitor {
  readonly parts: MonitoredParts;
  /** When the process started, in milliseconds since the Unix epoch. */
  readonly startedAtMs = performance.timeOrigin;
  readonly #lag = new LoopLag();

  constructor(parts: MonitoredParts) {
    this.parts = parts;
  }

  /** Why not all new connections are accepted; empty when they are. */
  problems(): readonly string[] {
    const { firewall, isDraining, endpoints } = this.parts;
    const thread = firewall();
    if (isDraining()) return ["draining"];
    if (thread === undefined) return ["starting"];
    const problems = thread.isRunning ? [] : ["the firewall is down"];
    for (const [name, { isListening }] of endpoints) {
      if (!isListening) problems.push(`the endpoint ${name} is down`);
    }
    return problems;
  }

  /** Reads everything. */
  async read(): Promise<Snapshot> {
    const firewall = await this.#askFirewall();
    const { rss, heapUsed } = Deno.memoryUsage();
    const queues = Array.from(
      this.parts.endpoints,
      ([name, endpoint]) => [name, endpoint.sendQueueBytes] as const,
    );
    return {
      atMs: performance.now(),
      problems: this.problems(),
      firewall,
      sendQueues: new Map(queues),
      lagSeconds: this.#lag.worstSeconds,
      heapBytes: heapUsed,
      residentBytes: rss,
    };
  }

  /** Stops measuring. */
  stop(): void {
    this.#lag.stop();
  }

  // A thread that has just crashed never answers.
  async #askFirewall(): Promise<FirewallMetrics | undefined> {
    const firewall = this.parts.firewall();
    if (firewall === undefined || !firewall.isRunning) return undefined;
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), ANSWER_TIMEOUT_MS);
    try {
      return await Promise.race([firewall.metrics().catch(() => undefined), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
