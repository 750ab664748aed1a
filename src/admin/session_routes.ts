// The routes of sessions and revocations.

import type { Cluster } from "../cluster/cluster.ts";
import * as v from "valibot";
import { readUserName } from "../auth/user_name.ts";
import { formatTime } from "../core/shown.ts";
import { MAX_REVOCATION_TTL_MS, type Revocation } from "../endpoints/sessions/revocation_store.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { Log } from "../telemetry/log.ts";
import { CLOSED_BY_ADMINISTRATOR } from "./connection_routes.ts";
import { closeElsewhere, pageOfSessions, tellEverywhere, tokensElsewhere } from "./cluster_answers.ts";
import { describeSession } from "./session_description.ts";
import { isProblem, type Problem } from "./problem.ts";
import { pageResponse, timeKey } from "./page_of_list.ts";
import { readFields } from "./read_fields.ts";
import { emptyResponse, jsonResponse, type Route } from "./route.ts";

/** How long a revocation lasts by default, in seconds: longer than usual tokens. */
const DEFAULT_REVOCATION_TTL_S = 365 * 86_400;

/** The most memory for all revocations, in bytes: some 100,000 with ids of the usual length. */
export const MAX_REVOCATIONS_SIZE = 32 * 1024 * 1024;

/** The memory of one besides its texts, in bytes. */
const REVOCATION_SIZE = 256;

/** What these routes need. */
export interface SessionRouteOptions {
  readonly sessions: SessionRegistry;
  /** The other nodes, if there are any. */
  readonly cluster?: Cluster | undefined;
  readonly log: Log;
}

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
const TOO_MANY_REVOCATIONS: Problem = {
  status: 503,
  detail: "there is no room for more revocations: remove some, or make new keys",
};

/** `GET /sessions`, `DELETE /sessions/*`, `GET|POST /revocations`, `DELETE /revocations/*`. */
export function createSessionRoutes(options: SessionRouteOptions): readonly Route[] {
  const { sessions, cluster } = options;
  return [
    {
      method: "GET",
      path: "/sessions",
      answer: async ({ request }) =>
        (cluster === undefined ? undefined : await pageOfSessions(cluster, sessions, request.query)) ??
          pageResponse(request.query, {
            name: "sessions",
            items: sessions.list(),
            keyOf: ({ startedAtMs, id }) => timeKey(startedAtMs, id),
            describe: (info) => ({ ...describeSession(info), ...nodeOf(cluster?.name) }),
            isPartial: cluster !== undefined,
          }),
    },
    {
      method: "DELETE",
      path: "/sessions/*",
      answer({ item }) {
        const { code, reason } = CLOSED_BY_ADMINISTRATOR;
        return sessions.close(item, code, reason) ? emptyResponse() : closeElsewhere(cluster, item);
      },
    },
    {
      method: "GET",
      path: "/revocations",
      answer: ({ request }) =>
        pageResponse(request.query, {
          name: "revocations",
          items: sessions.revocations(),
          keyOf: ({ revokedAtMs, id }) => timeKey(revokedAtMs, id),
          timeOf: ({ revokedAtMs }) => revokedAtMs,
          describe: (revocation) => describeRevocation(revocation, cluster),
          isPartial: cluster?.isUp === false,
        }),
    },
    {
      method: "POST",
      path: "/revocations",
      takesBody: true,
      answer: ({ json }) => revoke(options, json),
    },
    {
      method: "DELETE",
      path: "/revocations/*",
      answer: ({ item }) => takeBack(options, item),
    },
  ];
}

async function revoke(
  { sessions, cluster, log }: SessionRouteOptions,
  json: unknown,
): Promise<Response | Problem> {
  const fields = readFields(NEW_REVOCATION, json);
  if (!fields.ok) return fields.problem;
  const { kind, ttl_seconds } = fields.value;
  const value = kind === "user" ? nameOf(fields.value.value) : fields.value.value;
  if (sizeOf(sessions.revocations()) + value.length > MAX_REVOCATIONS_SIZE) return TOO_MANY_REVOCATIONS;
  const isElsewhere = kind === "session" && !sessions.has(value);
  const elsewhere = isElsewhere ? await tokensElsewhere(cluster, value) : undefined;
  if (elsewhere !== undefined && isProblem(elsewhere)) return elsewhere;
  let revocation: Revocation | undefined;
  try {
    revocation = sessions.revoke({ kind, value, ttlMs: ttl_seconds * 1000, jtis: elsewhere?.jtis });
  } catch (error) {
    if (!isStorageFailure(error)) throw error;
    log("revocation.not_stored", { kind, target: value, error: String(error) });
    return {
      status: 500,
      detail: "the state file can't be written: this is revoked, but only until the server stops",
    };
  }
  if (revocation === undefined) return NO_SESSION;
  const told = await tellEverywhere(cluster, elsewhere?.hasMoreJtis ? value : undefined);
  return jsonResponse({ ...describeRevocation(revocation, cluster), ...told }, {
    status: 201,
    headers: { location: `/revocations/${revocation.id}` },
  });
}

async function takeBack(
  { sessions, cluster, log }: SessionRouteOptions,
  id: string,
): Promise<Response | Problem> {
  try {
    if (!sessions.removeRevocation(id)) return NO_REVOCATION;
    return cluster === undefined ? emptyResponse() : jsonResponse(await tellEverywhere(cluster));
  } catch (error) {
    if (!isStorageFailure(error)) throw error;
    log("revocation.not_stored", { revocation: id, error: String(error) });
    return { status: 500, detail: "the state file can't be written: this stays revoked" };
  }
}

/** The memory that revocations take, roughly, in bytes. */
function sizeOf(revocations: readonly Revocation[]): number {
  let size = 0;
  for (const { value, jtis } of revocations) {
    size += REVOCATION_SIZE + value.length;
    for (const jti of jtis) size += jti.length;
  }
  return size;
}

/** Whether an error says that SQLite, or the file system, could not write. */
function isStorageFailure(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

/** The name as sessions have it; unchanged if no session can have it. */
function nameOf(text: string): string {
  const user = readUserName(text);
  return user.ok ? user.name : text;
}

/** The node of something, if there are several. */
function nodeOf(node: string | undefined): { readonly node?: string } {
  return node === undefined ? {} : { node };
}

function describeRevocation(
  { id, kind, value, revokedAtMs, expiresAtMs, node }: Revocation,
  cluster: Cluster | undefined,
) {
  return {
    id,
    kind,
    value,
    revoked_at: formatTime(revokedAtMs),
    expires_at: formatTime(expiresAtMs),
    ...nodeOf(cluster === undefined ? undefined : node ?? cluster.name),
  };
}
