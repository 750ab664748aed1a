// Answers every request to an administrative listener, and contains its faults.

import type { Identity } from "../auth/token.ts";
import { Containment } from "../telemetry/containment.ts";
import type { Log } from "../telemetry/log.ts";
import { type AdminRequest, Lost } from "./http_exchange.ts";
import { isProblem, type Problem, problemResponse } from "./problem.ts";
import { checkBodyHead, readJsonBody } from "./request_guard.ts";
import { findRoutes, type Route } from "./route.ts";

/** What a handler is made of. */
export interface RequestHandlerOptions {
  readonly routes: readonly Route[];
  /** Checks a request before it is looked at further; `isHealth` says that it asks for `/healthz`. */
  readonly guard: (request: AdminRequest, isHealth: boolean) => Problem | undefined;
  /** Who sent a request that is not public; undefined if that does not matter. */
  readonly authorize: (request: AdminRequest) => Promise<Identity | Problem | undefined>;
  /** The event for refusals that may be attacks: 401, 403 and 421. */
  readonly refusal: "admin.refused" | "metrics.refused";
  readonly log: Log;
}

// No caching, nothing for other sites, and nothing that is shown can load or run anything.
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

/** Answers the requests to one listener. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;
  readonly #containment: Containment;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
    this.#containment = new Containment(options.log);
  }

  /** Records a fault of our own. */
  contain(error: unknown): void {
    this.#containment.record(error);
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
    if (!(result instanceof Response) && [401, 403, 421].includes(result.status)) {
      const { refusal, log } = this.#options;
      log(refusal, { status: result.status, reason: result.detail });
    }
    const response = result instanceof Response ? result : problemResponse(result);
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  async #answer(request: AdminRequest): Promise<Response | Problem> {
    const { found, item } = findRoutes(this.#options.routes, request.path);
    // RFC 9110 §9.3.2: the answer to GET, without its body.
    const wanted = request.method === "HEAD" ? "GET" : request.method;
    const isHealth = wanted === "GET" && found.some(({ path }) => path === "/healthz");
    const unwelcome = this.#options.guard(request, isHealth);
    if (unwelcome !== undefined) return unwelcome;
    if (found.length === 0) return NOT_FOUND;
    if (item === undefined) return BAD_PATH;
    const route = found.find(({ method }) => method === wanted);
    if (route === undefined) {
      const allow = found.flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
      return { status: 405, detail: `the methods here are: ${allow}`, headers: { allow } };
    }
    const identity = route.isPublic ? undefined : await this.#options.authorize(request);
    if (identity !== undefined && isProblem(identity)) return identity;
    const takesBody = route.takesBody ?? false;
    const wrongBody = checkBodyHead(request, takesBody);
    if (wrongBody !== undefined) return wrongBody;
    const body = takesBody ? await readJsonBody(request) : { json: {} };
    if (isProblem(body)) return body;
    // Only now: who only pretends to send a body must not be protected.
    if (identity !== undefined) request.trust();

    const result = await route.answer({ request, item, identity, json: body.json });
    if (route.method !== "GET" && result instanceof Response) this.#recordChange(route, item, identity);
    return result;
  }

  #recordChange({ method, path }: Route, item: string, identity: Identity | undefined): void {
    this.#options.log("admin.changed", {
      user: identity?.user,
      detail: `${method} ${path.endsWith("*") ? path.slice(0, -1) + item : path}`,
    });
  }
}
