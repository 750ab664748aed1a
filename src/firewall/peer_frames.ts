// The bytes of a client, frame by frame: what may be passed on to the endpoint, and what breaks a rule. No I/O.

import { CloseReason, isValidCloseCode, NO_STATUS_RECEIVED } from "../protocol/close_code.ts";
import {
  FrameHeader,
  headerSize,
  isControl,
  MAX_HEADER_SIZE,
  OPCODE,
  readFrameHeader,
  rotateMaskKey,
  writeFrameHeader,
} from "../protocol/frame.ts";
import { Utf8Validator } from "../protocol/utf8.ts";
import { SizeHistogram } from "../telemetry/histogram.ts";
import {
  FIRST_BYTES_RULES,
  firstViolation,
  FrameLimits,
  MessageState,
  WHOLE_HEADER_RULES,
} from "./frame_rules.ts";
import type { Violation } from "./violation.ts";

/**
 * Bytes that must be free before the bytes given to `PeerFrames.inspect`: room for one header, and then to the next
 * word, for a payload that begins with a word is checked faster.
 */
export const HEADROOM = MAX_HEADER_SIZE + 2;

const BAD_TEXT: Violation = { rule: "utf8", code: 1007, reason: "a text message must be valid UTF-8" };
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
 * Reads a client's stream and says which bytes may go to the endpoint.
 *
 * What goes on always ends at the end of a frame, so a Close frame can be put after it at any time: a frame whose
 * payload is not all there is passed on as fragments, one for each piece (RFC 6455 §5.4 allows an intermediary to do
 * so where no extension was agreed). A control frame goes on only when it is whole.
 */
export class PeerFrames {
  /** After `inspect`: the bytes from here to `forwardEnd` may go on. Can be up to HEADROOM before the given start. */
  forwardStart = 0;
  forwardEnd = 0;
  /** After `inspect`: the bytes from here to the given end must be put before the next ones. */
  carryStart = 0;
  /** The rule that was broken, if any; nothing may be inspected after that. */
  violation: Violation | undefined;
  /** The peer's Close frame, if it came. It does not go on by itself, and whatever follows it is ignored. */
  close: CloseReason | undefined;
  /** Data messages begun so far. */
  messages = 0;
  /** Control frames so far. */
  controlFrames = 0;

  readonly #limits: FrameLimits;
  readonly #sizes: SizeHistogram;
  readonly #header = new FrameHeader();
  readonly #message: MessageState = { opcode: 0, bytes: 0, fragments: 0 };
  #utf8: Utf8Validator | undefined;
  /** The data frame that is being passed on in pieces: payload bytes to come, its FIN, its mask for the next byte. */
  #bytesLeft = 0;
  #fin = false;
  #maskKey = 0;

  /** @param sizes counts the sizes of the data messages that are whole. */
  constructor(limits: FrameLimits, sizes: SizeHistogram = new SizeHistogram()) {
    this.#limits = limits;
    this.#sizes = sizes;
  }

  /** Payload bytes of the unfinished message so far. */
  get unfinishedBytes(): number {
    return this.#message.bytes - this.#bytesLeft;
  }

  /**
   * Takes the bytes from `start` to `end`: what was carried over from the last call and what has come since. Writes
   * headers into the HEADROOM bytes before `start` and may move bytes between `start` and `end`.
   *
   * @param allowance How many messages and control frames may begin; what comes after those is carried over.
   * @returns False when the allowance was used up before the bytes were.
   */
  inspect(bytes: Uint8Array, start: number, end: number, allowance = Infinity): boolean {
    const most = this.messages + this.controlFrames + allowance;
    this.forwardStart = start;
    this.forwardEnd = start;
    this.carryStart = end;
    let at = start;
    if (this.#bytesLeft > 0) {
      const size = Math.min(this.#bytesLeft, end - start);
      if (size === 0) return true;
      if (!this.#acceptPayload(bytes, start, start + size)) return true;
      this.forwardStart = start - headerSize(size, true);
      writeFrameHeader(bytes, this.forwardStart, {
        fin: this.#fin && this.#bytesLeft === size,
        opcode: OPCODE.continuation,
        payloadLength: size,
        maskKey: this.#maskKey,
      });
      this.#maskKey = rotateMaskKey(this.#maskKey, size);
      this.#bytesLeft -= size;
      at = start + size;
      if (this.#bytesLeft === 0 && this.#fin && !this.#finishMessage()) {
        this.forwardStart = start;
        return true;
      }
    }
    const header = this.#header;
    while (at < end) {
      this.forwardEnd = at;
      const isWhole = readFrameHeader(bytes, at, end, header);
      if (header.size > 0) {
        this.violation = firstViolation(FIRST_BYTES_RULES, header, this.#message, this.#limits);
        if (this.violation !== undefined) return true;
      }
      if (!isWhole) {
        this.carryStart = at;
        return true;
      }
      this.violation = firstViolation(WHOLE_HEADER_RULES, header, this.#message, this.#limits);
      if (this.violation !== undefined) return true;
      if (this.messages + this.controlFrames >= most && header.opcode !== OPCODE.continuation) {
        this.carryStart = at;
        return false;
      }
      const payloadStart = at + header.size;
      const frameEnd = payloadStart + header.payloadLength;
      if (isControl(header.opcode)) {
        if (frameEnd > end) {
          this.carryStart = at;
          return true;
        }
        if (header.opcode === OPCODE.close) {
          this.#readClose(bytes, payloadStart, frameEnd);
          return true;
        }
        this.controlFrames++;
        at = frameEnd;
        continue;
      }
      if (frameEnd > end && payloadStart === end) {
        this.carryStart = at;
        return true;
      }
      this.#beginFrame();
      if (frameEnd > end) {
        if (this.#acceptPayload(bytes, payloadStart, end)) this.#splitFrame(bytes, at, end);
        return true;
      }
      if (!this.#acceptPayload(bytes, payloadStart, frameEnd)) return true;
      if (header.fin && !this.#finishMessage()) return true;
      at = frameEnd;
    }
    this.forwardEnd = at;
    return true;
  }

  /** Counts the data frame in `#header` toward its message. */
  #beginFrame(): void {
    const header = this.#header;
    const message = this.#message;
    if (header.opcode !== OPCODE.continuation) {
      message.opcode = header.opcode;
      this.messages++;
    }
    message.bytes += header.payloadLength;
    message.fragments++;
    this.#maskKey = header.maskKey;
  }

  /** Turns the frame at `at`, of whose payload the part up to `end` is there, into a fragment of that part. */
  #splitFrame(bytes: Uint8Array, at: number, end: number): void {
    const { size, payloadLength, maskKey, fin, opcode } = this.#header;
    const piece = end - at - size;
    const saved = size - headerSize(piece, true);
    if (saved > 0) bytes.copyWithin(at + size - saved, at + size, end);
    writeFrameHeader(bytes, at, { fin: false, opcode, payloadLength: piece, maskKey });
    this.forwardEnd = end - saved;
    this.#bytesLeft = payloadLength - piece;
    this.#fin = fin;
    this.#maskKey = rotateMaskKey(maskKey, piece);
  }

  /** Text must be UTF-8 over all its fragments (RFC 6455 §8.1); binary is not looked at. */
  #acceptPayload(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#message.opcode !== OPCODE.text) return true;
    this.#utf8 ??= new Utf8Validator();
    if (this.#utf8.accepts(bytes, start, end, this.#maskKey)) return true;
    this.violation = BAD_TEXT;
    return false;
  }

  #finishMessage(): boolean {
    const message = this.#message;
    if (message.opcode === OPCODE.text && !this.#utf8!.isComplete) {
      this.violation = BAD_TEXT;
      return false;
    }
    this.#sizes.observe(message.bytes);
    message.opcode = 0;
    message.bytes = 0;
    message.fragments = 0;
    return true;
  }

  /** RFC 6455 §5.5.1 and §7.4. */
  #readClose(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size === 0) {
      this.close = { code: NO_STATUS_RECEIVED, reason: "" };
      return;
    }
    const key = this.#header.maskKey;
    if (size === 1) {
      this.violation = BAD_CLOSE_SIZE;
      return;
    }
    const code = ((bytes[start]! ^ (key >>> 24)) << 8) | (bytes[start + 1]! ^ ((key >>> 16) & 255));
    if (!isValidCloseCode(code)) {
      this.violation = BAD_CLOSE_CODE;
      return;
    }
    const reason = new Utf8Validator();
    if (!reason.accepts(bytes, start + 2, end, rotateMaskKey(key, 2)) || !reason.isComplete) {
      this.violation = BAD_REASON;
      return;
    }
    const text = bytes.slice(start + 2, end);
    for (let i = 0; i < text.length; i++) text[i]! ^= (key >>> (24 - ((i + 2) & 3) * 8)) & 255;
    this.close = { code, reason: new TextDecoder().decode(text) };
  }
}
