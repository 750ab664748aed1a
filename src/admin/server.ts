// The admin listener: its routes, and who may use them.

import type { Identity } from "../auth/token.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { Log } from "../telemetry/log.ts";
import { type AccessOptions, authorize } from "./access.ts";
import { createNodeRoutes } from "./cluster_answers.ts";
import { createBanRoutes } from "./ban_routes.ts";
import { createConnectionRoutes } from "./connection_routes.ts";
import { EventStreams } from "./event_stream.ts";
import { History } from "./history.ts";
import { HttpListener, type HttpListenerOptions } from "./http_listener.ts";
import { Monitor, type MonitoredParts } from "./monitor.ts";
import { createMonitorRoutes } from "./monitor_routes.ts";
import { checkHost, checkOrigin } from "./request_guard.ts";
import { RequestHandler } from "./request_handler.ts";
import { createSessionRoutes } from "./session_routes.ts";
import { readMoment } from "./status.ts";

/** What an admin listener needs. */
export interface AdminOptions
  extends AccessOptions, MonitoredParts, Pick<HttpListenerOptions, "listen" | "timeouts"> {
  /** How long a ban lasts by default, in milliseconds. */
  readonly banTimeMs: number;
  readonly sessions: SessionRegistry;
  readonly log: Log;
}

/** A running admin listener. */
export interface AdminServer {
  /** Where it is: `http://127.0.0.1:9090/`. */
  readonly url: string;
  /** Stops within a second, whatever is under way. */
  stop(): Promise<void>;
}

/**
 * Starts an admin listener; it accepts requests when this returns.
 *
 * @throws {StartError} when the address can't be listened on
 */
export function startAdmin(options: AdminOptions): AdminServer {
  // First: if it can't listen, there is nothing to stop. It calls back only after this function returns.
  const listener = new HttpListener({
    ...options,
    name: "admin",
    answer: (request) => handler.handle(request),
    onFault: (error) => handler.contain(error),
    onLack: () => options.firewall()?.lackDescriptors() ?? false,
  });
  const monitor = new Monitor(options);
  const streams = new EventStreams(options.feed);
  const history = new History(() => readMoment(options));
  /** Called by those who write records. */
  const mayStillRead = (identity: Identity): boolean => {
    try {
      return identity.expiresAtMs > Date.now() && !options.isRevoked(identity);
    } catch (error) {
      handler.contain(error);
      return false;
    }
  };
  const handler = new RequestHandler({
    routes: [
      ...createMonitorRoutes({ monitor, streams, history, scope: options.scope, mayStillRead }),
      ...createSessionRoutes(options),
      ...createBanRoutes(options),
      ...createNodeRoutes(options.cluster),
      ...createConnectionRoutes(options),
    ],
    guard: (request, isHealth) => checkHost(request) ?? (isHealth ? undefined : checkOrigin(request)),
    authorize: (request) => authorize(request, options),
    refusal: "admin.refused",
    log: options.log,
  });
  return {
    url: listener.url,
    async stop() {
      streams.close();
      history.stop();
      monitor.stop();
      await listener.stop();
    },
  };
}
