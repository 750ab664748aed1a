// The rules that a handshake can break, and what each one means.

import type { Explanation } from "../core/explanation.ts";

/** What is known about a rule for handshakes. */
export interface RefusalRuleDeclaration extends Explanation {
  readonly meaning: string;
}

/** Every rule for handshakes; the names are the field `rule` of `handshake.refused`. */
export const REFUSAL_RULES = {
  handshake: {
    meaning: "a handshake is one of RFC 6455 §4 in HTTP/1.1, to the letter",
    cause: "another protocol on the port, a missing or malformed header, a body; the reason names it",
  },
  handshake_timeout: {
    meaning: "the whole handshake must come in time",
    cause: "a peer that sends nothing, or its head too slowly",
    settings: ["handshakeTimeout"],
  },
  head_size: { meaning: "a request head has a largest size", cause: "too many or too long headers" },
  tls: {
    meaning: "a TLS handshake must succeed before anything else",
    cause: "plain HTTP on a TLS port, an old version of TLS, or no client certificate where one is asked for",
    settings: ["tlsCert", "tlsClientCa"],
  },
  proxy_protocol: {
    meaning: "a trusted proxy must begin with a PROXY preamble",
    cause: "a proxy that does not send one, or a malformed one",
    settings: ["proxyProtocol", "trustProxy"],
  },
  host: {
    meaning: "the header Host must be a name of this server",
    cause: "DNS rebinding, or a name that the server was not told of",
    settings: ["allowHost"],
  },
  path: {
    meaning: "the endpoint is at one path, an upstream at those that --upstream-path names",
    cause: "a URL with another path, or one with dots that could lead out of it",
    settings: ["upstreamPath"],
  },
  origin: {
    meaning: "web pages of other origins may not connect",
    cause: "a page of another site, or of an own one that the server was not told of",
    settings: ["allowOrigin", "insecureAllowAnyOrigin"],
  },
  ip_rules: {
    meaning: "the address may not connect",
    cause: "a deny rule that fits it, or allow rules of which none does",
    settings: ["denyIp", "allowIp", "rulesFile"],
  },
  ban: {
    meaning: "the address is banned for a time",
    cause: "too many violations or failed authentications, or an administrator",
    settings: ["banAfter", "banWindow", "banTime"],
  },
  max_connections: {
    meaning: "only so many connections may be open at once",
    cause:
      "more clients than the server was made for, or than it may have files open (a connection needs three), or a flood; " +
      "peers that have not sent their request go first, those of the address with most of them",
    settings: ["maxConnections"],
  },
  max_connections_per_ip: {
    meaning: "one address may have only so many open connections",
    cause:
      "a client that opens many, or many clients behind one address; where there are few files (ulimit -n), one address " +
      "may have three quarters of the connections that there are files for",
    settings: ["maxConnectionsPerIp", "trustProxy"],
  },
  memory: {
    meaning: "connections may cost only so much memory by being there: three quarters of the limit",
    cause: "more clients than the limit has room for: 32 KiB each, 68 KiB with TLS",
    settings: ["maxBufferedMemory", "maxConnections"],
  },
  handshake_rate: {
    meaning: "one address may make only so many handshakes a second",
    cause: "a client that reconnects at once when it is closed, or a flood",
    settings: ["handshakeRate", "trustProxy"],
  },
  endpoint: {
    meaning: "the endpoint itself refused, or could not be reached",
    cause: "a token that is not valid, or a failure on the server's side; the log has more",
  },
  upstream: {
    meaning: "somebody's own server behind this one refused, or could not be used",
    cause: "its own refusal, or a failure there; upstream.refused or upstream.unreachable has more",
    settings: ["upstream", "upstreamTimeout"],
  },
  draining: { meaning: "a server that stops takes no new connections", cause: "SIGINT or SIGTERM" },
} as const satisfies Record<string, RefusalRuleDeclaration>;

/** The name of a rule for handshakes. */
export type RefusalRule = keyof typeof REFUSAL_RULES;
