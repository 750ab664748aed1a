// Every event that the log can hold, declared once: its name, its level, its fields and what it says to a person.

import type { Explanation } from "../core/explanation.ts";
import type { FieldName, FieldValues } from "./fields.ts";

/** Severities of log records, lowest first. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "fatal"] as const;

/** Severity of a log record. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What is fixed about an event: how severe it is, the sentence that people read, and the fields it may have. */
export interface EventDeclaration extends Explanation {
  readonly level: LogLevel;
  readonly text: string;
  /** In the order in which they are best read; a field without a value is left out of the record. */
  readonly fields: readonly FieldName[];
  /** Whether a stranger can cause it again and again: then repetitions are only counted (see `RecordBrake`). */
  readonly isBraked?: true;
}

const CONNECTION = ["connection", "peer", "endpoint"] as const;
const SESSION = [...CONNECTION, "session", "user"] as const;

/** The closed set of events. Names are stable: programs match on them. */
export const EVENTS = {
  "server.started": {
    level: "info",
    text: "Started",
    fields: ["version", "addresses", "pid", "config"],
    cause: "the server listens; always the first record, whatever happened before it",
    settings: ["host", "echoPort", "securePort", "adminListen"],
  },
  "server.stdout_failed": {
    level: "warning",
    text: "Cannot print the addresses: stdout can't be written",
    fields: ["error"],
    cause: "stdout is closed, full or a pipe without a reader; the server serves all the same",
    settings: ["readyLines"],
  },
  "server.few_descriptors": {
    level: "warning",
    text: "The limit of open files is lower than the connections that are allowed need",
    fields: ["limit", "value", "hint"],
    cause:
      "ulimit -n, or LimitNOFILE of the unit, is below what --max-connections can take; there will be as many connections " +
      "as there are files for",
    settings: ["maxConnections"],
  },
  "server.not_migrated": {
    level: "warning",
    text: "Connections that wait to be accepted are reset when one of the processes on a port ends",
    fields: ["hint"],
    cause: "--reuse-port, while the system setting net.ipv4.tcp_migrate_req is 0, as it is by default",
    settings: ["reusePort"],
  },
  "server.draining": {
    level: "info",
    text: "Draining: no new connections, every open one is told to go away",
    fields: ["signal"],
    cause: "the process got SIGINT or SIGTERM",
    settings: ["drainTimeout"],
  },
  "server.stopped": {
    level: "info",
    text: "Stopped",
    fields: [],
    cause: "the drain is over: every connection has ended or was cut",
    settings: ["drainTimeout"],
  },
  "server.accept_failed": {
    level: "error",
    text: "Cannot accept a connection",
    fields: ["endpoint", "error", "hint", "count"],
    isBraked: true,
    cause:
      "the process has no file descriptors left; it goes on trying, with as many connections as there were files for",
    settings: ["maxConnections"],
  },
  "server.accepting": {
    level: "info",
    text: "Accepting connections again",
    fields: ["endpoint", "count"],
    isBraked: true,
    cause: "there are file descriptors again after server.accept_failed",
  },
  "server.plaintext": {
    level: "warning",
    text: "Listening beyond this machine without TLS",
    fields: ["host", "hint"],
    cause: "the address is not a loopback one and there is no certificate: tokens travel in the clear",
    settings: ["host", "tlsCert", "tlsKey"],
  },
  "server.notify_failed": {
    level: "warning",
    text: "Cannot tell the service manager how the server is",
    fields: ["reason"],
    cause: "NOTIFY_SOCKET can't be reached: nobody listens there, or the program may not use it",
  },
  "process.unhandled": {
    level: "error",
    text: "An error reached the process and was contained",
    fields: ["error", "count", "stack"],
    cause: "a fault in wsward itself; the connections that it did not concern go on",
  },
  "process.debugger_opened": {
    level: "fatal",
    text: "SIGUSR1 has opened the runtime's debugger, the server ends at once",
    fields: ["hint"],
    cause:
      "somebody sent SIGUSR1, for which the runtime listens on 127.0.0.1:9229, where any local user could run code " +
      "in the server; the executable on Linux, the unit of systemd and the start task block the signal",
  },
  "key.created": {
    level: "info",
    text: "Created a new key",
    fields: ["file", "hint"],
    cause: "the key file did not exist at the start",
    settings: ["keyFile"],
  },
  "keys.fetched": {
    level: "info",
    text: "Fetched the issuer's keys",
    fields: ["keys", "ignored", "detail", "count"],
    isBraked: true,
    cause: "the start, a reload, keys that are too old, or a token that names an unknown one",
    settings: ["jwksUrl"],
  },
  "keys.fetch_failed": {
    level: "warning",
    text: "Cannot fetch the issuer's keys; those there are stay",
    fields: ["reason", "keys", "count"],
    isBraked: true,
    cause:
      "the issuer did not answer in time, or not with a key set; with none at all the server is not ready",
    settings: ["jwksUrl"],
  },
  "keys.doubtful": {
    level: "warning",
    text: "Something about the key file may not be as it is meant",
    fields: ["file", "reason"],
    cause: "a secret that other programs may read in another encoding, or a key of a set that can't be used",
    settings: ["keyFile", "keyEncoding"],
  },
  "keys.reloaded": {
    level: "info",
    text: "Loaded the keys again",
    fields: [],
    cause: "SIGHUP",
    settings: ["keyFile", "jwksUrl"],
  },
  "keys.reload_failed": {
    level: "error",
    text: "Cannot load the keys again, the old ones stay",
    fields: ["reason"],
    cause: "SIGHUP, while the key file can't be read or holds no key that can be used",
    settings: ["keyFile", "jwksUrl"],
  },
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
    text: "A fault of the server's own ended a connection",
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
    fields: ["peer", "endpoint", "status", "rule", "reason", "limit", "detail", "dry_run"],
    cause:
      "the client may not connect, or did not send a WebSocket handshake; the rule says which, see that; a token " +
      "that is not valid is session.refused",
    settings: ["firewallDryRun"],
  },
  "handshake.refused_repeatedly": {
    level: "warning",
    text: "The same handshake was refused again",
    fields: ["peer", "endpoint", "status", "rule", "reason", "limit", "detail", "dry_run", "count"],
    cause: "a client goes on after handshake.refused: one record for all of some seconds",
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
  "tls.certificate_not_valid": {
    level: "warning",
    text: "The TLS certificate is not valid now",
    fields: ["reason"],
    cause:
      "a certificate that has ended or has not begun, at the start or a reload: clients that check it go away",
    settings: ["tlsCert"],
  },
  "tls.reloaded": {
    level: "info",
    text: "Read the certificate and its key again",
    fields: [],
    cause: "SIGHUP",
    settings: ["tlsCert", "tlsKey", "tlsClientCa"],
  },
  "tls.reload_failed": {
    level: "error",
    text: "Kept the old certificate: the new one can't be used",
    fields: ["reason"],
    cause: "SIGHUP, while a file of the certificate can't be read or does not fit the others",
    settings: ["tlsCert", "tlsKey", "tlsClientCa"],
  },
  "tls.key_open": {
    level: "warning",
    text: "Others can read the private key of the certificate",
    fields: ["file", "hint"],
    cause: "the start or SIGHUP, with a key file whose mode lets everybody read it, or a group write it",
    settings: ["tlsKey"],
  },
  "client.banned": {
    level: "warning",
    text: "An address is banned for a time",
    fields: ["peer", "duration", "count"],
    isBraked: true,
    cause: "too many violations and failed authentications in a short time, or an administrator",
    settings: ["banAfter", "banWindow", "banTime", "banLoopback"],
  },
  "redis.connected": {
    level: "info",
    text: "Redis can be used: limits, tokens, revocations and bans hold on all nodes",
    fields: ["server", "node", "duration"],
    cause:
      "the start, or Redis is back after a loss that lasted for the duration; all that this node knows was told again",
    settings: ["redis", "redisPrefix", "nodeName"],
  },
  "redis.lost": {
    level: "warning",
    text:
      "Redis can't be used: limits, the replay check and new bans hold on this node only until it is back",
    fields: ["server", "reason"],
    cause:
      "Redis is down, slower than --redis-timeout, full, read-only or does not let this node in. Until it is back: open " +
      "sessions go on; new ones are held to the limits of this node, or refused with --on-redis-loss refuse; a token of " +
      "--replay-check can be used once on each node; what is revoked, banned or closed here holds here at once, and is told " +
      "to the others later; what was revoked or banned before stays so. It is tried again all the time",
    settings: ["onRedisLoss", "redisTimeout", "redis"],
  },
  "redis.refused": {
    level: "error",
    text: "Redis answered with an error to what this node asked",
    fields: ["server", "error", "count"],
    isBraked: true,
    cause:
      "its user may not run a command that is needed, another program uses the same keys, or a fault in wsward",
    settings: ["redis", "redisPrefix"],
  },
  "rules.reloaded": {
    level: "info",
    text: "Read the rules file again",
    fields: ["file"],
    cause: "SIGHUP; who is not allowed any more is closed",
    settings: ["rulesFile"],
  },
  "rules.reload_failed": {
    level: "error",
    text: "Kept the old rules: the rules file can't be used",
    fields: ["reason"],
    cause: "SIGHUP, while the rules file can't be read or has a line that is no rule",
    settings: ["rulesFile"],
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
      "the state file can't be written: what was revoked is, but only until the server stops, and what was to be taken back stays",
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
      "nobody listens there, TLS failed, it did not answer in time, or not with a WebSocket handshake; at most a record a second",
    settings: ["upstream", "upstreamTimeout", "upstreamCa", "upstreamServerName"],
  },
  "upstream.refused": {
    level: "warning",
    text: "An upstream refused a handshake",
    fields: ["connection", "endpoint", "upstream", "status", "count"],
    cause:
      "its own status, which the client gets too: 404 for a path, 403 for an origin; at most a record a second",
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
    cause: "SIGHUP, while one of them can't be read",
    settings: ["upstreamCa", "upstreamCert", "upstreamKey"],
  },
  "admin.refused": {
    level: "warning",
    text: "A request to the admin listener was refused",
    fields: ["status", "reason"],
    cause: "no valid token of an administrator, or a page of another site; at most five records a second",
    settings: ["adminListen", "adminScope"],
  },
  "admin.records_left_out": {
    level: "warning",
    text: "Records about the admin or the metrics listener were left out",
    fields: ["kind", "count"],
    cause: "more than five refusals, or faults, in a second: one record for all of some seconds",
    settings: ["adminListen", "metricsListen"],
  },
  "metrics.refused": {
    level: "warning",
    text: "A request to the metrics listener was refused",
    fields: ["status", "reason"],
    cause: "a wrong token, or none; five records at once, and then one in ten seconds at most",
    settings: ["metricsListen", "metricsTokenFile"],
  },
  "metrics.token_reloaded": {
    level: "info",
    text: "Read the token for the metrics again",
    fields: [],
    cause: "SIGHUP",
    settings: ["metricsTokenFile"],
  },
  "metrics.token_reload_failed": {
    level: "error",
    text: "Kept the old token for the metrics: the file can't be used",
    fields: ["reason"],
    cause: "SIGHUP, while the file can't be read or holds no token",
    settings: ["metricsTokenFile"],
  },
  "admin.changed": {
    level: "info",
    text: "An administrator changed something",
    fields: ["user", "detail"],
    cause: "a request to the admin listener that was no mere question",
    settings: ["adminListen", "adminScope"],
  },
  "log.write_failed": {
    level: "error",
    text: "Cannot write to the log file, records are being lost",
    fields: ["error"],
    cause: "a full disk, a removed folder or a read-only file system; on the terminal, once per outage",
    settings: ["logFile"],
  },
  "log.terminal_failed": {
    level: "error",
    text: "Cannot write to the terminal, records are being lost",
    fields: ["error"],
    cause: "stderr is a pipe or a terminal that nobody reads, or it is gone; in the file, once per outage",
  },
  "log.records_lost": {
    level: "error",
    text: "Log records could not be written",
    fields: ["count"],
    cause: "the place where it stands can be written again after log.write_failed or log.terminal_failed",
    settings: ["logFile"],
  },
  "log.rotation_failed": {
    level: "error",
    text: "Cannot rotate the log file, it grows on",
    fields: ["error"],
    cause: "a full file can't be renamed, for want of a permission; on the terminal, once per outage",
    settings: ["logFile", "logMaxSize", "logMaxFiles"],
  },
} as const satisfies Record<string, EventDeclaration>;

/** The name of an event. */
export type EventName = keyof typeof EVENTS;

/** The fields that records of `Event` may have; of any event if left out. */
export type LogFields<Event extends EventName = EventName> = FieldValues<
  typeof EVENTS[Event]["fields"][number]
>;
