// Events about peers: connections, sessions, and the servers behind.

import type { EventDeclaration } from "./event_declaration.ts";

const CONNECTION = ["connection", "peer", "endpoint"] as const;
const SESSION = [...CONNECTION, "session", "user"] as const;

/** What peers do, and what is done for them. */
export const PEER_EVENTS = {
  "connection.opened": {
    level: "info",
    text: "Connection opened",
    fields: CONNECTION,
    cause: "a handshake was accepted",
  },
  "connection.closed": {
    level: "info",
    text: "Connection closed",
    fields: [
      ...CONNECTION,
      "code",
      "clean",
      "reason",
      "messages_in",
      "messages_out",
      "bytes_in",
      "bytes_out",
      "duration",
    ],
    cause:
      "either side ended it; the code says why, see that; 1006 is a peer that went away without a Close frame",
  },
  "connection.fault": {
    level: "error",
    text: "A fault of the server ended a connection",
    fields: [...CONNECTION, "error", "stack", "count"],
    isBraked: true,
    cause: "a fault in wsward itself: the peer gets 500 or the code 1011, no other connection notices",
  },
  "protocol.error": {
    level: "error",
    text: "Protocol error",
    fields: [...CONNECTION, "rule", "code", "reason", "limit", "value", "count"],
    isBraked: true,
    cause: "the peer broke a rule of RFC 6455 or a limit on messages; the rule says which, see that",
    settings: ["maxMessageSize", "maxFragments", "banAfter"],
  },
  "limit.reached": {
    level: "warning",
    text: "A connection reached a limit",
    fields: [...CONNECTION, "rule", "code", "reason", "limit", "value", "count"],
    isBraked: true,
    cause: "a rate, a time limit or the memory budget; the rule says which, see that",
    settings: [
      "messageRate",
      "byteRate",
      "onRateLimit",
      "idleTimeout",
      "pingTimeout",
      "sendTimeout",
      "maxLifetime",
      "maxBufferedMemory",
    ],
  },
  "handler.error": {
    level: "error",
    text: "A handler failed",
    fields: [...SESSION, "method", "error", "detail", "stack", "count"],
    isBraked: true,
    cause: "a fault in the endpoint's own code; the peer gets Internal Error, no other connection notices",
  },
  "handshake.refused": {
    level: "warning",
    text: "Handshake refused",
    fields: ["peer", "endpoint", "status", "rule", "reason", "limit", "detail", "dry_run", "count"],
    isBraked: true,
    // Nothing is cheaper for a stranger to cause.
    mostAtOnce: 1,
    cause:
      "the client may not connect, or did not send a WebSocket handshake; the rule says which, see that; a token " +
      "that is not valid is session.refused",
    settings: ["firewallDryRun"],
  },
  "handshake.failed": {
    level: "info",
    text: "The peer was lost during the handshake",
    fields: ["peer", "endpoint", "count"],
    isBraked: true,
    cause: "the client went away, or spoke no TLS where TLS is needed, before it was answered",
    settings: ["handshakeTimeout"],
  },
  "client.banned": {
    level: "warning",
    text: "An address is banned for a time",
    fields: ["peer", "duration", "count"],
    isBraked: true,
    cause: "too many violations and failed authentications in a short time, or an administrator",
    settings: ["banAfter", "banWindow", "banTime", "banLoopback"],
  },
  "session.opened": {
    level: "info",
    text: "Session opened",
    fields: SESSION,
    cause: "a valid token was presented",
  },
  "session.closed": {
    level: "info",
    text: "Session closed",
    fields: [...SESSION, "code", "reason", "messages_in", "messages_out", "duration"],
    cause: "its connection closed; the reason is there if the server ended it",
  },
  "session.refused": {
    level: "warning",
    text: "Authentication failed",
    fields: [...CONNECTION, "status", "code", "reason", "detail", "count"],
    isBraked: true,
    cause: "no valid token in time, one that is revoked or used up, or too many sessions of its user",
    settings: ["authTimeout", "keyFile", "issuer", "audience", "clockTolerance", "maxSessionsPerUser"],
  },
  "session.refreshed": {
    level: "info",
    text: "Session extended by a new token",
    fields: SESSION,
    cause: "the client called refresh with a valid token of the same user",
  },
  "session.refresh_refused": {
    level: "warning",
    text: "A new token for a session was refused",
    fields: [...SESSION, "reason", "count"],
    isBraked: true,
    cause: "the token of a refresh is not valid, of another user, or does not last longer",
  },
  "revocation.added": {
    level: "info",
    text: "Revoked",
    fields: ["kind", "target", "revocation"],
    cause: "an administrator revoked a user, a session or a token",
    settings: ["stateFile"],
  },
  "revocation.not_stored": {
    level: "error",
    text: "A revocation, or its end, could not be stored",
    fields: ["kind", "target", "revocation", "error"],
    cause:
      "the state file can't be written: a new revocation holds only until the server stops, and one that was to be taken back stays",
    settings: ["stateFile"],
  },
  "revocation.removed": {
    level: "info",
    text: "Revocation taken back",
    fields: ["revocation"],
    cause: "an administrator took it back; what it ended stays ended",
    settings: ["stateFile"],
  },
  "token.not_stored": {
    level: "error",
    text: "A used token could not be stored, and could be used again after a restart",
    fields: ["user", "error", "count"],
    isBraked: true,
    cause: "a full disk, or a state file that was removed or replaced",
    settings: ["replayCheck", "stateFile"],
  },
  "endpoint.lost": {
    level: "error",
    text: "An endpoint ended a connection without a Close frame",
    fields: [...CONNECTION, "count"],
    isBraked: true,
    cause: "a fault on the private side; the peer gets 1011",
  },
  "endpoint.unreachable": {
    level: "error",
    text: "An endpoint does not answer",
    fields: ["connection", "endpoint", "error", "count"],
    isBraked: true,
    cause:
      "its private socket can't be reached: removed, or the endpoint is starting again; the peer gets 503",
    settings: ["runtimeDir"],
  },
  "endpoint.restarted": {
    level: "error",
    text: "An endpoint stopped unexpectedly and was started again",
    fields: ["endpoint", "reason", "count"],
    isBraked: true,
    cause: "a fault in the runtime, or no file descriptors",
  },
  "upstream.unreachable": {
    level: "error",
    text: "An upstream can't be connected to",
    fields: ["connection", "endpoint", "upstream", "status", "reason", "error", "hint", "count"],
    cause:
      "nobody listens there, TLS failed, it did not answer in time, or not with a WebSocket handshake; at most one record a second",
    settings: ["upstream", "upstreamTimeout", "upstreamCa", "upstreamServerName"],
  },
  "upstream.refused": {
    level: "warning",
    text: "An upstream refused a handshake",
    fields: ["connection", "endpoint", "upstream", "status", "count"],
    cause:
      "its own status, which the client gets too: 404 for a path, 403 for an origin; at most one record a second",
    settings: ["upstream", "upstreamPath"],
  },
  "upstream.lost": {
    level: "error",
    text: "An upstream was lost",
    fields: [...CONNECTION, "upstream", "reason", "count"],
    isBraked: true,
    cause:
      "it ended a connection without a Close frame, does not read, or does not answer a Ping; the peer gets 1011",
    settings: ["pingInterval", "pingTimeout", "sendTimeout"],
  },
  "upstream.protocol_error": {
    level: "error",
    text: "An upstream broke the protocol",
    fields: [...CONNECTION, "upstream", "rule", "code", "reason", "limit", "value", "count"],
    isBraked: true,
    cause:
      "its frames break RFC 6455 or a limit: it gets the code, the peer gets 1011; the rule says which, see that",
    settings: ["upstreamMaxMessageSize"],
  },
  "upstream.down": {
    level: "error",
    text: "An upstream is left out for a time",
    fields: ["upstream", "duration", "count"],
    isBraked: true,
    cause: "three attempts in a row failed, or one more after such a time; open connections to it go on",
    settings: ["upstream"],
  },
  "upstream.up": {
    level: "info",
    text: "An upstream can be used again",
    fields: ["upstream", "count"],
    isBraked: true,
    cause: "it has accepted a handshake, or refused one, after upstream.down",
    settings: ["upstream"],
  },
  "upstream.reloaded": {
    level: "info",
    text: "Read the files for TLS to the upstreams again",
    fields: [],
    cause: "SIGHUP",
    settings: ["upstreamCa", "upstreamCert", "upstreamKey"],
  },
  "upstream.reload_failed": {
    level: "error",
    text: "Kept the old files for TLS to the upstreams",
    fields: ["reason"],
    cause: "SIGHUP, while one of them can't be read, or the authority is not certificates in PEM",
    settings: ["upstreamCa", "upstreamCert", "upstreamKey"],
  },
} as const satisfies Record<string, EventDeclaration>;
