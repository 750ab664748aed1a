// The listener for machines: health and metrics, read only, on any address.

import { StartError } from "../core/errors.ts";
import type { Log } from "../telemetry/log.ts";
import type { AdminRequest } from "./http_exchange.ts";
import { HttpListener, type HttpListenerOptions } from "./http_listener.ts";
import { MetricsToken } from "./metrics_token.ts";
import { Monitor, type MonitoredParts } from "./monitor.ts";
import { createReadingRoutes } from "./monitor_routes.ts";
import type { Problem } from "./problem.ts";
import { RequestHandler } from "./request_handler.ts";

/** How old the metrics may be, in milliseconds: however often they are asked for, they are made once in this time. */
const MAX_AGE_MS = 1000;

/** What a listener for machines needs. */
export interface MetricsOptions extends MonitoredParts, Pick<HttpListenerOptions, "listen" | "timeouts"> {
  /**
   * The file with the token for the metrics, and for why the server is not ready; without one everybody may see both.
   */
  readonly tokenFile?: string | undefined;
  readonly log: Log;
}

/** A running listener for machines. */
export interface MetricsServer {
  /** Where the metrics are: `http://0.0.0.0:9091/metrics`. */
  readonly url: string;
  /** Reads the token file again; one that can't be used is logged and changes nothing. */
  reload(): void;
  /** Stops within a second, whatever is under way. */
  stop(): Promise<void>;
}

const NO_TOKEN: Problem = {
  status: 401,
  detail: "this needs the token of --metrics-token-file in the header Authorization: Bearer",
  headers: { "www-authenticate": "Bearer" },
};

/**
 * Starts a listener for machines; it accepts requests when this returns. It takes any Host, because containers are
 * reached by any name.
 *
 * @throws {StartError} when the address can't be listened on, or the token's file can't be used
 */
export function startMetrics(options: MetricsOptions): MetricsServer {
  const { tokenFile, log } = options;
  const token = tokenFile === undefined ? undefined : new MetricsToken(tokenFile);
  // First: if it can't listen, there is nothing to stop. It calls back only after this function returns.
  const listener = new HttpListener({
    ...options,
    name: "metrics",
    answer: (request) => handler.handle(request),
    onFault: (error) => handler.contain(error),
    onLack: () => options.firewall()?.lackDescriptors() ?? false,
  });
  const monitor = new Monitor(options);
  const handler = new RequestHandler({
    routes: createReadingRoutes(monitor, {
      isMetricsPublic: token === undefined,
      isReasonPublic: token === undefined,
      maxAgeMs: MAX_AGE_MS,
    }),
    guard: () => undefined,
    authorize: (request) => Promise.resolve(mayRead(request, token) ? undefined : NO_TOKEN),
    refusal: "metrics.refused",
    log,
  });
  return {
    url: `${listener.url}metrics`,
    reload() {
      try {
        token?.reload();
        if (token !== undefined) log("metrics.token_reloaded");
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        log("metrics.token_reload_failed", { reason: error.message });
      }
    },
    async stop() {
      monitor.stop();
      await listener.stop();
    },
  };
}

// Unlike an administrator's, its connection is not protected: a scrape is over at once, and a stuck one may be cut.
function mayRead({ headers }: AdminRequest, token: MetricsToken | undefined): boolean {
  return token === undefined || token.isIn(headers.get("authorization"));
}
