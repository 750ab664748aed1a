// Checks a client's frame headers and its Close; the same on both ways to an endpoint. No I/O.

import { CloseReason, isValidCloseCode, NO_STATUS_RECEIVED } from "../../protocol/close_code.ts";
import { FrameHeader, OPCODE, readFrameHeader } from "../../protocol/frame.ts";
import { unmask } from "../../protocol/masking.ts";
import { Utf8Validator } from "../../protocol/utf8.ts";
import type { SizeHistogram } from "../../telemetry/histogram.ts";
import type { Violation } from "../violation.ts";
import {
  FIRST_BYTES_RULES,
  firstViolation,
  FrameLimits,
  FrameRule,
  MessageState,
  WHOLE_HEADER_RULES,
} from "./frame_rules.ts";

export const BAD_TEXT: Violation = {
  rule: "utf8",
  code: 1007,
  reason: "a text message must be valid UTF-8",
};
const decoder = new TextDecoder();

const BAD_REASON: Violation = { rule: "utf8", code: 1007, reason: "a close reason must be valid UTF-8" };
const BAD_CLOSE_SIZE: Violation = {
  rule: "close_payload",
  code: 1002,
  reason: "a Close frame carries nothing or at least a 2-byte code",
};
const BAD_CLOSE_CODE: Violation = {
  rule: "close_payload",
  code: 1002,
  reason: "the close code must not be sent",
};

/**
 * Follows the frames of one client, or of one server. The reader of the payloads calls it when a frame is taken and
 * when a message is whole.
 */
export class FrameCheck {
  /** The last header that was read. */
  readonly header = new FrameHeader();
  /** The unfinished message. */
  readonly message: MessageState = { opcode: 0, bytes: 0, fragments: 0 };
  /** The rule that was broken, if any; nothing more may be read after that. */
  violation: Violation | undefined;
  /** The client's Close frame, if it came; what follows it is ignored. */
  close: CloseReason | undefined;
  /** Frames accepted so far, of every kind: this is what a rate counts. */
  frames = 0;
  /** Data messages begun so far. */
  messages = 0;

  readonly #limits: FrameLimits;
  readonly #sizes: SizeHistogram;
  readonly #firstBytesRules: readonly FrameRule[];

  /**
   * @param sizes counts the sizes of the data messages that are whole.
   * @param firstBytesRules are those for a client's frames if left out.
   */
  constructor(limits: FrameLimits, sizes: SizeHistogram, firstBytesRules = FIRST_BYTES_RULES) {
    this.#limits = limits;
    this.#sizes = sizes;
    this.#firstBytesRules = firstBytesRules;
  }

  /**
   * Reads the header at `at` into `header`.
   *
   * @returns Whether it is whole and keeps the rules. If not, either `violation` is set, or more bytes are needed.
   */
  readHeader(bytes: Uint8Array, at: number, end: number): boolean {
    const { header, message } = this;
    const isWhole = readFrameHeader(bytes, at, end, header);
    if (header.size === 0) return false;
    this.violation = firstViolation(this.#firstBytesRules, header, message, this.#limits) ??
      (isWhole ? firstViolation(WHOLE_HEADER_RULES, header, message, this.#limits) : undefined);
    return isWhole && this.violation === undefined;
  }

  /** Counts the data frame in `header` toward its message. */
  beginFrame(): void {
    const { header, message } = this;
    if (header.opcode !== OPCODE.continuation) {
      message.opcode = header.opcode;
      this.messages++;
    }
    message.bytes += header.payloadLength;
    message.fragments++;
    this.frames++;
  }

  /** The message is whole. */
  finishMessage(): void {
    const { message } = this;
    this.#sizes.observe(message.bytes);
    message.opcode = 0;
    message.bytes = 0;
    message.fragments = 0;
  }

  /** Reads the whole Close frame in `header`, whose payload is from `start` to `end` and is unmasked (RFC 6455 §5.5.1, §7.4). */
  readClose(bytes: Uint8Array, start: number, end: number): void {
    this.frames++;
    if (start === end) {
      this.close = { code: NO_STATUS_RECEIVED, reason: "" };
      return;
    }
    if (end - start === 1) {
      this.violation = BAD_CLOSE_SIZE;
      return;
    }
    unmask(bytes, start, end, this.header.maskKey);
    const code = (bytes[start]! << 8) | bytes[start + 1]!;
    const reason = new Utf8Validator();
    if (!isValidCloseCode(code)) this.violation = BAD_CLOSE_CODE;
    else if (!reason.accepts(bytes, start + 2, end, 0) || !reason.isComplete) this.violation = BAD_REASON;
    else this.close = { code, reason: decoder.decode(bytes.subarray(start + 2, end)) };
  }
}
