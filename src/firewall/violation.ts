// A rule broken by a peer: what the log, the counters and the Close frame are made from.

/** Names of the rules that a stream of frames can break; a closed set, used as log field and label. */
export type FrameRuleName =
  | "masking"
  | "reserved_bits"
  | "reserved_opcode"
  | "control_frame"
  | "length_encoding"
  | "continuation"
  | "close_payload"
  | "utf8"
  | "message_size"
  | "fragments";

/** Names of the limits that a connection can reach. */
export type LimitName =
  | "message_rate"
  | "byte_rate"
  | "idle_timeout"
  | "ping_timeout"
  | "send_timeout"
  | "max_lifetime"
  | "buffered_memory";

/** One broken rule or one limit that was reached. `reason` goes into the Close frame: fixed text, at most 123 bytes, never the peer's words. */
export interface Violation {
  readonly rule: FrameRuleName | LimitName;
  readonly code: number;
  readonly reason: string;
}
