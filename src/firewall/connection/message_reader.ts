// Turns the bytes of a client into whole messages, for an endpoint in this process. No I/O.

import { isControl, OPCODE, rotateMaskKey } from "../../protocol/frame.ts";
import { unmask } from "../../protocol/masking.ts";
import { Utf8Validator } from "../../protocol/utf8.ts";
import { BAD_TEXT, type FrameCheck } from "./frame_check.ts";

/** Room for the first piece of a message that comes in pieces; it doubles with what has come. */
const FIRST_ROOM = 1024;
/** If at least this many bytes of a message are still to come, they are read into its own buffer directly. */
const DIRECT_FROM = 16_384;

// A byte order mark belongs to the message (RFC 6455 §5.6 knows none). Not `fatal`: that is eight times slower, and
// makes strings of twice the size.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** What the decoder puts in place of invalid UTF-8; it may also be in the text itself. */
const REPLACEMENT = "\ufffd";
const whole = new Utf8Validator();

/** What `MessageReader.next` found: one of the first three for each frame, or no further whole frame. */
export type Found = "message" | "ping" | "frame" | "nothing";

/**
 * Reads frames, unmasks them in place and joins fragments. A text that is there at once is decoded in one go, which
 * checks it; otherwise each piece is checked as it comes, so that a bad byte is refused before the end of the text (RFC
 * 6455 §8.1).
 */
export class MessageReader {
  /** Offset of the next byte to be read; the caller sets it back when it moves the bytes. */
  at = 0;
  /** After "message": the message. Its taker owns the buffer. */
  message: string | ArrayBuffer = "";
  /** After "ping": its payload, unmasked, in the bytes that were given. */
  pingStart = 0;
  pingEnd = 0;
  /** Whether payloads are dropped: after our Close nothing reaches the endpoint, and only the peer's Close counts. */
  isDiscarding = false;

  readonly #check: FrameCheck;
  /** The unfinished message, as far as it has come. */
  #payload: Uint8Array<ArrayBuffer> | undefined;
  #size = 0;
  #utf8: Utf8Validator | undefined;
  /** The unfinished data frame: payload bytes to come, its FIN, its mask for the next byte. */
  #bytesLeft = 0;
  #fin = false;
  #maskKey = 0;

  constructor(check: FrameCheck) {
    this.#check = check;
  }

  /** Bytes that the unfinished message holds in memory. */
  get heldBytes(): number {
    return this.#payload?.length ?? 0;
  }

  /** Bytes of the unfinished message that have come. */
  get receivedBytes(): number {
    return this.#size;
  }

  /**
   * Reads the next frame, or the next piece of one, from `at` to `end`. After "nothing", a rule was broken or the Close
   * came (see the `FrameCheck`), or the bytes from `at` to `end` must be put before the next ones.
   */
  next(bytes: Uint8Array<ArrayBuffer>, end: number): Found {
    const check = this.#check;
    if (this.#bytesLeft > 0) return this.#continue(bytes, end);
    const { at } = this;
    if (!check.readHeader(bytes, at, end)) return "nothing";
    const { header } = check;
    const start = at + header.size;
    const frameEnd = start + header.payloadLength;
    if (isControl(header.opcode)) {
      if (frameEnd > end) return "nothing";
      this.at = frameEnd;
      return this.#control(bytes, start, frameEnd);
    }
    check.beginFrame();
    this.#fin = header.fin;
    if (frameEnd > end) {
      this.at = end;
      this.#bytesLeft = frameEnd - end;
      this.#maskKey = rotateMaskKey(header.maskKey, end - start);
      return this.#take(bytes, start, end, header.maskKey);
    }
    this.at = frameEnd;
    if (!header.fin || this.#payload !== undefined || this.isDiscarding) {
      return this.#take(bytes, start, frameEnd, header.maskKey);
    }
    unmask(bytes, start, frameEnd, header.maskKey);
    return this.#finish(bytes.subarray(start, frameEnd), false);
  }

  /** Where to read the next bytes to, if a large part of the message is still to come; `taken` must follow. */
  directRoom(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#bytesLeft < DIRECT_FROM || this.isDiscarding) return undefined;
    const payload = this.#makeRoom(DIRECT_FROM);
    return payload.subarray(this.#size, this.#size + this.#bytesLeft);
  }

  /** Takes `size` bytes that were read into `directRoom`. */
  taken(size: number): Found {
    const payload = this.#payload;
    const start = this.#size;
    const key = this.#maskKey;
    this.#bytesLeft -= size;
    this.#maskKey = rotateMaskKey(key, size);
    // The closing may have begun while they were read.
    if (payload === undefined) return this.#tookFrom(start);
    this.#size += size;
    unmask(payload, start, this.#size, key);
    return this.#tookFrom(start);
  }

  /** Drops the unfinished message, even while a read into it is under way. */
  release(): void {
    if (this.#payload !== undefined) free(this.#payload);
    this.#payload = undefined;
    this.#size = 0;
  }

  #continue(bytes: Uint8Array<ArrayBuffer>, end: number): Found {
    const start = this.at;
    const size = Math.min(this.#bytesLeft, end - start);
    if (size === 0) return "nothing";
    const key = this.#maskKey;
    this.at = start + size;
    this.#bytesLeft -= size;
    this.#maskKey = rotateMaskKey(key, size);
    return this.#take(bytes, start, start + size, key);
  }

  #control(bytes: Uint8Array, start: number, end: number): Found {
    const check = this.#check;
    const { opcode, maskKey } = check.header;
    if (opcode === OPCODE.close) {
      check.readClose(bytes, start, end);
      return "nothing";
    }
    check.frames++;
    if (opcode !== OPCODE.ping || this.isDiscarding) return "frame";
    unmask(bytes, start, end, maskKey);
    this.pingStart = start;
    this.pingEnd = end;
    return "ping";
  }

  /** Takes a part of the message. */
  #take(bytes: Uint8Array, start: number, end: number, maskKey: number): Found {
    const from = this.#size;
    if (end > start && !this.isDiscarding) {
      unmask(bytes, start, end, maskKey);
      this.#makeRoom(end - start).set(bytes.subarray(start, end), from);
      this.#size += end - start;
    }
    return this.#tookFrom(from);
  }

  /** The bytes of the message from `from` to its size are new. */
  #tookFrom(from: number): Found {
    const check = this.#check;
    if (this.#bytesLeft === 0 && this.#fin) {
      if (!this.isDiscarding) return this.#finish(this.#payload!.subarray(0, this.#size), true);
      check.finishMessage();
      return "frame";
    }
    if (check.message.opcode !== OPCODE.text || this.#size === from) return "frame";
    this.#utf8 ??= new Utf8Validator();
    if (this.#utf8.accepts(this.#payload!, from, this.#size, 0)) return "frame";
    check.violation = BAD_TEXT;
    return "nothing";
  }

  /** The message is whole; `isOwn` if it is in `#payload` and not in a buffer that is reused. */
  #finish(payload: Uint8Array<ArrayBuffer>, isOwn: boolean): Found {
    const check = this.#check;
    this.#payload = undefined;
    this.#size = 0;
    if (check.message.opcode === OPCODE.text) {
      this.#utf8?.reset();
      const text = decoder.decode(payload);
      if (text.includes(REPLACEMENT) && !isUtf8(payload)) {
        check.violation = BAD_TEXT;
        return "nothing";
      }
      if (isOwn) free(payload);
      this.message = text;
    } else {
      this.message = isOwn ? payload.buffer.transfer(payload.length) : payload.slice().buffer;
    }
    check.finishMessage();
    return "message";
  }

  /** The buffer of the message with room for `sizeBytes` more. It grows with what has come, not with what was announced. */
  #makeRoom(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const needed = this.#size + sizeBytes;
    const payload = this.#payload;
    if (payload !== undefined && payload.length >= needed) return payload;
    // In the last frame it is known how much is still to come; before that, the buffer doubles.
    const most = this.#fin ? needed + this.#bytesLeft : Infinity;
    const room = new Uint8Array(Math.max(needed, Math.min(most, Math.max(FIRST_ROOM, 2 * this.#size))));
    if (payload !== undefined) {
      room.set(payload.subarray(0, this.#size));
      free(payload);
    }
    return this.#payload = room;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  whole.reset();
  return whole.accepts(bytes, 0, bytes.length, 0) && whole.isComplete;
}

/** From this many bytes on, freeing a buffer at once is worth the time. */
const FREE_FROM = 65_536;

/** Gives memory back at once, instead of when garbage is collected. */
function free(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.length >= FREE_FROM) bytes.buffer.transfer(0);
}
