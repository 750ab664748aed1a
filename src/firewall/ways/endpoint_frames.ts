// The bytes of somebody else's server, frame by frame: what may be sent on, where a frame ends, what breaks a rule. No I/O.

import { isControl, OPCODE } from "../../protocol/frame.ts";
import { Utf8Validator } from "../../protocol/utf8.ts";
import type { SizeHistogram } from "../../telemetry/histogram.ts";
import { BAD_TEXT, FrameCheck } from "../connection/frame_check.ts";
import { SERVER_FIRST_BYTES_RULES } from "../connection/frame_rules.ts";

/**
 * Most frames of one message: a server may stream one in small pieces, so it is far more than for a client, and an end to one
 * without any.
 */
const MAX_FRAGMENTS = 65_536;
/** Bytes of a mark's number. */
const NUMBER_SIZE = 4;

/**
 * Follows the frames that a server sends, holds them to RFC 6455, and knows where they end, because only there may the
 * firewall put in a frame of its own. Nothing that breaks a rule is before `forwardEnd`.
 */
export class EndpointFrames {
  /** After `inspect`: the bytes from the given start to here may be sent. */
  forwardEnd = 0;
  /** After `inspect`: the end of the last whole frame in the given bytes, at least their start if that is one, otherwise -1. */
  boundary = 0;
  /** Data messages finished so far. */
  messages = 0;
  /** The number of the last mark that has come back; 0 before the first. */
  mark = 0;
  /** The rule that was broken, or the Close, which is not before `forwardEnd`; after either of them nothing may be read. */
  readonly check: FrameCheck;

  readonly #mark: Uint8Array;
  #utf8: Utf8Validator | undefined;
  #bytesLeft = 0;
  #fin = false;

  /**
   * @param sizes counts the sizes of the data messages that are whole.
   * @param mark is how the payload of a Pong that is meant for the firewall begins, before a number of 32 bits: it is taken out.
   * @param maxMessageSize in bytes of payload, over all fragments.
   */
  constructor(sizes: SizeHistogram, mark: Uint8Array, maxMessageSize: number) {
    this.check = new FrameCheck(
      { maxMessageSize, maxFragments: MAX_FRAGMENTS },
      sizes,
      SERVER_FIRST_BYTES_RULES,
    );
    this.#mark = mark;
  }

  /** Whether a data frame has begun whose end has not come. */
  get isInFrame(): boolean {
    return this.#bytesLeft > 0;
  }

  /**
   * Takes the bytes from `start` to `end`: what was after `forwardEnd` in the last call, and what has come since.
   *
   * @returns Where the bytes end now, for what is taken out is closed up.
   */
  inspect(bytes: Uint8Array, start: number, end: number): number {
    const { check } = this;
    const { header } = check;
    let at = this.forwardEnd = start;
    this.boundary = -1;
    if (this.#bytesLeft > 0) {
      at = Math.min(start + this.#bytesLeft, end);
      if (!this.#acceptPayload(bytes, start, at)) return end;
      this.#bytesLeft -= at - start;
      this.forwardEnd = at;
      if (this.#bytesLeft > 0) return end;
      if (this.#fin && !this.#finishMessage()) {
        // The end of the frame must not reach anybody: with it the message would be whole.
        this.forwardEnd = start;
        this.#bytesLeft = 1;
        return end;
      }
    }
    while (at < end) {
      this.forwardEnd = this.boundary = at;
      if (!check.readHeader(bytes, at, end)) return end;
      const payloadStart = at + header.size;
      const frameEnd = payloadStart + header.payloadLength;
      if (isControl(header.opcode)) {
        if (frameEnd > end) return end;
        if (header.opcode === OPCODE.close) {
          check.readClose(bytes, payloadStart, frameEnd);
          return end;
        }
        if (header.opcode === OPCODE.pong && this.#isMark(bytes, payloadStart, frameEnd)) {
          this.mark = readNumber(bytes, frameEnd - NUMBER_SIZE);
          bytes.copyWithin(at, frameEnd, end);
          end -= frameEnd - at;
          continue;
        }
        at = frameEnd;
        continue;
      }
      check.beginFrame();
      const isWhole = frameEnd <= end;
      if (!this.#acceptPayload(bytes, payloadStart, isWhole ? frameEnd : end)) return end;
      if (!isWhole) {
        this.#bytesLeft = frameEnd - end;
        this.#fin = header.fin;
        this.forwardEnd = end;
        return end;
      }
      if (header.fin && !this.#finishMessage()) return end;
      at = frameEnd;
    }
    this.forwardEnd = this.boundary = at;
    return end;
  }

  /** Text must be UTF-8 over all its fragments (RFC 6455 §8.1); binary is not looked at. */
  #acceptPayload(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.check.message.opcode !== OPCODE.text) return true;
    this.#utf8 ??= new Utf8Validator();
    if (this.#utf8.accepts(bytes, start, end, 0)) return true;
    this.check.violation = BAD_TEXT;
    return false;
  }

  #finishMessage(): boolean {
    if (this.check.message.opcode === OPCODE.text && !this.#utf8!.isComplete) {
      this.check.violation = BAD_TEXT;
      return false;
    }
    this.messages++;
    this.check.finishMessage();
    return true;
  }

  #isMark(bytes: Uint8Array, start: number, end: number): boolean {
    const mark = this.#mark;
    if (end - start !== mark.length + NUMBER_SIZE) return false;
    for (let i = 0; i < mark.length; i++) {
      if (bytes[start + i] !== mark[i]) return false;
    }
    return true;
  }
}

function readNumber(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}
