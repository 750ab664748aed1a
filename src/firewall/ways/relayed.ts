// An endpoint somewhere else: its frames and the peer's go through unchanged, each direction paced by the other.

import type { CloseReason } from "../../protocol/close_code.ts";
import { encodeClose, encodeFrame, OPCODE } from "../../protocol/frame.ts";
import { type ByteSocket, closeQuietly, isConnectionLost, writeAll } from "../byte_socket.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { Outbox } from "../connection/outbox.ts";
import { ReadBuffer } from "../connection/read_buffer.ts";
import { EndpointFrames } from "./endpoint_frames.ts";
import { HEADROOM, PeerFrames } from "./peer_frames.ts";
import type { Host, Taken, Way } from "./way.ts";
import type { SizeHistogram } from "../../telemetry/histogram.ts";

/**
 * What comes back to the relay when the endpoint has caught up; no client knows it. Two of them may be under way, so no more
 * than about three times as much as between two marks is ever between the peer and the endpoint.
 */
const MARK_PAYLOAD = crypto.getRandomValues(new Uint8Array(8));
const MARK_EVERY_BYTES = 32_768;
const MARK_EVERY_FRAMES = 64;
const MAX_MARKS = 2;

const GOING_AWAY = { code: 1001, reason: "the client is gone" };

/** What a relay is made of. */
export interface RelayedOptions {
  readonly check: FrameCheck;
  readonly outbox: Outbox;
  /** The endpoint, after its response head; the way owns and closes it. */
  readonly inner: ByteSocket;
  /** Bytes that came with that head. */
  readonly fromEndpoint: Uint8Array;
  /** Counts the sizes of the endpoint's messages. */
  readonly sizes: SizeHistogram;
}

/**
 * Only the peer's side writes to the endpoint, and what it writes always ends with a frame, so a Close can be added at any time.
 * What the endpoint sends goes into the outbox, where a frame of the firewall goes between two frames of the endpoint.
 */
export class Relayed implements Way {
  readonly headroom = HEADROOM;
  readonly check: FrameCheck;
  readonly ended: Promise<void>;
  readonly #outbox: Outbox;
  readonly #inner: ByteSocket;
  readonly #peerFrames: PeerFrames;
  readonly #endpointFrames: EndpointFrames;
  readonly #buffer: ReadBuffer;
  readonly #end = Promise.withResolvers<void>();
  #host: Host | undefined;
  #isDiscarding = false;
  /** Whether nothing more may be written to the endpoint: it has been told of the end, or has ended itself. */
  #isTold = false;
  /** The write that is under way, with all before it. */
  #write: Promise<void> | undefined;
  /** Whether the bytes in the peer's buffer have been looked at, and whether they were all. */
  #isInspected = false;
  #isDone = true;
  /** What was passed on to the endpoint since the last mark, and the marks that have not come back. */
  #unmarkedBytes = 0;
  #unmarkedFrames = 0;
  #marksUnderWay = 0;
  #onAnswered: (() => void) | undefined;
  /** Ends the wait of the endpoint's loop for the outbox. */
  #onWritten: (() => void) | undefined;

  constructor({ check, outbox, inner, fromEndpoint, sizes }: RelayedOptions) {
    this.check = check;
    this.#outbox = outbox;
    this.#inner = inner;
    this.#peerFrames = new PeerFrames(check);
    this.#endpointFrames = new EndpointFrames(sizes, MARK_PAYLOAD);
    this.#buffer = new ReadBuffer(0, fromEndpoint);
    this.ended = this.#end.promise;
  }

  get heldBytes(): number {
    return 0;
  }

  get receivedBytes(): number {
    return this.#peerFrames.unfinishedBytes;
  }

  get messagesOut(): number {
    return this.#endpointFrames.messages;
  }

  get isReady(): boolean {
    return this.#write === undefined && (this.#isDiscarding || this.#marksUnderWay < MAX_MARKS);
  }

  start(host: Host): void {
    this.#host = host;
    void this.#readEndpoint();
  }

  room(buffer: ReadBuffer, most: number): Uint8Array {
    return buffer.room(most);
  }

  didRead(buffer: ReadBuffer, sizeBytes: number): void {
    buffer.end += sizeBytes;
  }

  take(buffer: ReadBuffer, frames: number): Taken {
    const peerFrames = this.#peerFrames;
    const { check } = this;
    if (this.#isInspected) {
      // What was passed on is written: only now its bytes may be overwritten.
      this.#isInspected = false;
      buffer.carry(peerFrames.carryStart);
      if (this.#isDone) return "more";
    }
    const before = check.frames;
    const allowance = Math.min(frames, MARK_EVERY_FRAMES - this.#unmarkedFrames);
    this.#isDone = peerFrames.inspect(buffer.bytes, buffer.start, buffer.end, allowance);
    this.#unmarkedFrames += check.frames - before;
    this.#isInspected = true;
    const { forwardStart, forwardEnd } = peerFrames;
    if (forwardEnd > forwardStart && !this.#isTold && !this.#isDiscarding) {
      this.#unmarkedBytes += forwardEnd - forwardStart;
      this.#send(buffer.bytes, forwardStart, forwardEnd);
      if (this.#unmarkedBytes >= MARK_EVERY_BYTES || this.#unmarkedFrames >= MARK_EVERY_FRAMES) {
        this.#sendMark();
      }
      return "wait";
    }
    if (this.#unmarkedFrames >= MARK_EVERY_FRAMES) this.#unmarkedFrames = 0;
    return this.#isDone ? this.take(buffer, 0) : "spent";
  }

  answered(): Promise<void> | undefined {
    if (this.#isTold) return undefined;
    this.#sendMark();
    return new Promise((resolve) => this.#onAnswered = resolve);
  }

  discard(): void {
    this.#isDiscarding = true;
  }

  ping(): void {
    this.#sendMark();
  }

  resume(): void {
    const onWritten = this.#onWritten;
    this.#onWritten = undefined;
    onWritten?.();
  }

  tell(close: CloseReason | undefined): void {
    if (this.#isTold) return;
    const frame = encodeClose(close ?? GOING_AWAY, newMaskKey());
    this.#send(frame, 0, frame.length);
    this.#isTold = true;
  }

  cut(): void {
    closeQuietly(this.#inner);
  }

  /**
   * Sends the endpoint a Ping of our own. It is answered after everything that the endpoint had to send before, so its Pong shows that
   * the endpoint has taken what was passed on, and that we have taken what it made of it.
   */
  #sendMark(): void {
    this.#unmarkedBytes = 0;
    this.#unmarkedFrames = 0;
    if (this.#isTold) return;
    this.#marksUnderWay++;
    const mark = encodeFrame(OPCODE.ping, MARK_PAYLOAD, newMaskKey());
    this.#send(mark, 0, mark.length);
  }

  #send(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isTold) return;
    const before = this.#write;
    const write = before === undefined
      ? writeAll(this.#inner, bytes, start, end)
      : before.then(() => writeAll(this.#inner, bytes, start, end));
    const last = this.#write = write.catch((error) => {
      // The endpoint's loop sees the same end and tells the connection.
      this.#isTold = true;
      if (!isConnectionLost(error)) this.#host!.fault(error);
    }).then(() => {
      if (this.#write !== last) return;
      this.#write = undefined;
      this.#host!.resume();
    });
  }

  async #readEndpoint(): Promise<void> {
    const frames = this.#endpointFrames;
    const buffer = this.#buffer;
    const host = this.#host!;
    try {
      while (frames.close === undefined) {
        const { messages } = frames;
        const size = buffer.end - buffer.start;
        buffer.end = frames.inspect(buffer.bytes, buffer.start, buffer.end);
        this.#credit(size, frames.messages - messages);
        if (frames.marks > 0) this.#marksReturned();
        if (frames.forwardEnd > buffer.start) {
          this.#outbox.relay(
            buffer.bytes.subarray(buffer.start, frames.forwardEnd),
            frames.boundary - buffer.start,
          );
        }
        if (frames.close !== undefined) break;
        buffer.carry(frames.forwardEnd);
        while (this.#outbox.isWriting) await new Promise<void>((resolve) => this.#onWritten = resolve);
        const read = await this.#inner.read(buffer.room());
        if (read === null) break;
        buffer.end += read;
      }
    } catch (error) {
      if (!isConnectionLost(error)) host.fault(error);
    }
    this.#onAnswered?.();
    if (frames.close !== undefined) host.endpointCloses(frames.close);
    else host.endpointEnded();
    await this.#finish();
  }

  /** Waits for the endpoint to end its stream, as a server does first (RFC 6455 §7.1.1), or to be cut. */
  async #finish(): Promise<void> {
    try {
      while (await this.#inner.read(this.#buffer.bytes) !== null);
    } catch (error) {
      if (!isConnectionLost(error)) this.#host!.fault(error);
    }
    this.#isTold = true;
    await this.#write;
    closeQuietly(this.#inner);
    this.#buffer.release();
    this.#end.resolve();
    this.#host!.endpointEnded();
  }

  #marksReturned(): void {
    this.#marksUnderWay -= this.#endpointFrames.marks;
    this.#endpointFrames.marks = 0;
    if (this.#marksUnderWay === 0) this.#onAnswered?.();
    this.#host!.resume();
  }

  /** What the endpoint sends shows that it keeps up, so that one which answers each message needs no marks. */
  #credit(bytes: number, messages: number): void {
    this.#unmarkedBytes = Math.max(0, this.#unmarkedBytes - bytes);
    this.#unmarkedFrames = Math.max(0, this.#unmarkedFrames - messages);
  }
}

/** A client's frames are masked with keys that can't be guessed (RFC 6455 §5.3). */
function newMaskKey(): number {
  return crypto.getRandomValues(keys)[0]!;
}
const keys = new Uint32Array(1);
