// The bytes of an endpoint, frame by frame: where a frame ends, and whether the endpoint closes. No I/O.

import { CloseReason, NO_STATUS_RECEIVED } from "../../protocol/close_code.ts";
import { FrameHeader, isControl, OPCODE, readFrameHeader } from "../../protocol/frame.ts";
import { SizeHistogram } from "../../telemetry/histogram.ts";

/**
 * Follows the frames that an endpoint sends. The endpoint is our own side, so nothing is checked; what matters is
 * where frames end, because only there may the firewall put in a frame of its own.
 */
export class EndpointFrames {
  /** After `inspect`: the bytes from the given start to here may be sent. */
  forwardEnd = 0;
  /** After `inspect`: the end of the last whole frame in the given bytes, at least their start if that is one, otherwise -1. */
  boundary = 0;
  /** The endpoint's Close frame, if it came; it and what follows it are not before `forwardEnd`. */
  close: CloseReason | undefined;
  /** Data messages finished so far. */
  messages = 0;
  /** Marks that have come back; the caller sets it back. */
  marks = 0;

  readonly #header = new FrameHeader();
  readonly #sizes: SizeHistogram;
  readonly #mark: Uint8Array;
  #bytesLeft = 0;
  #fin = false;
  /** Payload bytes of the message so far. */
  #messageBytes = 0;

  /**
   * @param sizes counts the sizes of the data messages that are whole.
   * @param mark is the payload of a Pong that is meant for the firewall: it is counted and taken out.
   */
  constructor(sizes: SizeHistogram, mark: Uint8Array) {
    this.#sizes = sizes;
    this.#mark = mark;
  }

  /**
   * Takes the bytes from `start` to `end`: what was after `forwardEnd` in the last call, and what has come since.
   *
   * @returns Where the bytes end now, for what is taken out is closed up.
   */
  inspect(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    this.boundary = -1;
    if (this.#bytesLeft > 0) {
      const size = Math.min(this.#bytesLeft, end - start);
      this.#bytesLeft -= size;
      at += size;
      if (this.#bytesLeft > 0) {
        this.forwardEnd = at;
        return end;
      }
      if (this.#fin) this.#finishMessage();
    }
    const header = this.#header;
    this.boundary = at;
    while (at < end) {
      if (!readFrameHeader(bytes, at, end, header)) break;
      const payloadStart = at + header.size;
      const frameEnd = payloadStart + header.payloadLength;
      if (isControl(header.opcode)) {
        if (frameEnd > end) break;
        if (header.opcode === OPCODE.close) {
          this.close = readClose(bytes, payloadStart, frameEnd);
          this.forwardEnd = at;
          return end;
        }
        if (header.opcode === OPCODE.pong && this.#isMark(bytes, payloadStart, frameEnd)) {
          this.marks++;
          bytes.copyWithin(at, frameEnd, end);
          end -= frameEnd - at;
          continue;
        }
      } else {
        this.#messageBytes += header.payloadLength;
        if (frameEnd > end) {
          this.#bytesLeft = frameEnd - end;
          this.#fin = header.fin;
          this.forwardEnd = end;
          return end;
        }
        if (header.fin) this.#finishMessage();
      }
      at = this.boundary = frameEnd;
    }
    this.forwardEnd = at;
    return end;
  }

  #isMark(bytes: Uint8Array, start: number, end: number): boolean {
    const mark = this.#mark;
    if (end - start !== mark.length) return false;
    for (let i = 0; i < mark.length; i++) {
      if (bytes[start + i] !== mark[i]) return false;
    }
    return true;
  }

  #finishMessage(): void {
    this.messages++;
    this.#sizes.observe(this.#messageBytes);
    this.#messageBytes = 0;
  }
}

function readClose(bytes: Uint8Array, start: number, end: number): CloseReason {
  if (end - start < 2) return { code: NO_STATUS_RECEIVED, reason: "" };
  return {
    code: (bytes[start]! << 8) | bytes[start + 1]!,
    reason: new TextDecoder().decode(bytes.subarray(start + 2, end)),
  };
}
