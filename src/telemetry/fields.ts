// Every field that a log record can have besides its time, level, event and message, declared once.

/** What is fixed about a field. */
export interface FieldDeclaration {
  /** The type of its value, in JSON too. */
  readonly type: "string" | "number" | "boolean";
  /** What it holds, with its unit, in a few words without a full stop. */
  readonly meaning: string;
}

/** The closed set of fields. Names and types are stable; durations are in seconds, sizes in bytes. */
export const FIELDS = {
  connection: { type: "string", meaning: "id of the connection, the same in all its records" },
  peer: { type: "string", meaning: "address of the client, or the network that stands for it" },
  endpoint: { type: "string", meaning: "name of the endpoint: echo, secure or upstream" },
  upstream: { type: "string", meaning: "address of somebody's own server, as --upstream gives it" },
  session: { type: "string", meaning: "id of the session" },
  user: { type: "string", meaning: "user of the session" },
  status: { type: "number", meaning: "HTTP status of the refusal" },
  rule: { type: "string", meaning: "name of the rule or the limit" },
  code: { type: "number", meaning: "close code; 1006 if no Close frame came" },
  reason: { type: "string", meaning: "why, in fixed words of wsward or of the system" },
  detail: { type: "string", meaning: "more about the reason, which the peer is not told" },
  limit: { type: "number", meaning: "what is allowed, in the unit of the rule: bytes, seconds or a count" },
  value: { type: "number", meaning: "what was measured, in the same unit" },
  clean: { type: "boolean", meaning: "whether both sides sent a Close frame" },
  messages_in: { type: "number", meaning: "messages from the peer" },
  messages_out: { type: "number", meaning: "messages to the peer" },
  bytes_in: { type: "number", meaning: "bytes from the peer, frame headers included" },
  bytes_out: { type: "number", meaning: "bytes to the peer, frame headers included" },
  duration: { type: "number", meaning: "seconds, to the millisecond" },
  count: { type: "number", meaning: "how many" },
  dry_run: { type: "boolean", meaning: "true if --firewall-dry-run let it pass" },
  method: { type: "string", meaning: "session method that was called" },
  kind: { type: "string", meaning: "what is revoked: user, session or jti" },
  target: { type: "string", meaning: "the user, session or jti that is revoked" },
  revocation: { type: "string", meaning: "id of the revocation" },
  keys: { type: "number", meaning: "keys that can be used" },
  ignored: { type: "number", meaning: "keys that can't be used here" },
  host: { type: "string", meaning: "address or name that is listened on" },
  file: { type: "string", meaning: "path of a file" },
  server: { type: "string", meaning: "where Redis is, without name and password" },
  node: { type: "string", meaning: "name of this node, with an id that no other node has" },
  signal: { type: "string", meaning: "signal that asked for it" },
  error: { type: "string", meaning: "what was caught: its class, or the system's words" },
  stack: { type: "string", meaning: "where it was thrown: functions and places, innermost first" },
  version: { type: "string", meaning: "version of wsward" },
  addresses: { type: "string", meaning: "URLs that are listened on, separated by spaces" },
  pid: { type: "number", meaning: "id of the process" },
  config: { type: "string", meaning: "path of the settings file, or none" },
  hint: { type: "string", meaning: "what to do about it" },
} as const satisfies Record<string, FieldDeclaration>;

/** The name of a field. */
export type FieldName = keyof typeof FIELDS;

interface TypeByName {
  string: string;
  number: number;
  boolean: boolean;
}

/** Values of the fields `Name`; one that is undefined is left out of the record. */
export type FieldValues<Name extends FieldName> = {
  readonly [Key in Name]?: TypeByName[typeof FIELDS[Key]["type"]] | undefined;
};
