// Events about the server itself: its life, keys, files and operators.

import type { EventDeclaration } from "./event_declaration.ts";

/** What happens with or without peers. */
export const SERVER_EVENTS = {
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
    text: "The limit of open files is too low for the connections that are allowed",
    fields: ["limit", "value", "hint"],
    cause:
      "ulimit -n, or LimitNOFILE of the unit, is below what --max-connections can take; there will be as many connections " +
      "as there are files for",
    settings: ["maxConnections"],
  },
  "server.not_migrated": {
    level: "warning",
    text: "Connections waiting to be accepted are reset when one of the processes on a port ends",
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
    text: "Something about the key file may not be what was meant",
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
      "Redis is down, slower than --redis-timeout, full, read-only or does not let this node in; or its clock was set ahead, and " +
      "all is told again at once. Until it is back: open " +
      "sessions go on; new ones are held to the limits of this node, or refused with --on-redis-loss refuse; a token of " +
      "--replay-check can be used once on each node; what is revoked, banned or closed here holds here at once, and is told " +
      "to the others later; what was revoked or banned before stays so. It is tried again all the time",
    settings: ["onRedisLoss", "redisTimeout", "redis"],
  },
  "redis.evicts": {
    level: "warning",
    text: "Redis evicts keys when its memory is full: sessions, used tokens and revocations can be forgotten",
    fields: ["server", "reason"],
    cause: "its maxmemory-policy is not noeviction, while it has a maxmemory",
    settings: ["redis"],
  },
  "redis.reloaded": {
    level: "info",
    text: "Read the certificate authority for Redis again",
    fields: ["file"],
    cause: "SIGHUP; it holds for the next connection",
    settings: ["redisCa"],
  },
  "redis.reload_failed": {
    level: "error",
    text: "Kept the old certificate authority for Redis",
    fields: ["reason"],
    cause: "SIGHUP, while the file can't be read or is not certificates in PEM",
    settings: ["redisCa"],
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
  "admin.refused": {
    level: "warning",
    text: "A request to the admin listener was refused",
    fields: ["status", "reason", "count"],
    isBraked: true,
    cause: "no valid token of an administrator, or a page of another site",
    settings: ["adminListen", "adminScope"],
  },
  "metrics.refused": {
    level: "warning",
    text: "A request to the metrics listener was refused",
    fields: ["status", "reason", "count"],
    isBraked: true,
    cause: "a wrong token, or none",
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
    cause: "a request to the admin listener that was not only a question",
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
    cause: "a full file can't be renamed: a permission is missing; on the terminal, once per outage",
    settings: ["logFile", "logMaxSize", "logMaxFiles"],
  },
} as const satisfies Record<string, EventDeclaration>;
