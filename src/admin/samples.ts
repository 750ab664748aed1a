// Turns counts into samples of metrics.

import { ABNORMAL_CLOSURE, CLOSE_CODES, NO_STATUS_RECEIVED } from "../protocol/close_code.ts";
import { countOf } from "../telemetry/histogram.ts";
import type { Sample, Samples } from "../telemetry/metrics.ts";
import type { EndpointCounters } from "../firewall/counters.ts";
import type { Pool, UpstreamServer } from "../firewall/upstream/pool.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Monitor, Snapshot } from "./monitor.ts";

type Labels = Sample["labels"];

/** The label of a close code: the code if it is registered, because a peer can choose from a thousand others. */
export function closeLabel(code: number): string {
  const isRegistered = Object.hasOwn(CLOSE_CODES, code) || code === ABNORMAL_CLOSURE ||
    code === NO_STATUS_RECEIVED;
  return isRegistered ? String(code) : "other";
}

/** Adds up counts whose keys have the same label. */
export function sumByLabel<Key>(
  counts: ReadonlyMap<Key, number>,
  label: (key: Key) => string,
): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [key, count] of counts) sums.set(label(key), (sums.get(label(key)) ?? 0) + count);
  return sums;
}

/** The samples of all metrics. Those of the firewall are left out until it has started. */
export function collectSamples(monitor: Monitor, snapshot: Snapshot): Samples {
  const { version, sessions, counters, feed, lostRecords } = monitor.parts;
  const { firewall } = snapshot;
  const ofEndpoints = (read: (counters: EndpointCounters) => Sample["value"]): readonly Sample[] =>
    (firewall?.endpoints ?? []).map(({ name, counters }) => ({
      labels: { endpoint: name },
      value: read(counters),
    }));
  const ofDirections = (
    read: (counters: EndpointCounters) => readonly [Sample["value"], Sample["value"]],
  ): readonly Sample[] =>
    (firewall?.endpoints ?? []).flatMap(({ name: endpoint, counters }) => {
      const [into, out] = read(counters);
      return [sample(into, { endpoint, direction: "in" }), sample(out, { endpoint, direction: "out" })];
    });

  return {
    wsward_build_info: [sample(1, { version, deno: Deno.version.deno })],
    wsward_ready: [sample(snapshot.problems.length === 0 ? 1 : 0)],
    wsward_sockets_accepted_total: ofEndpoints(({ sockets }) => sockets),
    wsward_connections_open: ofEndpoints(({ opened, closed }) => opened - closed),
    wsward_connections_total: ofEndpoints(({ opened }) => opened),
    wsward_connection_duration_seconds: ofEndpoints(({ lifetimes }) => lifetimes),
    wsward_handshakes_total: (firewall?.endpoints ?? []).flatMap(({ name: endpoint, counters, refusals }) => [
      sample(counters.opened, { endpoint, result: "accepted", reason: "" }),
      ...fromCounts(refusals, (reason) => ({ endpoint, result: "refused", reason })),
    ]),
    wsward_messages_total: ofDirections((c) => [countOf(c.messagesIn), countOf(c.messagesOut)]),
    wsward_bytes_total: ofDirections((c) => [c.bytesIn, c.bytesOut]),
    wsward_message_size_bytes: ofDirections((c) => [c.messagesIn, c.messagesOut]),
    wsward_closes_total: (firewall?.endpoints ?? []).flatMap(({ name: endpoint, counters: { closes } }) =>
      fromCounts(sumByLabel(closes, closeLabel), (code) => ({ endpoint, code }))
    ),
    wsward_violations_total: (firewall?.endpoints ?? []).flatMap(({ name: endpoint, counters }) =>
      fromCounts(counters.violations, (rule) => ({ endpoint, rule }))
    ),
    wsward_throttled_seconds_total: ofEndpoints(({ throttledMs }) => throttledMs / 1000),
    wsward_bans_total: optional(firewall?.bansBegun),
    wsward_bans_active: optional(firewall?.bansInForce),
    wsward_send_queue_bytes: (firewall?.endpoints ?? []).map(({ name, sendQueueBytes }) =>
      sample(sendQueueBytes, { endpoint: name })
    ),
    wsward_buffered_bytes: optional(firewall?.bufferedBytes),
    ...upstreamSamples(firewall?.upstreams),
    wsward_sessions_open: optional(sessions?.size),
    wsward_session_duration_seconds: [sample(counters.lifetimes)],
    wsward_authentications_total: fromCounts(counters.authentications, (result) => ({ result })),
    wsward_token_verification_seconds: [sample(counters.verifications)],
    wsward_revocations_active: optional(sessions?.revocations().length),
    ...redisSamples(monitor.parts.cluster),
    wsward_event_loop_lag_seconds: [sample(snapshot.lagSeconds)],
    wsward_heap_bytes: [sample(snapshot.heapBytes)],
    wsward_log_records_total: Object.entries(feed.counts).map(([level, count]) => sample(count, { level })),
    wsward_log_records_lost_total: optional(lostRecords?.()),
    process_resident_memory_bytes: [sample(snapshot.residentBytes)],
    process_start_time_seconds: [sample(monitor.startedAtMs / 1000)],
  };
}

function upstreamSamples(pool: Pool | undefined): Samples {
  if (pool === undefined) return {};
  const ofServers = (read: (server: UpstreamServer) => Sample["value"]) =>
    pool.servers.map((server) => sample(read(server), { upstream: server.name }));
  return {
    wsward_upstream_connections_open: ofServers(({ open }) => open),
    wsward_upstream_connects_total: pool.servers.flatMap(({ name, connects }) =>
      fromCounts(connects, (result) => ({ upstream: name, result }))
    ),
    wsward_upstream_connect_seconds: ofServers(({ seconds }) => seconds),
    wsward_upstream_up: ofServers(({ isUp }) => isUp ? 1 : 0),
    wsward_upstream_retries_total: [sample(pool.retries)],
  };
}

function redisSamples(cluster: Cluster | undefined): Samples {
  if (cluster === undefined) return {};
  const { isUp, latency, beats, losses } = cluster;
  return {
    wsward_redis_up: [sample(isUp ? 1 : 0)],
    wsward_redis_answer_seconds: [sample(latency)],
    wsward_redis_beats_total: [sample(beats)],
    wsward_redis_losses_total: [sample(losses)],
  };
}

function sample(value: Sample["value"], labels: Labels = {}): Sample {
  return { labels, value };
}

function optional(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [sample(value)];
}

function fromCounts<Key>(
  counts: ReadonlyMap<Key, number>,
  label: (key: Key) => Labels,
): readonly Sample[] {
  return Array.from(counts, ([key, count]) => sample(count, label(key)));
}
