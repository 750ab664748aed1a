// The checks of every request to the admin listener: Host, Origin, and a body only where one belongs.

import { parseStrictJson } from "../core/strict_json.ts";
import { isLoopback } from "../firewall/admission/network_set.ts";
import type { AdminRequest } from "./http_exchange.ts";
import type { Problem } from "./problem.ts";

/** The largest body, in bytes. */
export const MAX_BODY_SIZE = 64 * 1024;

const MAX_PORT = 65_535;

/** Perhaps a loopback address, and perhaps a port; IPv6 has brackets (RFC 3986 §3.2.2). */
const HOST = /^(\[::1\]|localhost|[\d.]{7,15})(?::(\d{0,5}))?$/i;

/**
 * Refuses a Host that is not a loopback address (421), against DNS rebinding, where another site's name points here.
 * Any port will do: the listener may be reached through a tunnel.
 */
export function checkHost({ headers, isOld }: AdminRequest): Problem | undefined {
  const host = headers.get("host");
  // Browsers, which this is about, always send it.
  if (host === undefined && isOld) return undefined;
  if (host === undefined) return { status: 400, detail: "the header Host is missing" };
  const [, name = "", port = ""] = HOST.exec(host) ?? [];
  const isOwn = !/^\d/.test(name) || isLoopback(name);
  if (name !== "" && isOwn && Number(port) <= MAX_PORT) return undefined;
  return { status: 421, detail: "this listener answers to localhost and loopback addresses only" };
}

/** The host of a request that `checkHost` accepts, without a port. */
export function hostOf({ headers }: AdminRequest): string {
  return HOST.exec(headers.get("host") ?? "")?.[1] ?? "";
}

/** Refuses the pages of other origins (403). This listener's own page is not one. */
export function checkOrigin({ headers }: AdminRequest): Problem | undefined {
  const origin = headers.get("origin");
  if (origin === undefined || origin === `http://${headers.get("host")}`) return undefined;
  return { status: 403, detail: "pages of other origins may not use this listener" };
}

/** Refuses a body where none belongs; where one does, refuses one that is not JSON, has no length or is too large. */
export function checkBodyHead({ headers }: AdminRequest, takesBody: boolean): Problem | undefined {
  const size = headers.get("content-length") ?? "0";
  // A body whose length is unclear could hide another request from a proxy (RFC 9112 §6.3).
  if (!/^\d{1,15}$/.test(size)) return { status: 400, detail: "the header Content-Length must be a number" };
  const isEncoded = headers.has("transfer-encoding");
  if (!takesBody) {
    return isEncoded || Number(size) > 0 ? { status: 400, detail: "this request has no body" } : undefined;
  }
  if (isEncoded) return { status: 411, detail: "a body needs the header Content-Length" };
  const [type = ""] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  if (type.trim() !== "application/json") {
    return { status: 415, detail: "the body must be application/json" };
  }
  if (Number(size) > MAX_BODY_SIZE) return TOO_LARGE;
  if ((headers.get("expect") ?? CONTINUE).toLowerCase() === CONTINUE) return undefined;
  return { status: 417, detail: `nothing but ${CONTINUE} can be expected` };
}

/** Reads a body that `checkBodyHead` accepts; a problem if it is not one JSON object. */
export async function readJsonBody(
  request: AdminRequest,
): Promise<{ readonly json: Record<string, unknown> } | Problem> {
  const parsed = parseStrictJson(await request.readBody(Number(request.headers.get("content-length") ?? 0)));
  return parsed.ok ? { json: parsed.value } : { status: 400, detail: `the body is ${parsed.fault}` };
}

const TOO_LARGE: Problem = { status: 413, detail: `a body has at most ${MAX_BODY_SIZE} bytes` };

/** RFC 9110 §10.1.1. */
const CONTINUE = "100-continue";
