// The routes of sessions and revocations.

import * as v from "valibot";
import { formatTime } from "../endpoints/methods/time.ts";
import { MAX_REVOCATION_TTL_MS, type Revocation } from "../endpoints/revocation_store.ts";
import type { SessionInfo } from "../endpoints/session.ts";
import type { SessionRegistry } from "../endpoints/session_registry.ts";
import type { Problem } from "./problem.ts";
import { readFields } from "./read_fields.ts";
import { emptyResponse, jsonResponse, type Route } from "./route.ts";

/** How long a revocation lasts unless somebody says otherwise, in seconds: as long as any token that we make. */
export const DEFAULT_REVOCATION_TTL_S = 365 * 86_400;

/** What a session is closed with: its token is still good, so it is not 3000. */
const CLOSED_BY_ADMINISTRATOR = { code: 1008, reason: "closed by an administrator" } as const;

const NEW_REVOCATION = v.strictObject({
  kind: v.picklist(["jti", "user", "session"]),
  value: v.pipe(v.string(), v.minLength(1), v.maxLength(8192)),
  ttl_seconds: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_REVOCATION_TTL_MS / 1000)),
    DEFAULT_REVOCATION_TTL_S,
  ),
});

const NO_SESSION: Problem = { status: 404, detail: "no open session has this id" };
const NO_REVOCATION: Problem = { status: 404, detail: "no revocation has this id" };

/** `GET /sessions`, `DELETE /sessions/*`, `GET|POST /revocations`, `DELETE /revocations/*`. */
export function createSessionRoutes(sessions: SessionRegistry): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/sessions",
      answer: () => jsonResponse({ sessions: sessions.list().map(describeSession) }),
    },
    {
      method: "DELETE",
      path: "/sessions/*",
      answer({ item }) {
        const { code, reason } = CLOSED_BY_ADMINISTRATOR;
        return sessions.close(item, code, reason) ? emptyResponse() : NO_SESSION;
      },
    },
    {
      method: "GET",
      path: "/revocations",
      answer: () => jsonResponse({ revocations: sessions.revocations().map(describeRevocation) }),
    },
    {
      method: "POST",
      path: "/revocations",
      takesBody: true,
      answer: ({ json }) => revoke(sessions, json),
    },
    {
      method: "DELETE",
      path: "/revocations/*",
      answer: ({ item }) => sessions.removeRevocation(item) ? emptyResponse() : NO_REVOCATION,
    },
  ];
}

function revoke(sessions: SessionRegistry, json: unknown): Response | Problem {
  const fields = readFields(NEW_REVOCATION, json);
  if (!fields.ok) return fields.problem;
  const { kind, value, ttl_seconds } = fields.value;
  let revocation: Revocation | undefined;
  try {
    revocation = sessions.revoke({ kind, value, ttlMs: ttl_seconds * 1000 });
  } catch {
    return {
      status: 500,
      detail: "the state file can't be written: this is revoked, but only until the server stops",
    };
  }
  if (revocation === undefined) return NO_SESSION;
  return jsonResponse(describeRevocation(revocation), {
    status: 201,
    headers: { location: `/revocations/${revocation.id}` },
  });
}

function describeSession(info: SessionInfo) {
  const { id, user, address, connection, startedAtMs, expiresAtMs, messagesIn, messagesOut } = info;
  return {
    id,
    user,
    address,
    connection,
    started_at: formatTime(startedAtMs),
    expires_at: formatTime(expiresAtMs),
    messages_in: messagesIn,
    messages_out: messagesOut,
  };
}

function describeRevocation({ id, kind, value, revokedAtMs, expiresAtMs }: Revocation) {
  return {
    id,
    kind,
    value,
    revoked_at: formatTime(revokedAtMs),
    expires_at: formatTime(expiresAtMs),
  };
}
