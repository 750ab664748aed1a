// Rules that a peer can break and limits that it can reach, with their close codes.

import type { Explanation } from "../core/explanation.ts";

/** What is fixed about a rule. */
export interface RuleDeclaration extends Explanation {
  /** The close code for a peer that breaks it. */
  readonly code: number;
  /** What it asks for. */
  readonly meaning: string;
}

/** The rules that a stream of frames can break; a closed set, whose names are log fields and labels. */
export const FRAME_RULES = {
  masking: {
    code: 1002,
    meaning: "frames from a client are masked (RFC 6455 §5.1)",
    cause: "a client that does not mask: not a browser, and broken, or hoping to speak to something else",
  },
  reserved_bits: {
    code: 1002,
    meaning: "the three reserved bits of a frame are 0 (RFC 6455 §5.2)",
    cause: "a client that compresses or uses another extension although none was agreed",
  },
  reserved_opcode: {
    code: 1002,
    meaning: "the opcode is one that RFC 6455 §5.2 defines",
    cause: "a broken client, or a stream that is not WebSocket any more",
  },
  control_frame: {
    code: 1002,
    meaning: "Close, Ping and Pong are not fragmented and carry at most 125 bytes (RFC 6455 §5.5)",
    cause: "a Close reason or a Ping payload that is too long, or an attack",
  },
  length_encoding: {
    code: 1002,
    meaning: "a length is written in the fewest bytes that hold it (RFC 6455 §5.2)",
    cause: "a broken client, or an attack on parsers",
  },
  continuation: {
    code: 1002,
    meaning: "fragments of a message follow each other (RFC 6455 §5.4)",
    cause: "a client that writes from two places at once, or continues a message that it has not begun",
  },
  close_payload: {
    code: 1002,
    meaning: "a Close frame carries nothing, or a code that may be sent (RFC 6455 §5.5.1 and §7.4)",
    cause: "a client that closes with 1005, 1006, 1015 or another code that is not for the wire",
  },
  utf8: {
    code: 1007,
    meaning: "text messages and close reasons are UTF-8 (RFC 6455 §8.1)",
    cause: "binary data, or text in another encoding, sent as a text message",
  },
  message_size: {
    code: 1009,
    meaning: "a message, all its fragments together, is not too large",
    cause: "a frame header that announces more than the limit; nothing of that frame is read",
    settings: ["maxMessageSize"],
  },
  fragments: {
    code: 1009,
    meaning: "a message is not made of too many frames",
    cause: "a client that streams a message in very small frames, or a flood of empty ones",
    settings: ["maxFragments"],
  },
} as const satisfies Record<string, RuleDeclaration>;

/** The limits that a connection can reach; a closed set, whose names are log fields and labels. */
export const LIMITS = {
  message_rate: {
    code: 1008,
    meaning: "a connection does not send too many frames a second",
    cause: "a busy or a hostile client; it is only slowed down unless --on-rate-limit says close",
    settings: ["messageRate", "onRateLimit"],
  },
  byte_rate: {
    code: 1008,
    meaning: "a connection does not send too many bytes a second",
    cause: "a busy or a hostile client; it is only slowed down unless --on-rate-limit says close",
    settings: ["byteRate", "onRateLimit"],
  },
  idle_timeout: {
    code: 3008,
    meaning: "a connection is not open for long without a message in either direction",
    cause: "a client that has nothing to say; Pings do not count, so it has to send something",
    settings: ["idleTimeout"],
  },
  ping_timeout: {
    code: 3008,
    meaning: "a peer answers a Ping in time",
    cause: "a peer that is gone without a word: asleep, out of reach, or stuck",
    settings: ["pingTimeout", "pingInterval"],
  },
  send_timeout: {
    code: 3008,
    meaning: "a peer reads what is sent to it",
    cause: "a peer that is stuck or stalls on purpose, so that what is sent to it fills memory",
    settings: ["sendTimeout"],
  },
  message_timeout: {
    code: 3008,
    meaning: "a message that has begun goes on: it is finished, or grows by 1 KiB, in time",
    cause: "a client that is stuck, or holds an unfinished message on purpose so that it fills memory",
    settings: ["messageTimeout"],
  },
  max_lifetime: {
    code: 3008,
    meaning: "a connection is not open for longer than allowed",
    cause: "the time is over; the client may connect again at once",
    settings: ["maxLifetime"],
  },
  buffered_memory: {
    code: 1013,
    meaning: "the memory that peers make the process hold stays within the budget",
    cause:
      "this peer held much and made no progress, or held the most, when the budget of all was used up: unfinished messages or " +
      "unread replies",
    settings: ["maxBufferedMemory", "maxMessageSize"],
  },
} as const satisfies Record<string, RuleDeclaration>;

/** The name of a rule about frames. */
export type FrameRuleName = keyof typeof FRAME_RULES;

/** The name of a limit. */
export type LimitName = keyof typeof LIMITS;

interface ViolationOf<Name extends FrameRuleName | LimitName> {
  readonly rule: Name;
  readonly code: (typeof FRAME_RULES & typeof LIMITS)[Name]["code"];
  readonly reason: string;
  /** What is allowed and what was measured: bytes, seconds or a count. */
  readonly limit?: number;
  readonly value?: number;
}

/** One broken rule or one limit that was reached. `reason` goes into the Close frame: fixed text, at most 123 bytes, never the peer's words. */
export type Violation = { readonly [Name in FrameRuleName | LimitName]: ViolationOf<Name> }[
  | FrameRuleName
  | LimitName
];
