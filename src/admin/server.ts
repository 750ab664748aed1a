// The admin listener: what may be asked of it, by whom, and that nothing that is asked can end it.

import type { Identity } from "../auth/token.ts";
import type { Log } from "../telemetry/log.ts";
import { type AccessOptions, authorize } from "./access.ts";
import { createBanRoutes } from "./ban_routes.ts";
import { BrakedLog } from "./braked_log.ts";
import { EventStreams } from "./event_stream.ts";
import { type AdminRequest, Lost } from "./http_exchange.ts";
import { HttpListener, type HttpListenerOptions } from "./http_listener.ts";
import { Monitor, type MonitoredParts } from "./monitor.ts";
import { createMonitorRoutes } from "./monitor_routes.ts";
import { isProblem, type Problem, problemResponse } from "./problem.ts";
import { checkBodyHead, checkHost, checkOrigin, readJsonBody } from "./request_guard.ts";
import { findRoutes, type Route } from "./route.ts";
import { createSessionRoutes } from "./session_routes.ts";

/** What an admin listener is made of. */
export interface AdminOptions
  extends AccessOptions, MonitoredParts, Pick<HttpListenerOptions, "listen" | "reservePath" | "timeouts"> {
  /** How long a ban lasts unless the request says otherwise, in milliseconds. */
  readonly banTimeMs: number;
  readonly log: Log;
}

/** A running admin listener. */
export interface AdminServer {
  /** Where it is: `http://127.0.0.1:9090/`. */
  readonly url: string;
  /** Stops within a second, whatever is under way. */
  stop(): Promise<void>;
}

// Nothing is kept by caches or read by other sites, and nothing that is shown can load or run anything.
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const NOT_FOUND: Problem = { status: 404, detail: "there is nothing at this path" };
const BAD_PATH: Problem = { status: 400, detail: "the path is not percent-encoded UTF-8" };
const FAILED: Problem = { status: 500, detail: "a failure on the server's side; the log has the details" };

/**
 * Starts an admin listener; it accepts requests when this returns.
 *
 * @throws {StartError} when the address can't be listened on
 */
export function startAdmin(options: AdminOptions): AdminServer {
  const monitor = new Monitor(options);
  const streams = new EventStreams(options.feed);
  const handler: AdminHandler = new AdminHandler(options, [
    ...createMonitorRoutes({
      monitor,
      streams,
      mayStillRead: (identity) => handler.mayStillRead(identity),
    }),
    ...createSessionRoutes(options),
    ...createBanRoutes(options),
  ]);
  let listener: HttpListener;
  try {
    listener = new HttpListener({
      ...options,
      answer: (request) => handler.handle(request),
      onFault: (error) => handler.contain(error),
    });
  } catch (error) {
    monitor.stop();
    throw error;
  }
  return {
    url: listener.url,
    async stop() {
      streams.close();
      monitor.stop();
      await listener.stop();
      handler.stop();
    },
  };
}

class AdminHandler {
  readonly #options: AdminOptions;
  readonly #routes: readonly Route[];
  readonly #refusals: BrakedLog;
  readonly #faults: BrakedLog;

  constructor(options: AdminOptions, routes: readonly Route[]) {
    this.#options = options;
    this.#routes = routes;
    this.#refusals = new BrakedLog(options.log, "refusals");
    this.#faults = new BrakedLog(options.log, "faults");
  }

  /** Records a fault of our own. */
  contain(error: unknown): void {
    this.#faults.record("process.unhandled", {
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
  }

  /** Whether the bearer of a token that was accepted before may still read; asked by those who write records. */
  mayStillRead(identity: Identity): boolean {
    try {
      return identity.expiresAtMs > Date.now() && !this.#options.isRevoked(identity);
    } catch (error) {
      this.contain(error);
      return false;
    }
  }

  /** Records what is left to be recorded. */
  stop(): void {
    this.#refusals.flush();
    this.#faults.flush();
  }

  async handle(request: AdminRequest | Problem): Promise<Response> {
    let result: Response | Problem;
    try {
      result = isProblem(request) ? request : await this.#answer(request);
    } catch (error) {
      if (error instanceof Lost) throw error;
      this.contain(error);
      result = FAILED;
    }
    if (!(result instanceof Response)) this.#record(result);
    const response = result instanceof Response ? result : problemResponse(result);
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  async #answer(request: AdminRequest): Promise<Response | Problem> {
    const wrongHost = checkHost(request);
    if (wrongHost !== undefined) return wrongHost;
    const { found, item } = findRoutes(this.#routes, request.path);
    // RFC 9110 §9.3.2: the same answer, of which only the head is sent.
    const wanted = request.method === "HEAD" ? "GET" : request.method;
    const isHealth = wanted === "GET" && found.some(({ path }) => path === "/healthz");
    const wrongOrigin = isHealth ? undefined : checkOrigin(request);
    if (wrongOrigin !== undefined) return wrongOrigin;
    if (found.length === 0) return NOT_FOUND;
    if (item === undefined) return BAD_PATH;
    const route = found.find(({ method }) => method === wanted);
    if (route === undefined) {
      const allow = found.flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
      return { status: 405, detail: `the methods here are: ${allow}`, headers: { allow } };
    }
    const identity = route.isPublic ? undefined : await authorize(request, this.#options);
    if (identity !== undefined && isProblem(identity)) return identity;
    const takesBody = route.takesBody ?? false;
    const wrongBody = checkBodyHead(request, takesBody);
    if (wrongBody !== undefined) return wrongBody;
    const body = takesBody ? await readJsonBody(request) : { json: {} };
    if (isProblem(body)) return body;
    // Not before: who only pretends to send a body holds no place against others.
    if (identity !== undefined) request.trust();

    const result = await route.answer({ request, item, identity, json: body.json });
    if (route.method !== "GET" && result instanceof Response) this.#recordChange(route, item, identity);
    return result;
  }

  #record({ status, detail }: Problem): void {
    if (![401, 403, 421].includes(status)) return;
    this.#refusals.record("admin.refused", { status, reason: detail });
  }

  #recordChange({ method, path }: Route, item: string, identity: Identity | undefined): void {
    this.#options.log("admin.changed", {
      user: identity?.user,
      detail: `${method} ${path.endsWith("*") ? path.slice(0, -1) + item : path}`,
    });
  }
}
