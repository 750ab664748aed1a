// The rules for frame headers of clients and servers (RFC 6455 §5). A new rule is one function and one line in a list.

import { FrameHeader, isControl, MAX_CONTROL_PAYLOAD, OPCODE } from "../../protocol/frame.ts";
import type { Violation } from "../violation.ts";

/** The message that is being received, so far. */
export interface MessageState {
  /** `OPCODE.text` or `OPCODE.binary` while a fragmented message is unfinished, otherwise 0. */
  opcode: number;
  /** Payload bytes announced by the message's frames so far. */
  bytes: number;
  /** Frames of the message so far. */
  fragments: number;
}

/** The limits that frames are held to. */
export interface FrameLimits {
  /** Bytes of payload in one message, over all its fragments. */
  readonly maxMessageSize: number;
  /** Frames in one message; `Infinity` for no limit. */
  readonly maxFragments: number;
}

/** Returns the violation, or undefined when the header keeps the rule. Must not allocate when it does. */
export type FrameRule = (
  header: FrameHeader,
  message: MessageState,
  limits: FrameLimits,
) => Violation | undefined;

const UNMASKED: Violation = { rule: "masking", code: 1002, reason: "frames from a client must be masked" };
const MASKED: Violation = { rule: "masking", code: 1002, reason: "frames from a server must not be masked" };
const RESERVED_BITS: Violation = {
  rule: "reserved_bits",
  code: 1002,
  reason: "a reserved bit is set and no extension was agreed",
};
const RESERVED_OPCODE: Violation = { rule: "reserved_opcode", code: 1002, reason: "the opcode is reserved" };
const FRAGMENTED_CONTROL: Violation = {
  rule: "control_frame",
  code: 1002,
  reason: "a control frame must not be fragmented",
};
const LONG_CONTROL: Violation = {
  rule: "control_frame",
  code: 1002,
  reason: "a control frame carries at most 125 bytes",
  limit: MAX_CONTROL_PAYLOAD,
};
const LONG_ENCODING: Violation = {
  rule: "length_encoding",
  code: 1002,
  reason: "the payload length must use the shortest encoding",
};
const HUGE_LENGTH: Violation = {
  rule: "length_encoding",
  code: 1002,
  reason: "the highest bit of the payload length must be 0",
};
const ORPHAN: Violation = {
  rule: "continuation",
  code: 1002,
  reason: "a continuation frame came without a message to continue",
};
const INTERLEAVED: Violation = {
  rule: "continuation",
  code: 1002,
  reason: "a new message began before the last one was finished",
};

/** The rules for both sides. */
const COMMON_RULES: readonly FrameRule[] = [
  // RFC 6455 §5.2: no extension is ever negotiated here, so all three bits must be 0.
  (header) => header.rsv === 0 ? undefined : RESERVED_BITS,
  (header) =>
    header.opcode <= OPCODE.binary || (header.opcode >= OPCODE.close && header.opcode <= OPCODE.pong)
      ? undefined
      : RESERVED_OPCODE,
  // RFC 6455 §5.5.
  (header) => header.fin || !isControl(header.opcode) ? undefined : FRAGMENTED_CONTROL,
  (header) =>
    header.lengthCode <= MAX_CONTROL_PAYLOAD || !isControl(header.opcode) ? undefined : LONG_CONTROL,
  // RFC 6455 §5.4.
  (header, message) => header.opcode === OPCODE.continuation && message.opcode === 0 ? ORPHAN : undefined,
  (header, message) =>
    header.opcode !== OPCODE.continuation && !isControl(header.opcode) && message.opcode !== 0
      ? INTERLEAVED
      : undefined,
];

/** Rules about the first two bytes: applied as soon as those are there. */
export const FIRST_BYTES_RULES: readonly FrameRule[] = [
  // RFC 6455 §5.1: a server must close the connection upon an unmasked frame.
  (header) => header.masked ? undefined : UNMASKED,
  ...COMMON_RULES,
];

/** The same for the frames of a server, which must not be masked. */
export const SERVER_FIRST_BYTES_RULES: readonly FrameRule[] = [
  (header) => header.masked ? MASKED : undefined,
  ...COMMON_RULES,
];

/** Rules that need the whole header. */
export const WHOLE_HEADER_RULES: readonly FrameRule[] = [
  // RFC 6455 §5.2: the minimal number of bytes must be used, and the most significant bit must be 0.
  (header) =>
    header.lengthCode < 126 || header.payloadLength > (header.lengthCode === 126 ? 125 : 65535)
      ? undefined
      : LONG_ENCODING,
  (header) => header.payloadLength < 2 ** 63 ? undefined : HUGE_LENGTH,
  // RFC 6455 §10.4: refused before a byte of it is read, because the length is only the peer's claim.
  (header, message, limits) => {
    if (isControl(header.opcode)) return undefined;
    const size = message.bytes + header.payloadLength;
    if (size <= limits.maxMessageSize) return undefined;
    return {
      rule: "message_size",
      code: 1009,
      reason: `a message may have at most ${limits.maxMessageSize} bytes`,
      limit: limits.maxMessageSize,
      value: size,
    };
  },
  // A flood of empty fragments costs the peer little and adds nothing to the size.
  (header, message, limits) => {
    if (header.opcode !== OPCODE.continuation || message.fragments < limits.maxFragments) return undefined;
    return {
      rule: "fragments",
      code: 1009,
      reason: `a message may have at most ${limits.maxFragments} fragments`,
      limit: limits.maxFragments,
      value: message.fragments + 1,
    };
  },
];

/** The first violation among `rules`. */
export function firstViolation(
  rules: readonly FrameRule[],
  header: FrameHeader,
  message: MessageState,
  limits: FrameLimits,
): Violation | undefined {
  for (let i = 0; i < rules.length; i++) {
    const violation = rules[i]!(header, message, limits);
    if (violation !== undefined) return violation;
  }
  return undefined;
}
