// Reads the frames of a client: what may be passed on to the upstream, and what breaks a rule. No I/O.

import {
  headerSize,
  isControl,
  MAX_HEADER_SIZE,
  OPCODE,
  rotateMaskKey,
  writeFrameHeader,
} from "../../protocol/frame.ts";
import { Utf8Validator } from "../../protocol/utf8.ts";
import { unmask } from "../../protocol/masking.ts";
import { BAD_TEXT, FrameCheck } from "../connection/frame_check.ts";

/**
 * Bytes that must be free before those given to `PeerFrames.inspect`: room for one header, rounded up to a word,
 * because a payload that begins at a word is checked faster.
 */
export const HEADROOM = MAX_HEADER_SIZE + 2;

/**
 * Reads a client's stream and says which bytes may be passed on.
 *
 * What is passed on always ends with a frame, so that a Close can follow at any time: a frame whose payload is not all
 * there is passed on as fragments, one for each piece (RFC 6455 §5.4 allows this without an extension). A control frame
 * is passed on only when it is whole.
 */
export class PeerFrames {
  /** After `inspect`: the bytes from here to `forwardEnd` may be passed on. Up to HEADROOM before the given start. */
  forwardStart = 0;
  forwardEnd = 0;
  /** After `inspect`: the bytes from here to the given end must be put before the next ones. */
  carryStart = 0;

  /** Our Pings that the client has not answered; the caller counts them up. */
  pings = 0;

  readonly #check: FrameCheck;
  /** The payload of those Pings: their Pongs are not passed on. */
  readonly #mark: Uint8Array;
  #utf8: Utf8Validator | undefined;
  /** The data frame that is being passed on in pieces: payload bytes to come, FIN, mask for the next byte. */
  #bytesLeft = 0;
  #fin = false;
  #maskKey = 0;

  /**
   * @param check has the violation and the Close, which is not passed on by itself.
   * @param mark is the payload of Pongs that are not passed on, as many as `pings`.
   */
  constructor(check: FrameCheck, mark: Uint8Array = new Uint8Array(0)) {
    this.#check = check;
    this.#mark = mark;
  }

  /** Payload bytes of the unfinished message so far. */
  get unfinishedBytes(): number {
    return this.#check.message.bytes - this.#bytesLeft;
  }

  /**
   * Takes the bytes from `start` to `end`: those carried over from the last call, and new ones. Writes headers into the
   * HEADROOM bytes before `start`, and may move bytes between `start` and `end`.
   *
   * @param allowance How many frames may begin; the bytes after them are carried over.
   * @returns False when the allowance was used up before the bytes were.
   */
  inspect(bytes: Uint8Array, start: number, end: number, allowance = Infinity): boolean {
    const check = this.#check;
    const most = check.frames + allowance;
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
    const { header } = check;
    while (at < end) {
      this.forwardEnd = at;
      if (!check.readHeader(bytes, at, end)) {
        if (check.violation === undefined) this.carryStart = at;
        return true;
      }
      if (check.frames >= most) {
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
          check.readClose(bytes, payloadStart, frameEnd);
          return true;
        }
        check.frames++;
        if (header.opcode === OPCODE.pong && this.pings > 0 && this.#isMark(bytes, payloadStart, frameEnd)) {
          this.pings--;
          // What was before it is moved up to what is after it.
          bytes.copyWithin(this.forwardStart + frameEnd - at, this.forwardStart, at);
          this.forwardStart += frameEnd - at;
        }
        at = frameEnd;
        continue;
      }
      if (frameEnd > end && payloadStart === end) {
        this.carryStart = at;
        return true;
      }
      check.beginFrame();
      this.#maskKey = header.maskKey;
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

  #isMark(bytes: Uint8Array, start: number, end: number): boolean {
    const mark = this.#mark;
    if (end - start !== mark.length) return false;
    const { maskKey } = this.#check.header;
    unmask(bytes, start, end, maskKey);
    const isMark = mark.every((byte, i) => bytes[start + i] === byte);
    unmask(bytes, start, end, maskKey);
    return isMark;
  }

  /** Turns the part of the frame at `at` that is there, up to `end`, into a fragment. */
  #splitFrame(bytes: Uint8Array, at: number, end: number): void {
    const { size, payloadLength, maskKey, fin, opcode } = this.#check.header;
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
    if (this.#check.message.opcode !== OPCODE.text) return true;
    this.#utf8 ??= new Utf8Validator();
    if (this.#utf8.accepts(bytes, start, end, this.#maskKey)) return true;
    this.#check.violation = BAD_TEXT;
    return false;
  }

  #finishMessage(): boolean {
    if (this.#check.message.opcode === OPCODE.text && !this.#utf8!.isComplete) {
      this.#check.violation = BAD_TEXT;
      return false;
    }
    this.#check.finishMessage();
    return true;
  }
}
