// The routes that show the state of the program: health, metrics, status, log records, the page.

import { formatTime } from "../core/shown.ts";
import { formatMetrics, METRICS_CONTENT_TYPES, type MetricsForm } from "../telemetry/metrics_text.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { listNodes } from "./cluster_answers.ts";
import { welcomeOf } from "./accept.ts";
import { type EventStreams, MAX_STREAMS } from "./event_stream.ts";
import type { AdminRequest } from "./http_exchange.ts";
import type { History } from "./history.ts";
import type { Monitor } from "./monitor.ts";
import { renderPage } from "./page/page.ts";
import type { Problem } from "./problem.ts";
import { hostOf } from "./request_guard.ts";
import { jsonResponse, type Route } from "./route.ts";
import { collectSamples } from "./samples.ts";
import { type Status, StatusReporter } from "./status.ts";

/** What is shown. */
export interface MonitorRouteOptions {
  readonly monitor: Monitor;
  readonly streams: EventStreams;
  readonly history: History;
  /** The scope that the token of an administrator must have. */
  readonly scope: string;
  /** Whether the bearer of an accepted token may still read. */
  readonly mayStillRead: (identity: NonNullable<Parameters<Route["answer"]>[0]["identity"]>) => boolean;
}

const TOO_MANY_STREAMS: Problem = {
  status: 503,
  detail: `there are ${MAX_STREAMS} readers already`,
  headers: { "retry-after": "5" },
};

/** How the three routes for machines differ between listeners. */
export interface ReadingOptions {
  readonly isMetricsPublic: boolean;
  /** Whether everybody may see why the program is not ready. */
  readonly isReasonPublic: boolean;
  /** How old the metrics may be, in milliseconds: asking more often costs no more. */
  readonly maxAgeMs: number;
}

/** `GET /healthz`, `/readyz`, `/metrics`. */
export function createReadingRoutes(monitor: Monitor, options: ReadingOptions): readonly Route[] {
  const { isMetricsPublic, isReasonPublic, maxAgeMs } = options;
  const metrics = new RecentMetrics(monitor, maxAgeMs);
  return [
    { method: "GET", path: "/healthz", isPublic: true, answer: () => new Response("ok\n") },
    { method: "GET", path: "/readyz", isPublic: true, answer: () => answerReady(monitor, isReasonPublic) },
    {
      method: "GET",
      path: "/metrics",
      isPublic: isMetricsPublic,
      answer: ({ request }) => answerMetrics(metrics, request),
    },
  ];
}

/** `GET /`, `/healthz`, `/readyz`, `/metrics`, which everybody on the machine may read; `GET /status`, `/history`, `/events`. */
export function createMonitorRoutes(options: MonitorRouteOptions): readonly Route[] {
  const { monitor, history } = options;
  const reporter = new StatusReporter(monitor);
  return [
    {
      method: "GET",
      path: "/",
      isPublic: true,
      answer: ({ request }) => answerPage(options, request),
    },
    ...createReadingRoutes(monitor, { isMetricsPublic: true, isReasonPublic: true, maxAgeMs: 0 }),
    {
      method: "GET",
      path: "/status",
      answer: async ({ identity }) =>
        jsonResponse({
          ...reporter.report(),
          ...await nodesOf(monitor.parts.cluster),
          token_expires_at: formatTime(identity!.expiresAtMs),
        }),
    },
    {
      method: "GET",
      path: "/history",
      answer: () => jsonResponse({ points: history.report(performance.now()) }),
    },
    { method: "GET", path: "/events", answer: (call) => answerEvents(options, call) },
  ];
}

/** All nodes, with --redis; none while they can't be asked. */
async function nodesOf(cluster: Cluster | undefined): Promise<Pick<Status, "nodes">> {
  return cluster === undefined ? {} : { nodes: await listNodes(cluster) ?? [] };
}

function answerPage({ monitor, scope }: MonitorRouteOptions, request: AdminRequest): Response {
  const { version, isSecure, firewall } = monitor.parts;
  const addresses = firewall()?.addresses ?? [];
  return renderPage({ version, isSecure, addresses, scope, host: hostOf(request) });
}

function answerReady(monitor: Monitor, isReasonPublic: boolean): Response {
  const problems = monitor.problems();
  const warnings = monitor.parts.readiness.warnings();
  const reasons = { problems, ...warnings.length === 0 ? {} : { warnings } };
  return jsonResponse({ ready: problems.length === 0, ...isReasonPublic ? reasons : {} }, {
    status: problems.length === 0 ? 200 : 503,
  });
}

/** The metrics as text, made again when they are too old. */
class RecentMetrics {
  readonly #monitor: Monitor;
  readonly #maxAgeMs: number;
  readonly #made = new Map<MetricsForm, { readonly atMs: number; readonly text: string }>();

  constructor(monitor: Monitor, maxAgeMs: number) {
    this.#monitor = monitor;
    this.#maxAgeMs = maxAgeMs;
  }

  text(form: MetricsForm): string {
    const atMs = performance.now();
    const last = this.#made.get(form);
    if (last !== undefined && atMs - last.atMs < this.#maxAgeMs) return last.text;
    const text = formatMetrics(collectSamples(this.#monitor, this.#monitor.read()), form);
    this.#made.set(form, { atMs, text });
    return text;
  }
}

function answerMetrics(metrics: RecentMetrics, request: AdminRequest): Response {
  const accept = request.headers.get("accept");
  const open = welcomeOf(accept, "application/openmetrics-text", "1.0.0");
  const plain = welcomeOf(accept, "text/plain", "0.0.4");
  // OpenMetrics only for those who name it; a wildcard gets what everybody understands.
  const isOpenMetrics = open.isNamed && open.quality > 0 && open.quality >= plain.quality;
  const form = isOpenMetrics ? "openMetrics" : "prometheus";
  return new Response(metrics.text(form), { headers: { "content-type": METRICS_CONTENT_TYPES[form] } });
}

function answerEvents(
  { monitor, streams, mayStillRead }: MonitorRouteOptions,
  { request, identity }: Parameters<Route["answer"]>[0],
): Response | Problem {
  const { feed } = monitor.parts;
  const { isNamed, quality } = welcomeOf(request.headers.get("accept"), "text/event-stream");
  if (!isNamed || quality === 0) {
    const records = feed.recent().map(({ json }) => json);
    return new Response(`{"events":[${records.join(",")}]}\n`, {
      headers: { "content-type": "application/json" },
    });
  }
  const lastId = Number(request.headers.get("last-event-id") ?? 0);
  const stream = streams.open(
    Number.isSafeInteger(lastId) ? lastId : 0,
    () => identity !== undefined && mayStillRead(identity),
  );
  if (stream === undefined) return TOO_MANY_STREAMS;
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}
