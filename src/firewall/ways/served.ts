// The way to an endpoint in this process: whole messages go to its handler in the turn in which they come, and answers
// into the outbox.

import type { CloseReason } from "../../protocol/close_code.ts";
import { encodeClose } from "../../protocol/frame.ts";
import { type ByteSocket, closeQuietly, isConnectionLost, writeAll } from "../byte_socket.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import { type Found, MessageReader } from "../connection/message_reader.ts";
import type { Outbox } from "../connection/outbox.ts";
import type { ReadBuffer } from "../connection/read_buffer.ts";
import type { Host, Taken, Way } from "./way.ts";

/** What takes the messages. */
export interface Receiver {
  /** Takes one message; a promise holds back the next message until it is settled. Must not throw or reject. */
  message(data: string | ArrayBuffer): void | Promise<void>;
}

/** With this many bytes in the outbox, no further message is handed over until they are written. */
const MOST_PENDING = 65_536;

/**
 * The endpoint's native WebSocket has accepted the handshake, and learns of the end by a Close frame through the
 * private socket; nothing else goes through that. Its answer is not read: the endpoint says by itself that it has
 * ended.
 */
export class Served implements Way {
  readonly headroom = 0;
  readonly check: FrameCheck;
  readonly ended: Promise<void>;
  readonly #outbox: Outbox;
  readonly #reader: MessageReader;
  readonly #end = Promise.withResolvers<void>();
  #inner: ByteSocket | undefined;
  #host: Host | undefined;
  #receiver: Receiver | undefined;
  /** Opens the endpoint's side, which may be ready before the connection is. */
  #onStarted: (() => void) | undefined;
  /** The handler's pending promise. */
  #answer: Promise<void> | undefined;
  /** What was found in bytes that were read directly into the message. */
  #found: Found | undefined;
  #isDirect = false;
  #isTold = false;
  #hasEnded = false;

  /** @param outbox takes what the endpoint sends. */
  constructor(check: FrameCheck, outbox: Outbox) {
    this.check = check;
    this.#outbox = outbox;
    this.#reader = new MessageReader(check);
    this.ended = this.#end.promise;
  }

  get heldBytes(): number {
    return this.#reader.heldBytes;
  }

  get receivedBytes(): number {
    return this.#reader.receivedBytes;
  }

  /** Bytes that wait to be sent to the peer. */
  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  get messagesOut(): number {
    return this.#outbox.messages;
  }

  get isReady(): boolean {
    if (this.#reader.isDiscarding) return true;
    return this.#receiver !== undefined && this.#answer === undefined;
  }

  /** Whether messages are exchanged; the endpoint asks before it begins something. */
  get isOpen(): boolean {
    return this.#host?.isOpen ?? false;
  }

  /** Takes over the private socket, after its response head, and closes it at the end. */
  join(inner: ByteSocket): void {
    this.#inner = inner;
  }

  start(host: Host): void {
    this.#host = host;
    if (this.#hasEnded) this.endpointEnded();
    else this.#onStarted?.();
  }

  /** Calls `open` as soon as the connection has been started; never if it is not. */
  whenStarted(open: () => void): void {
    if (this.#host === undefined) this.#onStarted = open;
    else open();
  }

  /** The endpoint is ready for messages. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#host?.resume();
  }

  /** Sends one message of the endpoint; dropped once a Close has been sent. A buffer stays with the caller. */
  send(message: string | ArrayBuffer): void {
    this.#outbox.send(message);
  }

  /** Counts `more` messages besides the peer's last one, which was a batch. */
  charge(more: number): void {
    this.#host?.charge(more);
  }

  /** The endpoint closes; what it sends afterwards is dropped. */
  end(close: CloseReason): void {
    this.#host?.endpointCloses(close);
  }

  /** The native WebSocket has ended, whatever ended it. */
  endpointEnded(): void {
    this.#hasEnded = this.#isTold = true;
    this.cut();
    this.#host?.endpointEnded();
  }

  resume(): void {
    // The answers of an endpoint in this process wait for nothing.
  }

  room(buffer: ReadBuffer, most: number): Uint8Array {
    const room = this.#reader.directRoom();
    this.#isDirect = room !== undefined;
    if (room === undefined) return buffer.room(most);
    return room.length <= most ? room : room.subarray(0, Math.floor(most));
  }

  didRead(buffer: ReadBuffer, sizeBytes: number): void {
    if (this.#isDirect) this.#found = this.#reader.taken(sizeBytes);
    else buffer.end += sizeBytes;
  }

  take(buffer: ReadBuffer, frames: number): Taken {
    const reader = this.#reader;
    const { check } = this;
    const most = check.frames + frames;
    for (;;) {
      let found = this.#found;
      if (found !== undefined) this.#found = undefined;
      else if (check.frames >= most) return reader.at < buffer.end ? "spent" : this.#carry(buffer);
      else found = reader.next(buffer.bytes, buffer.end);
      if (found === "nothing") return this.#carry(buffer);
      if (found === "ping") this.#outbox.pong(buffer.bytes, reader.pingStart, reader.pingEnd);
      else if (found === "message" && !this.#deliver()) return "wait";
      if (this.#outbox.pendingBytes >= MOST_PENDING) return "wait";
    }
  }

  answered(): Promise<void> | undefined {
    return this.#answer;
  }

  /** Drops what was to be sent, when no connection comes about. */
  release(): void {
    this.#outbox.drop();
  }

  discard(): void {
    this.#reader.isDiscarding = true;
    this.#reader.release();
  }

  ping(): undefined {
    // An empty Ping will do: no Pong is passed on to the endpoint.
  }

  sweep(): void {
    // The endpoint is in this process, so it is there.
  }

  excuse(): void {
    // Nothing here has a deadline.
  }

  tell(close: CloseReason | undefined): void {
    const inner = this.#inner;
    if (this.#isTold || inner === undefined) return;
    this.#isTold = true;
    if (close === undefined) return closeQuietly(inner);
    // The runtime takes 1014 for an error. Between our own two sides a mask hides nothing, so its key is 0.
    const frame = encodeClose(close.code === 1014 ? { ...close, code: 1011 } : close, 0);
    writeAll(inner, frame).catch((error) => {
      if (!isConnectionLost(error)) this.#host!.fault(error);
    });
  }

  cut(): void {
    if (this.#inner !== undefined) closeQuietly(this.#inner);
    this.#end.resolve();
  }

  /** Keeps what was not taken in front of what is read next. */
  #carry(buffer: ReadBuffer): Taken {
    buffer.carry(this.#reader.at);
    this.#reader.at = buffer.start;
    return "more";
  }

  /** Hands the message over; returns whether the next one may follow at once. */
  #deliver(): boolean {
    const { message } = this.#reader;
    this.#reader.message = "";
    const answer = this.#receiver!.message(message);
    if (answer === undefined) return true;
    this.#answer = answer.then(() => {
      this.#answer = undefined;
      this.#host!.resume();
    });
    return false;
  }
}
