// The routes of bans.

import * as v from "valibot";
import type { Cluster } from "../cluster/cluster.ts";
import { formatTime } from "../core/shown.ts";
import { banKey } from "../firewall/admission/network_set.ts";
import { tellEverywhere } from "./cluster_answers.ts";
import type { AdministeredFirewall } from "./monitor.ts";
import { type Problem, STARTING } from "./problem.ts";
import { pageResponse } from "./page_of_list.ts";
import { readFields } from "./read_fields.ts";
import { emptyResponse, jsonResponse, type Route } from "./route.ts";

/** What bans need. */
export interface BanOptions {
  /** Undefined until it has started. */
  readonly firewall: () => AdministeredFirewall | undefined;
  /** How long a ban lasts by default, in milliseconds. */
  readonly banTimeMs: number;
  /** The other nodes, if there are any. */
  readonly cluster?: Cluster | undefined;
}

/** The longest ban, in seconds: that of --ban-time. */
const MAX_BAN_S = 30 * 86_400;

/** The longest text that is looked at as an address, with a zone and a length of its network. */
const MAX_ADDRESS_LENGTH = 64;

const NO_ADDRESS: Problem = {
  status: 400,
  detail: "this is neither an IP address nor a network from /8 to /32, or from /16 to /64 of IPv6",
  field: "address",
};
const NOT_BANNED: Problem = { status: 404, detail: "this address or network is not banned" };

const NEW_BAN = v.strictObject({
  address: v.string(),
  ttl_seconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_BAN_S))),
});

/** `GET|POST /bans`, `DELETE /bans/*`. A client is an address, or the /64 network of an IPv6 address; networks can be banned, too. */
export function createBanRoutes({ firewall, banTimeMs, cluster }: BanOptions): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/bans",
      answer({ request }) {
        const bans = firewall()?.bans();
        if (bans === undefined) return STARTING;
        const nowMs = Date.now();
        return pageResponse(request.query, {
          name: "bans",
          items: bans,
          keyOf: ({ client }) => client,
          describe: ({ client, leftMs }) => ({
            client,
            expires_at: formatTime(nowMs + leftMs),
            ...cluster === undefined ? {} : { node: cluster.nodeOfBan(client) },
          }),
          isPartial: cluster?.isUp === false,
        });
      },
    },
    {
      method: "POST",
      path: "/bans",
      takesBody: true,
      async answer({ json }) {
        const fields = readFields(NEW_BAN, json);
        if (!fields.ok) return fields.problem;
        const { address } = fields.value;
        const client = address.length > MAX_ADDRESS_LENGTH ? undefined : banKey(address);
        if (client === undefined) return NO_ADDRESS;
        const forMs = fields.value.ttl_seconds === undefined ? banTimeMs : fields.value.ttl_seconds * 1000;
        const isBanned = firewall()?.ban(client, forMs);
        if (isBanned === undefined) return STARTING;
        if (!isBanned) {
          return { status: 409, detail: "loopback addresses are banned with --ban-loopback only" };
        }
        const location = `/bans/${encodeURIComponent(client)}`;
        const ban = { client, expires_at: formatTime(Date.now() + forMs) };
        return jsonResponse({ ...ban, ...await tellEverywhere(cluster) }, {
          status: 201,
          headers: { location },
        });
      },
    },
    {
      method: "DELETE",
      path: "/bans/*",
      async answer({ item }) {
        const client = banKey(item);
        if (client === undefined) return NO_ADDRESS;
        const wasBanned = firewall()?.unban(client);
        if (wasBanned === undefined) return STARTING;
        if (!wasBanned) return NOT_BANNED;
        return cluster === undefined ? emptyResponse() : jsonResponse(await tellEverywhere(cluster));
      },
    },
  ];
}
