// Reads the frames of an upstream: what may be sent on, where a frame ends, what breaks a rule. No I/O.

import { isControl, OPCODE } from "../../protocol/frame.ts";
import { Utf8Validator } from "../../protocol/utf8.ts";
import type { SizeHistogram } from "../../telemetry/histogram.ts";
import { BAD_TEXT, FrameCheck } from "../connection/frame_check.ts";
import { SERVER_FIRST_BYTES_RULES } from "../connection/frame_rules.ts";

/**
 * Most frames of one message: far more than for a client, because a server may stream in small pieces, but not endless.
 */
const MAX_FRAGMENTS = 65_536;
/** Bytes of a mark's number. */
const NUMBER_SIZE = 4;

/**
 * Checks the frames of a server by RFC 6455, and knows where they end: only there may the firewall put in a frame of
 * its own. Nothing before `forwardEnd` breaks a rule.
 */
export class EndpointFrames {
  /** After `inspect`: the bytes from the given start to here may be sent on. */
  forwardEnd = 0;
  /** After `inspect`: the last end of a frame in the given bytes (their start can be one), -1 if there is none. */
  boundary = 0;
  /** Data messages finished so far. */
  messages = 0;
  /** The number of the last mark that came back; 0 before the first. */
  mark = 0;
  /** Has the violation or the Close, which is not before `forwardEnd`; nothing may be read after either. */
  readonly check: FrameCheck;

  readonly #mark: Uint8Array;
  #utf8: Utf8Validator | undefined;
  #bytesLeft = 0;
  #fin = false;

  /**
   * @param sizes counts the sizes of the data messages that are whole.
   * @param mark begins the payload of Pongs that are meant for the firewall, before a number of 32 bits; such Pongs are
   * taken out.
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

  /** Whether a data frame has begun and not ended. */
  get isInFrame(): boolean {
    return this.#bytesLeft > 0;
  }

  /**
   * Takes the bytes from `start` to `end`: those after `forwardEnd` of the last call, and new ones.
   *
   * @returns Where the bytes end now: what is taken out leaves no gap.
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
        // The end of the frame must not be sent on: with it the message would be whole.
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
