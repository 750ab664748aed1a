// The routes of connections: those of all endpoints, with and without a session.

import type { Cluster } from "../cluster/cluster.ts";
import { formatTime } from "../core/shown.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { ConnectionFacts } from "../firewall/connection/connection_parts.ts";
import type { AdministeredFirewall } from "./monitor.ts";
import { pageResponse, timeKey } from "./page_of_list.ts";
import { type Problem, STARTING } from "./problem.ts";
import { emptyResponse, type Route } from "./route.ts";

/** What these routes need. */
export interface ConnectionRouteOptions {
  /** Undefined until it has started. */
  readonly firewall: () => AdministeredFirewall | undefined;
  readonly sessions: SessionRegistry;
  /** The other nodes, if there are any: each lists its own connections, which change too fast to be shared. */
  readonly cluster?: Cluster | undefined;
}

/** The Close for a connection that an administrator closes. Not 3000: its token may still be valid. */
export const CLOSED_BY_ADMINISTRATOR = { code: 1008, reason: "closed by an administrator" } as const;

const NO_CONNECTION: Problem = { status: 404, detail: "no open connection has this id" };

/** The orders of the list besides age: the largest value comes first. */
const ORDERS: Readonly<Record<string, (facts: ConnectionFacts) => number>> = {
  bytes: ({ bytesIn, bytesOut }) => bytesIn + bytesOut,
  held: ({ heldBytes }) => heldBytes,
  throttled: ({ throttledMs }) => throttledMs,
};

const NO_ORDER: Problem = {
  status: 400,
  detail: `an order is one of: ${["age", ...Object.keys(ORDERS)].join(", ")}`,
  field: "order",
};
/** Other orders change from one page to the next. */
const NO_NEXT: Problem = { status: 400, detail: "only the order of age has further pages", field: "after" };

/** `GET /connections`, `DELETE /connections/*`. */
export function createConnectionRoutes(
  { firewall, sessions, cluster }: ConnectionRouteOptions,
): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/connections",
      answer({ request }) {
        const connections = firewall()?.connections();
        if (connections === undefined) return STARTING;
        const order = request.query.get("order") ?? "age";
        const amountOf = Object.hasOwn(ORDERS, order) ? ORDERS[order] : undefined;
        if (amountOf === undefined && order !== "age") return NO_ORDER;
        if (amountOf !== undefined && request.query.has("after")) return NO_NEXT;
        const users = new Map(sessions.list().map(({ connection, user }) => [connection, user]));
        const originMs = Date.now() - performance.now();
        return pageResponse(request.query, {
          name: "connections",
          items: connections,
          keyOf: (facts) =>
            timeKey(
              amountOf === undefined ? facts.openedMs : Number.MAX_SAFE_INTEGER - amountOf(facts),
              facts.id,
            ),
          describe: (facts) => describe(facts, users.get(facts.id), originMs),
          node: cluster?.name,
        });
      },
    },
    {
      method: "DELETE",
      path: "/connections/*",
      answer({ item }) {
        const isClosed = firewall()?.closeConnection(item, CLOSED_BY_ADMINISTRATOR);
        if (isClosed === undefined) return STARTING;
        return isClosed ? emptyResponse() : NO_CONNECTION;
      },
    },
  ];
}

function describe(facts: ConnectionFacts, user: string | undefined, originMs: number) {
  return {
    id: facts.id,
    endpoint: facts.endpoint,
    address: facts.address,
    user,
    opened_at: formatTime(originMs + facts.openedMs),
    messages_in: facts.messagesIn,
    messages_out: facts.messagesOut,
    bytes_in: facts.bytesIn,
    bytes_out: facts.bytesOut,
    held_bytes: facts.heldBytes,
    throttled_seconds: facts.throttledMs / 1000,
    closing: facts.isClosing,
  };
}
