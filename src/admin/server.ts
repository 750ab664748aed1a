// The admin listener: what may be asked of it, by whom, and that nothing that is asked can end it.

import type { Identity } from "../auth/token.ts";
import { StartError } from "../core/errors.ts";
import { TokenBucket } from "../firewall/admission/token_bucket.ts";
import type { Log } from "../telemetry/log.ts";
import { type AccessOptions, authorize } from "./access.ts";
import { createBanRoutes } from "./ban_routes.ts";
import { EventStreams } from "./event_stream.ts";
import { Monitor, type MonitoredParts } from "./monitor.ts";
import { createMonitorRoutes } from "./monitor_routes.ts";
import { isProblem, type Problem, problemResponse } from "./problem.ts";
import { checkBodyHead, checkHost, checkOrigin, readJsonBody } from "./request_guard.ts";
import { findRoutes, type Route } from "./route.ts";
import { createSessionRoutes } from "./session_routes.ts";

/** What an admin listener is made of. */
export interface AdminOptions extends AccessOptions, MonitoredParts {
  /** A loopback address and a port, 0 for a free one: `127.0.0.1:9090` or `[::1]:9090`. */
  readonly listen: string;
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

const STOP_DEADLINE_MS = 1000;

/** How many refusals are logged per second: any page that is open in a browser can cause them. */
const LOGGED_REFUSALS = 5;

// Nothing is kept by caches or read by other sites, and nothing that is shown can load or run anything.
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
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
  const handler = new AdminHandler(options, [
    ...createMonitorRoutes({
      monitor,
      streams,
      mayStillRead: (identity) => identity.expiresAtMs > Date.now() && !options.isRevoked(identity),
    }),
    ...createSessionRoutes(options.sessions),
    ...createBanRoutes(options),
  ]);
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = listen(options.listen, (request) => handler.handle(request));
  } catch (error) {
    monitor.stop();
    throw error;
  }
  const { hostname, port } = server.addr;
  return {
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`,
    async stop() {
      streams.close();
      monitor.stop();
      let deadline: ReturnType<typeof setTimeout> | undefined;
      const tooLate = new Promise<void>((resolve) => deadline = setTimeout(resolve, STOP_DEADLINE_MS));
      await Promise.race([server.shutdown().catch(() => {}), tooLate]);
      clearTimeout(deadline);
    },
  };
}

function listen(
  address: string,
  handle: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(colon + 1));
  try {
    return Deno.serve({ hostname, port, onListen: () => {} }, handle);
  } catch (cause) {
    const why = cause instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : cause instanceof Deno.errors.NotCapable
      ? `permission was not granted; run with --allow-net=${address}`
      : (cause as Error).message;
    throw new StartError(`Cannot listen on "${address}" for administrators: ${why}`, { cause });
  }
}

class AdminHandler {
  readonly #options: AdminOptions;
  readonly #routes: readonly Route[];
  readonly #logged = new TokenBucket(LOGGED_REFUSALS);

  constructor(options: AdminOptions, routes: readonly Route[]) {
    this.#options = options;
    this.#routes = routes;
  }

  async handle(request: Request): Promise<Response> {
    let result: Response | Problem;
    try {
      result = await this.#answer(request);
    } catch (error) {
      this.#options.log("process.unhandled", {
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      });
      result = FAILED;
    }
    if (!(result instanceof Response)) this.#record(result);
    const response = result instanceof Response ? result : problemResponse(result);
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  async #answer(request: Request): Promise<Response | Problem> {
    const wrongHost = checkHost(request);
    if (wrongHost !== undefined) return wrongHost;
    const { found, item } = findRoutes(this.#routes, new URL(request.url).pathname);
    const isHealth = request.method === "GET" && found.some(({ path }) => path === "/healthz");
    const wrongOrigin = isHealth ? undefined : checkOrigin(request);
    if (wrongOrigin !== undefined) return wrongOrigin;
    if (found.length === 0) return NOT_FOUND;
    if (item === undefined) return BAD_PATH;
    const route = found.find(({ method }) => method === request.method);
    if (route === undefined) {
      const allow = found.map(({ method }) => method).join(", ");
      return { status: 405, detail: `the methods here are: ${allow}`, headers: { allow } };
    }
    const identity = route.isPublic ? undefined : await authorize(request, this.#options);
    if (identity !== undefined && isProblem(identity)) return identity;
    const takesBody = route.takesBody ?? false;
    const wrongBody = checkBodyHead(request, takesBody);
    if (wrongBody !== undefined) return wrongBody;
    const body = takesBody ? await readJsonBody(request) : { json: {} };
    if (isProblem(body)) return body;

    const result = await route.answer({ request, item, identity, json: body.json });
    if (route.method !== "GET" && result instanceof Response) this.#recordChange(route, item, identity);
    return result;
  }

  #record({ status, detail }: Problem): void {
    if (![401, 403, 421].includes(status) || !this.#logged.take(1, performance.now())) return;
    this.#options.log("admin.refused", { status, reason: detail });
  }

  #recordChange({ method, path }: Route, item: string, identity: Identity | undefined): void {
    this.#options.log("admin.changed", {
      user: identity?.user,
      detail: `${method} ${path.endsWith("*") ? path.slice(0, -1) + item : path}`,
    });
  }
}
