// Every event that the log can hold, declared once: its name, its level and what it says to a person.

/** Severity of a log record, lowest first. */
export type LogLevel = "debug" | "info" | "warning" | "error" | "fatal";

/** What is fixed about an event: how severe it is and the sentence that people read. */
export interface EventDeclaration {
  readonly level: LogLevel;
  readonly text: string;
}

/** The closed set of events. Names are stable: programs match on them. */
export const EVENTS = {
  "server.starting": { level: "info", text: "Starting" },
  "server.listening": { level: "info", text: "Listening" },
  "server.draining": {
    level: "info",
    text: "Draining: no new connections, every open one is told to go away",
  },
  "server.stopped": { level: "info", text: "Stopped" },
  "server.accept_failed": { level: "error", text: "Cannot accept a connection" },
  "server.accepting": { level: "info", text: "Accepting connections again" },
  "process.unhandled": { level: "error", text: "An error reached the process and was contained" },
  "key.created": { level: "info", text: "Created a new key" },
  "keys.fetched": { level: "info", text: "Fetched the issuer's keys" },
  "keys.fetch_failed": { level: "warning", text: "Cannot fetch the issuer's keys, the old ones stay" },
  "keys.reloaded": { level: "info", text: "Loaded the keys again" },
  "keys.reload_failed": { level: "error", text: "Cannot load the keys again, the old ones stay" },
  "connection.opened": { level: "info", text: "Connection opened" },
  "connection.closed": { level: "info", text: "Connection closed" },
  "connection.error": { level: "error", text: "Connection error" },
  "protocol.error": { level: "error", text: "Protocol error" },
  "limit.reached": { level: "warning", text: "A connection reached a limit" },
  "handler.error": { level: "error", text: "A handler failed" },
  "handshake.refused": { level: "warning", text: "Handshake refused" },
  "handshake.refused_repeatedly": { level: "warning", text: "The same handshake was refused again" },
  "handshake.failed": { level: "info", text: "The peer was lost during the handshake" },
  "firewall.crashed": { level: "fatal", text: "The firewall's thread ended, its connections are lost" },
  "firewall.restarted": { level: "info", text: "The firewall was started again" },
  "firewall.restart_failed": { level: "error", text: "The firewall can't be started again, trying on" },
  "server.plaintext": { level: "warning", text: "Listening beyond this machine without TLS" },
  "tls.reloaded": { level: "info", text: "Read the certificate and its key again" },
  "tls.reload_failed": { level: "error", text: "Kept the old certificate: the new one can't be used" },
  "client.banned": { level: "warning", text: "An address is banned for a time" },
  "rules.reloaded": { level: "info", text: "Read the rules file again" },
  "rules.reload_failed": { level: "error", text: "Kept the old rules: the rules file can't be used" },
  "session.opened": { level: "info", text: "Session opened" },
  "session.closed": { level: "info", text: "Session closed" },
  "session.refused": { level: "warning", text: "Authentication failed" },
  "session.refreshed": { level: "info", text: "Session extended by a new token" },
  "session.refresh_refused": { level: "warning", text: "A new token for a session was refused" },
  "revocation.added": { level: "info", text: "Revoked" },
  "revocation.removed": { level: "info", text: "Revocation taken back" },
  "endpoint.lost": { level: "error", text: "An endpoint ended a connection without a Close frame" },
  "endpoint.unreachable": { level: "error", text: "An endpoint does not answer" },
  "log.write_failed": { level: "error", text: "Cannot write to the log file, records are being lost" },
  "log.records_lost": { level: "error", text: "Log records could not be written" },
  "endpoint.restarted": { level: "error", text: "An endpoint stopped unexpectedly and was started again" },
} as const satisfies Record<string, EventDeclaration>;

/** The name of an event. */
export type EventName = keyof typeof EVENTS;
