// What every request to the admin listener must keep: Host and Origin, and a body only where one belongs.

import { parseStrictJson } from "../auth/strict_json.ts";
import type { Problem } from "./problem.ts";

/** The largest body, in bytes. */
export const MAX_BODY_SIZE = 64 * 1024;

/** How long a body may take, in milliseconds. */
const BODY_TIMEOUT_MS = 10_000;

// Any port: the listener may be reached through a tunnel.
const OWN_HOST = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i;

/**
 * Refuses a Host that is no loopback address (421), against DNS rebinding, where a page of another site has its own
 * name point here.
 */
export function checkHost(request: Request): Problem | undefined {
  if (OWN_HOST.test(request.headers.get("host") ?? "")) return undefined;
  return { status: 421, detail: "this listener answers to localhost and loopback addresses only" };
}

/** Refuses the pages of other origins (403); nothing is shared with them, and this listener's own page is no other. */
export function checkOrigin(request: Request): Problem | undefined {
  const origin = request.headers.get("origin");
  if (origin === null || origin === `http://${request.headers.get("host")}`) return undefined;
  return { status: 403, detail: "pages of other origins may not use this listener" };
}

/** Refuses a body where none belongs, and one that is not JSON or too large where one does. */
export function checkBodyHead(request: Request, takesBody: boolean): Problem | undefined {
  const size = request.headers.get("content-length");
  const isThere = request.headers.has("transfer-encoding") || (size !== null && size !== "0");
  if (!takesBody) return isThere ? { status: 400, detail: "this request has no body" } : undefined;
  const [type = ""] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
  if (type.trim() !== "application/json") {
    return { status: 415, detail: "the body must be application/json" };
  }
  return Number(size) > MAX_BODY_SIZE ? TOO_LARGE : undefined;
}

/** Reads a body that is one JSON object; a problem if it is not, is too large, or does not come in time. */
export async function readJsonBody(
  request: Request,
): Promise<{ readonly json: Record<string, unknown> } | Problem> {
  const bytes = await readBody(request);
  if (!(bytes instanceof Uint8Array)) return bytes;
  const parsed = parseStrictJson(bytes);
  return parsed.ok ? { json: parsed.value } : { status: 400, detail: `the body is ${parsed.fault}` };
}

const TOO_LARGE: Problem = { status: 413, detail: `a body has at most ${MAX_BODY_SIZE} bytes` };

async function readBody(request: Request): Promise<Uint8Array | Problem> {
  const reader = request.body?.getReader();
  const body = new Uint8Array(MAX_BODY_SIZE);
  let size = 0;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void reader?.cancel().catch(() => {});
  }, BODY_TIMEOUT_MS);
  try {
    for (;;) {
      const part = await reader?.read();
      if (isLate) return { status: 408, detail: "the body did not come in time" };
      if (part === undefined || part.done) return body.subarray(0, size);
      if (size + part.value.length > MAX_BODY_SIZE) {
        void reader?.cancel().catch(() => {});
        return TOO_LARGE;
      }
      body.set(part.value, size);
      size += part.value.length;
    }
  } catch {
    return { status: 400, detail: "the body ended too early" };
  } finally {
    clearTimeout(timer);
  }
}
