// The state of the program as one JSON object, with rates: what the page and `wsward top` show.

import type { NodeStatus } from "./cluster_answers.ts";
import { urlHost } from "../core/shown.ts";
import { countOf } from "../telemetry/histogram.ts";
import type { FirewallMetrics } from "../firewall/counters.ts";
import type { Moment, Totals } from "./history.ts";
import type { Monitor, MonitoredParts } from "./monitor.ts";
import { closeLabel, sumByLabel } from "./samples.ts";

/** One endpoint. */
export interface EndpointStatus {
  readonly name: string;
  /** The URL for peers: `ws://127.0.0.1:8765/`. */
  readonly url: string;
  readonly connections_open: number;
  readonly send_queue_bytes: number;
  readonly totals: Totals;
  /** Per second, over `rates_window_seconds`. */
  readonly rates: Totals;
}

/** One upstream. */
export interface UpstreamStatus {
  readonly name: string;
  /** Whether it is in use; false while it is left out for a time. */
  readonly up: boolean;
  readonly connections_open: number;
  /** Attempts to connect since the start, by result. */
  readonly connects: Readonly<Record<string, number>>;
  /** How long successful ones took on average, in seconds; 0 without any. */
  readonly connect_seconds_mean: number;
}

/** The answer to `GET /status`. Times in seconds, sizes in bytes. */
export interface Status {
  readonly version: string;
  readonly uptime_seconds: number;
  readonly ready: boolean;
  readonly problems: readonly string[];
  readonly endpoints: readonly EndpointStatus[];
  readonly connections_open: number;
  readonly totals: Totals;
  readonly rates: Totals;
  readonly rates_window_seconds: number;
  /** The upstreams; empty if there are none. */
  readonly upstreams: readonly UpstreamStatus[];
  /** Since the start, by reason, close code, rule and result. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
  readonly violations: Readonly<Record<string, number>>;
  readonly authentications: Readonly<Record<string, number>>;
  readonly sessions_open: number;
  readonly bans_active: number;
  readonly throttled_seconds: number;
  readonly buffered_bytes: number;
  readonly resident_bytes: number;
  readonly lag_seconds: number;
  /** All nodes; only with --redis, and empty while it is lost. */
  readonly nodes?: readonly NodeStatus[];
}

/** The shortest window for rates, in milliseconds: a shorter one shows noise. */
const MIN_WINDOW_MS = 900;

const NOTHING: Totals = {
  connections: 0,
  refusals: 0,
  closes: 0,
  violations: 0,
  messages_in: 0,
  messages_out: 0,
  bytes_in: 0,
  bytes_out: 0,
};

interface Reading {
  readonly atMs: number;
  readonly totals: ReadonlyMap<string, Totals>;
}

/** Makes statuses. Rates are since a status that was asked for about a second before, by anybody. */
export class StatusReporter {
  readonly #monitor: Monitor;
  /** The last two readings that are at least a window apart. */
  #latest: Reading;
  #previous: Reading;

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
    this.#latest = this.#previous = { atMs: performance.now(), totals: new Map() };
  }

  /** The status of now. */
  report(): Status {
    const { parts } = this.#monitor;
    const snapshot = this.#monitor.read();
    const { firewall } = snapshot;
    const totals = readTotals(firewall);
    const earlier = this.#moveOn({ atMs: snapshot.atMs, totals });
    const seconds = Math.max(0.001, (snapshot.atMs - earlier.atMs) / 1000);
    const addresses = new Map(parts.firewall()?.addresses.map((address) => [address.name, address]));

    const endpoints = (firewall?.endpoints ?? []).map(
      ({ name, counters: { opened, closed }, sendQueueBytes }) => {
        const address = addresses.get(name);
        const ofEndpoint = totals.get(name) ?? NOTHING;
        return {
          name,
          url: address === undefined ? "" : endpointUrl(address, parts.isSecure),
          connections_open: opened - closed,
          send_queue_bytes: sendQueueBytes,
          totals: ofEndpoint,
          rates: combine(
            ofEndpoint,
            earlier.totals.get(name) ?? NOTHING,
            (now, then) => (now - then) / seconds,
          ),
        };
      },
    );
    const counted = firewall?.endpoints ?? [];
    return {
      version: parts.version,
      uptime_seconds: snapshot.atMs / 1000,
      ready: snapshot.problems.length === 0,
      problems: snapshot.problems,
      endpoints,
      connections_open: endpoints.reduce((all, endpoint) => all + endpoint.connections_open, 0),
      totals: sumTotals(endpoints.map((endpoint) => endpoint.totals)),
      rates: sumTotals(endpoints.map((endpoint) => endpoint.rates)),
      rates_window_seconds: seconds,
      upstreams: (firewall?.upstreams?.servers ?? []).map(({ name, isUp, open, connects, seconds }) => ({
        name,
        up: isUp,
        connections_open: open,
        connects: merge([connects]),
        connect_seconds_mean: seconds.sum / Math.max(1, countOf(seconds)),
      })),
      refusals: merge(counted.map(({ refusals }) => refusals)),
      closes: merge(counted.map(({ counters }) => sumByLabel(counters.closes, closeLabel))),
      violations: merge(counted.map(({ counters }) => counters.violations)),
      authentications: merge([parts.counters.authentications]),
      sessions_open: parts.sessions?.size ?? 0,
      bans_active: firewall?.bansInForce ?? 0,
      throttled_seconds: counted.reduce((all, { counters }) => all + counters.throttledMs / 1000, 0),
      buffered_bytes: firewall?.bufferedBytes ?? 0,
      resident_bytes: snapshot.residentBytes,
      lag_seconds: snapshot.lagSeconds,
    };
  }

  /** Remembers a reading, and returns the one to compare it with. */
  #moveOn(reading: Reading): Reading {
    // Until the firewall has started there is nothing to compare with.
    if (reading.totals.size > 0 && reading.atMs - this.#latest.atMs >= MIN_WINDOW_MS) {
      this.#previous = this.#latest;
      this.#latest = reading;
    }
    return this.#previous;
  }
}

/** Where peers connect to. */
export function endpointUrl(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  isSecure: boolean,
): string {
  const host = urlHost(hostname);
  return `${isSecure ? "wss" : "ws"}://${host}:${port}/`;
}

/** The current moment, all endpoints together; undefined until the firewall has started. */
export function readMoment({ firewall, sessions }: MonitoredParts): Moment | undefined {
  const metrics = firewall()?.metrics();
  if (metrics === undefined) return undefined;
  return {
    connections_open: metrics.endpoints.reduce(
      (sum, { counters }) => sum + counters.opened - counters.closed,
      0,
    ),
    sessions_open: sessions?.size ?? 0,
    totals: sumTotals([...readTotals(metrics).values()]),
  };
}

function sumTotals(all: readonly Totals[]): Totals {
  return all.reduce((sum, totals) => combine(sum, totals, (a, b) => a + b), NOTHING);
}

function readTotals(firewall: FirewallMetrics | undefined): ReadonlyMap<string, Totals> {
  return new Map((firewall?.endpoints ?? []).map(({ name, counters, refusals }) => [name, {
    connections: counters.opened,
    refusals: sumOf(refusals),
    closes: counters.closed,
    violations: sumOf(counters.violations),
    messages_in: countOf(counters.messagesIn),
    messages_out: countOf(counters.messagesOut),
    bytes_in: counters.bytesIn,
    bytes_out: counters.bytesOut,
  }]));
}

function combine(a: Totals, b: Totals, of: (a: number, b: number) => number): Totals {
  return {
    connections: of(a.connections, b.connections),
    refusals: of(a.refusals, b.refusals),
    closes: of(a.closes, b.closes),
    violations: of(a.violations, b.violations),
    messages_in: of(a.messages_in, b.messages_in),
    messages_out: of(a.messages_out, b.messages_out),
    bytes_in: of(a.bytes_in, b.bytes_in),
    bytes_out: of(a.bytes_out, b.bytes_out),
  };
}

function sumOf(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function merge(all: readonly ReadonlyMap<string, number>[]): Readonly<Record<string, number>> {
  const merged: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, count] of counts) merged[name] = (merged[name] ?? 0) + count;
  }
  return merged;
}
