// The routes of the admin listener.

import type { Identity } from "../auth/token.ts";
import type { AdminRequest } from "./http_exchange.ts";
import type { Problem } from "./problem.ts";

/** A request that may be answered. */
export interface Call {
  readonly request: AdminRequest;
  /** The part of the path for the route's `*`, decoded; empty without one. */
  readonly item: string;
  /** The body of a route that takes one. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The administrator, on a route that needs one. */
  readonly identity: Identity | undefined;
}

/** One method of one path; GET also answers HEAD (RFC 9110 §9.3.2). */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** The path; `*` at its end stands for one segment of any text. */
  readonly path: string;
  /** Whether everybody on the machine may use it. */
  readonly isPublic?: boolean;
  /** Whether it has a body. */
  readonly takesBody?: boolean;
  readonly answer: (call: Call) => Response | Problem | Promise<Response | Problem>;
}

/** A JSON response. */
export function jsonResponse(value: unknown, init: ResponseInit = {}): Response {
  return jsonTextResponse(JSON.stringify(value), init);
}

/** A response with a text of JSON. */
export function jsonTextResponse(text: string, init: ResponseInit = {}): Response {
  return new Response(`${text}\n`, {
    ...init,
    headers: { "content-type": "application/json", ...init.headers as Record<string, string> },
  });
}

/** The response to a change without a result. */
export function emptyResponse(): Response {
  return new Response(null, { status: 204 });
}

/** The routes for a path, and the text for `*`; undefined if that can't be decoded. */
export function findRoutes(
  routes: readonly Route[],
  path: string,
): { readonly found: readonly Route[]; readonly item: string | undefined } {
  const found: Route[] = [];
  let encoded = "";
  for (const route of routes) {
    if (route.path === path) found.push(route);
    else if (route.path.endsWith("/*") && path.startsWith(route.path.slice(0, -1))) {
      const rest = path.slice(route.path.length - 1);
      if (rest === "" || rest.includes("/")) continue;
      encoded = rest;
      found.push(route);
    }
  }
  try {
    return { found, item: decodeURIComponent(encoded) };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return { found, item: undefined };
  }
}
