// The metrics, each declared once.

import { type Buckets, LATENCY_BOUNDS, LIFETIME_BOUNDS, SizeHistogram } from "./histogram.ts";

/** What is fixed about a metric. Labels take their values from closed sets, never from what a peer sent. */
export interface MetricDeclaration {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** The bounds of a histogram. */
  readonly bounds?: readonly number[];
}

const SIZE_BOUNDS = new SizeHistogram().bounds;

/** The closed set of metrics, by name: base units, and `_total` for what only grows. */
export const METRICS = {
  wsward_build_info: gauge("What is running, as labels; always 1", "version", "deno"),
  wsward_ready: gauge("Whether all endpoints accept new connections: 1 or 0"),
  wsward_sockets_accepted_total: counter("Sockets accepted, whatever became of them", "endpoint"),
  wsward_connections_open: gauge("WebSocket connections that are open", "endpoint"),
  wsward_connections_total: counter("WebSocket connections that were opened", "endpoint"),
  wsward_connection_duration_seconds: histogram(
    "How long ended connections were open",
    LIFETIME_BOUNDS,
    "endpoint",
  ),
  wsward_handshakes_total: counter(
    "Handshakes by result (accepted, refused) and the rule of a refusal, as the log names it",
    "endpoint",
    "result",
    "reason",
  ),
  wsward_messages_total: counter("Whole data messages; in is from the peer", "endpoint", "direction"),
  wsward_bytes_total: counter("Bytes on the wire after the handshake", "endpoint", "direction"),
  wsward_message_size_bytes: histogram(
    "Payload sizes of whole data messages",
    SIZE_BOUNDS,
    "endpoint",
    "direction",
  ),
  wsward_closes_total: counter(
    "Ended connections by close code, 1006 without a Close frame",
    "endpoint",
    "code",
  ),
  wsward_violations_total: counter("Rules broken and limits reached by peers", "endpoint", "rule"),
  wsward_throttled_seconds_total: counter(
    "Time for which peers were not read because of their rates",
    "endpoint",
  ),
  wsward_bans_total: counter("Bans that have begun"),
  wsward_bans_active: gauge("Bans in force"),
  wsward_send_queue_bytes: gauge("Bytes waiting to be sent to peers", "endpoint"),
  wsward_buffered_bytes: gauge("Bytes held because of peers, as --max-buffered-memory counts them"),
  wsward_upstream_connections_open: gauge("Connections to upstreams, including those being made", "upstream"),
  wsward_upstream_connects_total: counter(
    "Attempts to connect to upstreams by result: ok, or why not",
    "upstream",
    "result",
  ),
  wsward_upstream_connect_seconds: histogram(
    "How long it took until an upstream accepted a handshake",
    LATENCY_BOUNDS,
    "upstream",
  ),
  wsward_upstream_up: gauge("Whether an upstream is used: 1, or 0 while it is left out", "upstream"),
  wsward_upstream_retries_total: counter("Attempts to connect beyond the first one of a handshake"),
  wsward_sessions_open: gauge("Sessions that are open"),
  wsward_session_duration_seconds: histogram("How long ended sessions were open", LIFETIME_BOUNDS),
  wsward_authentications_total: counter("Authentications by result: ok, or why not", "result"),
  wsward_token_verification_seconds: histogram(
    "How long the verification of a token took, including the wait for its turn",
    LATENCY_BOUNDS,
  ),
  wsward_revocations_active: gauge("Revocations in force"),
  wsward_redis_up: gauge("Whether Redis can be used: 1 or 0"),
  wsward_redis_answer_seconds: histogram("How long Redis took to answer", LATENCY_BOUNDS),
  wsward_redis_beats_total: counter("How often this node told the others that it is there"),
  wsward_redis_losses_total: counter("How often Redis was lost"),
  wsward_event_loop_lag_seconds: gauge("Longest delay of a timer within the last five seconds"),
  wsward_heap_bytes: gauge("Heap that the program uses"),
  wsward_log_records_total: counter("Log records by level, including those not shown", "level"),
  wsward_log_records_lost_total: counter("Log records that could not be written to the file or the terminal"),
  process_resident_memory_bytes: gauge("Resident memory of the process"),
  process_start_time_seconds: gauge("Start of the process, in seconds since the Unix epoch"),
} as const satisfies Record<string, MetricDeclaration>;

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

/** The value of one combination of labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | Buckets;
}

/** What the metrics are now; a metric without samples is left out of the text. */
export type Samples = { readonly [Name in MetricName]?: readonly Sample[] };

function counter<const Label extends string>(help: string, ...labels: readonly Label[]) {
  return { type: "counter", help, labels } as const;
}

function gauge<const Label extends string>(help: string, ...labels: readonly Label[]) {
  return { type: "gauge", help, labels } as const;
}

function histogram<const Label extends string>(
  help: string,
  bounds: readonly number[],
  ...labels: readonly Label[]
) {
  return { type: "histogram", help, labels, bounds } as const;
}
