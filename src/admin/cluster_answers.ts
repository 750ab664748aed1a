// Answers about all nodes, where there are others.

import type { Cluster } from "../cluster/cluster.ts";
import type { RemoteSession } from "../cluster/wire.ts";
import { formatTime } from "../core/shown.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import { CLOSED_BY_ADMINISTRATOR } from "./connection_routes.ts";
import { type Page, readPage } from "./page_of_list.ts";
import { isProblem, type Problem } from "./problem.ts";
import { emptyResponse, jsonResponse, type Route } from "./route.ts";
import { describeSession } from "./session_description.ts";

const NO_NODES: Problem = { status: 404, detail: "this process is alone: it was started without --redis" };
const NOT_ASKED: Problem = {
  status: 503,
  detail: "it is not on this node, and the others can't be asked while Redis is lost",
  headers: { "retry-after": "1" },
};
const NO_SESSION: Problem = { status: 404, detail: "no open session has this id" };

/** `GET /nodes`: the processes that share sessions, revocations and bans. */
export function createNodeRoutes(cluster: Cluster | undefined): readonly Route[] {
  return [{
    method: "GET",
    path: "/nodes",
    async answer() {
      if (cluster === undefined) return NO_NODES;
      const nodes = await listNodes(cluster);
      if (nodes === undefined) {
        return { ...NOT_ASKED, detail: "Redis is lost: the other nodes can't be asked" };
      }
      return jsonResponse({ nodes });
    },
  }];
}

/** One node, as JSON; times of RFC 3339. */
export interface NodeStatus {
  readonly name: string;
  readonly id: string;
  /** Whether it is the node that was asked. */
  readonly this: boolean;
  readonly version: string;
  readonly addresses: readonly string[];
  readonly since: string;
  readonly connections: number;
  readonly sessions: number;
  readonly lag_seconds: number;
  readonly silent_seconds: number;
}

/** All nodes; undefined if they can't be asked. */
export async function listNodes(cluster: Cluster): Promise<readonly NodeStatus[] | undefined> {
  const found = await cluster.ask((directory) => directory.nodes());
  return found?.value.map(({ name, id, isThis, version, addresses, sinceMs, ...counts }) => ({
    name,
    id,
    this: isThis,
    version,
    addresses,
    since: formatTime(sinceMs),
    connections: counts.connections,
    sessions: counts.sessions,
    lag_seconds: counts.lagMs / 1000,
    silent_seconds: counts.silentMs / 1000,
  }));
}

/** The sessions of all nodes, a page of them; undefined if the others can't be asked. */
export async function pageOfSessions(
  cluster: Cluster,
  sessions: SessionRegistry,
  query: URLSearchParams,
): Promise<Response | Problem | undefined> {
  const page: Page | Problem = readPage(query);
  if (isProblem(page)) return page;
  const found = await cluster.ask((directory) => directory.page(page.after, page.limit));
  if (found === undefined) return undefined;
  const { next } = found.value;
  const rows = found.value.sessions.map((session) => {
    return { ...describeSession({ ...session, ...sessions.info(session.id) }), node: session.node };
  });
  return jsonResponse({ sessions: rows, ...next === undefined ? {} : { next } });
}

/** Closes a session that is not on this node. */
export async function closeElsewhere(cluster: Cluster | undefined, id: string): Promise<Response | Problem> {
  if (cluster === undefined) return NO_SESSION;
  const { code, reason } = CLOSED_BY_ADMINISTRATOR;
  const found = await cluster.ask((directory) => directory.close(id, code, reason));
  if (found === undefined) return NOT_ASKED;
  if (found.value === undefined) return NO_SESSION;
  return found.value ? emptyResponse() : jsonResponse({ closed: false }, { status: 202 });
}

/** The names of the tokens of a session on another node, and whether that node knows more of them; or why there are none. */
export async function tokensElsewhere(
  cluster: Cluster | undefined,
  id: string,
): Promise<Pick<RemoteSession, "jtis" | "hasMoreJtis"> | Problem> {
  if (cluster === undefined) return NO_SESSION;
  const found = await cluster.ask((directory) => directory.find(id));
  if (found === undefined) return NOT_ASKED;
  return found.value ?? NO_SESSION;
}

/**
 * What is said of a change besides: whether all nodes know of it, where there are others.
 *
 * @param endingId A session of whose tokens only its node knows all: it tells the rest before the session is gone.
 */
export async function tellEverywhere(
  cluster: Cluster | undefined,
  endingId?: string,
): Promise<{ readonly everywhere?: boolean }> {
  if (cluster === undefined) return {};
  if (!await cluster.told()) return { everywhere: false };
  if (endingId === undefined) return { everywhere: true };
  return { everywhere: (await cluster.ask((directory) => directory.isGone(endingId)))?.value === true };
}
