// The way to an upstream: frames go through unchanged, and each direction is paced by the other.

import type { CloseReason } from "../../protocol/close_code.ts";
import { encodeClose, encodeFrame, OPCODE } from "../../protocol/frame.ts";
import type { SizeHistogram } from "../../telemetry/histogram.ts";
import { type ByteSocket, closeQuietly, isConnectionLost } from "../byte_socket.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { Outbox } from "../connection/outbox.ts";
import type { TimeLimits } from "../connection/liveness.ts";
import { ReadBuffer } from "../connection/read_buffer.ts";
import { EndpointFrames } from "./endpoint_frames.ts";
import { EndpointWriter } from "./endpoint_writer.ts";
import { HEADROOM, PeerFrames } from "./peer_frames.ts";
import type { Host, Taken, Way } from "./way.ts";

/**
 * A mark is a Ping with this payload, which no client knows, and a number, because only the last of several Pings need
 * be answered (RFC 6455 §5.5.3). Its Pong shows that the upstream has caught up. Two marks may be under way, so there
 * is never more between the peer and the upstream than about three times what is sent between two marks.
 */
const MARK = crypto.getRandomValues(new Uint8Array(8));
const MARK_EVERY_BYTES = 32_768;
/** With more, a flooded server would have long queues, in which everybody else's messages wait. */
const MARK_EVERY_FRAMES = 24;
const MAX_MARKS = 2;

/** The payload of Pings for the client: not that of a mark, with which the client could make marks. */
const PEER_PING_PAYLOAD = crypto.getRandomValues(new Uint8Array(8));
const PEER_PING = encodeFrame(OPCODE.ping, PEER_PING_PAYLOAD);

/** What an upstream is told when its client is gone. */
export const GOING_AWAY = { code: 1001, reason: "the client is gone" };
const LOST = { code: 1011, reason: "the upstream is lost" };
const BROKEN = { code: 1011, reason: "the upstream broke the protocol" };

/** Our own codes that mean the same to a server. The others are about a client, so the server gets 1008. */
const CODES_FOR_SERVERS: ReadonlySet<number> = new Set([1000, 1001, 1011, 1012, 1013]);

/** How much is still read of a server that has closed or failed, in bytes. */
const MOST_LINGERING = 1_048_576;

/** What a relay is made of. */
export interface RelayedOptions {
  readonly check: FrameCheck;
  readonly outbox: Outbox;
  /** The upstream, after its response head; the way owns and closes it. */
  readonly inner: ByteSocket;
  /** Bytes that came with that head. */
  readonly fromEndpoint: Uint8Array;
  /** Counts the sizes of the upstream's messages. */
  readonly sizes: SizeHistogram;
  /** The largest message that the upstream may send, in bytes. */
  readonly maxMessageSize: number;
  /** The name of the upstream in the log. */
  readonly upstream: string;
  /** Called with the connection when there is one. */
  readonly onStart?: (host: Host) => void;
}

/**
 * Only the peer's side writes to the upstream, and always whole frames, so a Close can be added at any time. What the
 * upstream sends goes into the outbox, where frames of the firewall go between two of its frames.
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
  /** Whether nothing more may be written to the upstream: it was told of the end, or has ended itself. */
  #isTold = false;
  readonly #writer: EndpointWriter;
  /** Where in the peer's buffer the unread bytes begin, whether there are none, and whether they must be moved. */
  #from: number;
  #isDone = false;
  #mustCarry = false;
  /** What was passed on since the last mark, and the marks so far. */
  #unmarkedBytes = 0;
  #unmarkedFrames = 0;
  #marksSent = 0;
  /** The latest mark that came back. */
  #marksBack = 0;
  #onAnswered: (() => void) | undefined;
  readonly #upstream: string;
  readonly #onStart: RelayedOptions["onStart"];
  /** Signs of life of the upstream: bytes read, writes done, and when they last changed. */
  #bytesRead = 0;
  #seenBytesRead = 0;
  #seenWritesDone = 0;
  #heardMs = Infinity;
  #writtenMs = Infinity;
  #askedMs = Infinity;
  /** Ends the wait of the upstream's loop for the outbox. */
  #onWritten: (() => void) | undefined;

  constructor(
    { check, outbox, inner, fromEndpoint, sizes, maxMessageSize, upstream, onStart }: RelayedOptions,
  ) {
    this.#onStart = onStart;
    this.check = check;
    this.#outbox = outbox;
    this.#inner = inner;
    this.#upstream = upstream;
    this.#peerFrames = new PeerFrames(check, PEER_PING_PAYLOAD);
    this.#endpointFrames = new EndpointFrames(sizes, MARK, maxMessageSize);
    this.#buffer = new ReadBuffer(0, fromEndpoint);
    this.#from = this.headroom;
    this.#writer = new EndpointWriter(inner, () => this.#host!.resume(), (error) => this.#writeFailed(error));
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
    return !this.#writer.isBusy && (this.#isDiscarding || !this.#isBehind);
  }

  /** Whether the upstream has not caught up. */
  get #isBehind(): boolean {
    return this.#marksSent - this.#marksBack >= MAX_MARKS;
  }

  start(host: Host): void {
    this.#host = host;
    this.#onStart?.(host);
    void this.#readEndpoint();
  }

  room(buffer: ReadBuffer, most: number): Uint8Array {
    return buffer.room(most);
  }

  didRead(buffer: ReadBuffer, sizeBytes: number): void {
    buffer.end += sizeBytes;
    this.#isDone = false;
  }

  take(buffer: ReadBuffer, frames: number): Taken {
    const { check } = this;
    // What was passed on is written: now its bytes may be overwritten.
    if (this.#mustCarry) this.#carry(buffer);
    if (this.#isDone) return "more";
    const peerFrames = this.#peerFrames;
    const before = check.frames;
    const allowance = Math.min(frames, MARK_EVERY_FRAMES - this.#unmarkedFrames);
    this.#isDone = peerFrames.inspect(buffer.bytes, this.#from, buffer.end, allowance);
    this.#unmarkedFrames += check.frames - before;
    this.#from = peerFrames.carryStart;
    const { forwardStart, forwardEnd } = peerFrames;
    if (forwardEnd > forwardStart && !this.#isTold && !this.#isDiscarding) {
      this.#unmarkedBytes += forwardEnd - forwardStart;
      this.#writer.write(buffer.bytes.subarray(forwardStart, forwardEnd));
      if (this.#unmarkedBytes >= MARK_EVERY_BYTES || this.#unmarkedFrames >= MARK_EVERY_FRAMES) {
        this.#sendMark();
      }
      // If there is room behind it, the next read need not wait for the write.
      this.#mustCarry = !this.#isDone || this.#isBehind || !buffer.hasRoomBehind;
      return this.#mustCarry ? "wait" : "more";
    }
    if (this.#unmarkedFrames >= MARK_EVERY_FRAMES) this.#unmarkedFrames = 0;
    this.#carry(buffer);
    return this.#isDone ? "more" : "spent";
  }

  #carry(buffer: ReadBuffer): void {
    this.#mustCarry = false;
    buffer.carry(this.#from);
    this.#from = buffer.start;
  }

  answered(): Promise<void> | undefined {
    if (this.#isTold) return undefined;
    this.#sendMark();
    return new Promise((resolve) => this.#onAnswered = resolve);
  }

  discard(): void {
    this.#isDiscarding = true;
  }

  ping(): Uint8Array {
    this.#peerFrames.pings++;
    return PEER_PING;
  }

  /** A silent server is sent a mark; one that does not answer it, or takes nothing, is lost. */
  sweep(nowMs: number, { pingInterval, pingTimeout, sendTimeout }: TimeLimits): void {
    // It is not being read, which is not its fault; and in the first sweep there is nothing to compare with.
    const isExcused = this.#onWritten !== undefined || this.#heardMs === Infinity;
    const isHeard = this.#bytesRead !== this.#seenBytesRead;
    if (isExcused || isHeard) {
      this.#seenBytesRead = this.#bytesRead;
      this.#heardMs = nowMs;
      this.#askedMs = Infinity;
    }
    // What was written may still be on the way; marks will show.
    const { isBusy, writes } = this.#writer;
    const isStuck = this.#isBehind ? !isHeard : isBusy && writes === this.#seenWritesDone;
    if (isExcused || !isStuck) {
      this.#seenWritesDone = writes;
      this.#writtenMs = nowMs;
    }
    if (nowMs - this.#askedMs >= pingTimeout) return this.#lose("it does not answer a Ping");
    if (nowMs - this.#writtenMs >= sendTimeout) return this.#lose("it does not read");
    if (nowMs - this.#heardMs >= pingInterval && this.#askedMs === Infinity) {
      this.#askedMs = nowMs;
      if (!this.#isBehind) this.#sendMark();
    }
  }

  excuse(byMs: number): void {
    this.#heardMs += byMs;
    this.#writtenMs += byMs;
    this.#askedMs += byMs;
  }

  resume(): void {
    const onWritten = this.#onWritten;
    this.#onWritten = undefined;
    onWritten?.();
  }

  tell(close: CloseReason | undefined, isPeers: boolean): void {
    if (this.#isTold) return;
    const isExact = isPeers || close === undefined || this.#endpointFrames.check.close === close ||
      CODES_FOR_SERVERS.has(close.code);
    this.#sendClose(isExact ? close ?? GOING_AWAY : { code: 1008, reason: close.reason });
  }

  cut(): void {
    closeQuietly(this.#inner);
  }

  #sendClose(close: CloseReason): void {
    if (this.#isTold) return;
    this.#writer.write(encodeClose(close, newMaskKey()));
    this.#isTold = true;
  }

  /** The upstream is given up, though its connection may still be open. */
  #lose(reason: string): void {
    this.#host!.endpointFailed("upstream.lost", { upstream: this.#upstream, reason }, LOST);
    this.cut();
  }

  /**
   * Sends a mark. Its Pong comes after everything that the upstream had to send before, so it shows that the upstream
   * has taken what was passed on, and that we have taken its answers.
   */
  #sendMark(): void {
    this.#unmarkedBytes = 0;
    this.#unmarkedFrames = 0;
    if (this.#isTold) return;
    const payload = new Uint8Array(MARK.length + 4);
    payload.set(MARK);
    new DataView(payload.buffer).setUint32(MARK.length, ++this.#marksSent);
    this.#writer.write(encodeFrame(OPCODE.ping, payload, newMaskKey()));
  }

  /** The upstream's loop sees the same end and tells the connection. */
  #writeFailed(error: unknown): void {
    this.#isTold = true;
    if (!isConnectionLost(error)) this.#host!.fault(error);
    this.#host!.resume();
  }

  async #readEndpoint(): Promise<void> {
    const frames = this.#endpointFrames;
    const { check } = frames;
    const buffer = this.#buffer;
    const host = this.#host!;
    let reason = "it ended the connection without a Close frame";
    try {
      for (;;) {
        const { messages } = frames;
        const size = buffer.end - buffer.start;
        buffer.end = frames.inspect(buffer.bytes, buffer.start, buffer.end);
        this.#credit(size, frames.messages - messages);
        if (frames.mark > this.#marksBack) this.#markReturned(frames.mark);
        if (frames.forwardEnd > buffer.start) {
          this.#outbox.relay(
            buffer.bytes.subarray(buffer.start, frames.forwardEnd),
            frames.boundary - buffer.start,
          );
        }
        if (check.close !== undefined || check.violation !== undefined) break;
        buffer.carry(frames.forwardEnd);
        const read = await this.#inner.read(buffer.room());
        if (read === null) break;
        this.#bytesRead += read;
        buffer.end += read;
        // What comes next is not inspected before the peer has taken what came before.
        while (this.#outbox.isWriting) await new Promise<void>((resolve) => this.#onWritten = resolve);
      }
    } catch (error) {
      if (!isConnectionLost(error)) host.fault(error);
      reason = "its connection broke";
    }
    this.#onAnswered?.();
    if (check.close !== undefined) host.endpointCloses(check.close);
    else this.#fail(reason);
    await this.#finish();
  }

  /** The upstream has broken a rule, or has ended without a Close. */
  #fail(reason: string): void {
    const host = this.#host!;
    const { check: { violation }, isInFrame } = this.#endpointFrames;
    const upstream = this.#upstream;
    if (violation === undefined) {
      host.endpointFailed("upstream.lost", { upstream, reason }, LOST);
    } else {
      const { rule, code, limit, value } = violation;
      host.endpointFailed(
        "upstream.protocol_error",
        { upstream, rule, code, reason: violation.reason, limit, value },
        BROKEN,
      );
      if (!this.#isTold) this.#sendClose(violation);
    }
    // Inside a frame a Close would be taken for a part of it.
    if (isInFrame) host.cut();
    host.resume();
  }

  /** Waits until the upstream ends its stream, as a server does first (RFC 6455 §7.1.1), or is cut. */
  async #finish(): Promise<void> {
    try {
      for (let left = MOST_LINGERING; left > 0;) {
        const size = await this.#inner.read(this.#buffer.bytes);
        if (size === null) break;
        left -= size;
      }
    } catch (error) {
      if (!isConnectionLost(error)) this.#host!.fault(error);
    }
    this.#isTold = true;
    await this.#writer.idle();
    closeQuietly(this.#inner);
    this.#buffer.release();
    this.#end.resolve();
    this.#host!.endpointEnded();
  }

  #markReturned(mark: number): void {
    // A server could make up marks that it was not sent.
    this.#marksBack = Math.min(mark, this.#marksSent);
    if (this.#marksBack === this.#marksSent) this.#onAnswered?.();
    this.#host!.resume();
  }

  /** What the upstream sends shows that it keeps up, so one that answers each message needs no marks. */
  #credit(bytes: number, messages: number): void {
    this.#unmarkedBytes = Math.max(0, this.#unmarkedBytes - bytes);
    this.#unmarkedFrames = Math.max(0, this.#unmarkedFrames - messages);
  }
}

/** A client's frames are masked with keys that can't be guessed (RFC 6455 §5.3). */
export function newMaskKey(): number {
  return crypto.getRandomValues(keys)[0]!;
}
const keys = new Uint32Array(1);
