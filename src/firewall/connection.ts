// One accepted connection: both directions, coupled, and every way in which it can end.

import { ABNORMAL_CLOSURE, CloseReason } from "../protocol/close_code.ts";
import { encodeClose, encodeFrame, OPCODE } from "../protocol/frame.ts";
import type { Log } from "../telemetry/log.ts";
import { TokenBucket } from "./admission/token_bucket.ts";
import { ByteSocket, closeQuietly, finish } from "./byte_socket.ts";
import { countUp, type EndpointCounters } from "./counters.ts";
import { EndpointFrames } from "./endpoint_frames.ts";
import type { FrameLimits } from "./frame_rules.ts";
import type { Holder, MemoryBudget } from "./memory_budget.ts";
import type { Outbox } from "./outbox.ts";
import { HEADROOM, PeerFrames } from "./peer_frames.ts";
import { ReadBuffer } from "./read_buffer.ts";
import type { Violation } from "./violation.ts";

/** What a connection is held to: times in milliseconds, rates per second, `Infinity` for no limit. */
export interface ConnectionLimits extends FrameLimits {
  readonly messageRate: number;
  readonly byteRate: number;
  readonly onRateLimit: "throttle" | "close";
  readonly idleTimeout: number;
  readonly pingInterval: number;
  readonly pingTimeout: number;
  readonly sendTimeout: number;
  /** From the first Close frame to the end of the connection. */
  readonly closeTimeout: number;
  readonly maxLifetime: number;
}

/** What a connection is made of, once the handshake is over. */
export interface ConnectionOptions {
  readonly id: string;
  readonly endpoint: string;
  /** The client's address, for the log. */
  readonly address: string;
  /** The public side; the connection owns and closes it. */
  readonly peer: ByteSocket;
  /** What goes to it, after the response head; the connection starts it. */
  readonly outbox: Outbox;
  /** The private hop, after the response head; the connection owns and closes it. */
  readonly inner: ByteSocket;
  /** Bytes that came with the heads: the peer's after its request, the endpoint's after its response. */
  readonly fromPeer: Uint8Array;
  readonly fromEndpoint: Uint8Array;
  readonly limits: ConnectionLimits;
  readonly budget: MemoryBudget;
  /** Shared by all connections of the endpoint. */
  readonly counters: EndpointCounters;
  /** Told about each broken rule; a client that breaks many is banned. */
  readonly onViolation: () => void;
  readonly log: Log;
}

const INTERNAL_ERROR = 1011;
const BAD_GATEWAY = 1014;

/**
 * What comes back to the endpoint's loop when the endpoint has caught up; no client knows it. Two of them may be under
 * way, so no more than about three times as much as between two marks is ever between the two loops.
 */
const MARK_PAYLOAD = crypto.getRandomValues(new Uint8Array(8));
const MARK = encodeFrame(OPCODE.ping, MARK_PAYLOAD, 0);
const MARK_EVERY_BYTES = 32_768;
const MARK_EVERY_MESSAGES = 64;
const MAX_MARKS = 2;

/** How long a peer may take to end a connection that is closed on both sides, in milliseconds. */
const LINGER_MS = 1000;

const PING = encodeFrame(OPCODE.ping, new Uint8Array(0));

/** How many tokens a throttled peer waits for: a share of a second's worth, so that waking up costs little. */
const REFILL_SHARE = 0.05;

/**
 * Relays between a peer and an endpoint, reads every frame header on the way, and ends the connection by the closing
 * handshake of RFC 6455 §7 or, after its deadline, without it.
 *
 * Only the peer's loop writes to the endpoint, and what it writes always ends with a frame, so it can add a Close. What
 * goes to the peer is in the outbox, where a frame of the firewall goes between two frames of the endpoint.
 */
export class Connection implements Holder {
  readonly id: string;
  readonly #options: ConnectionOptions;
  readonly #limits: ConnectionLimits;
  readonly #peer: ByteSocket;
  readonly #outbox: Outbox;
  readonly #inner: ByteSocket;
  readonly #peerFrames: PeerFrames;
  readonly #endpointFrames: EndpointFrames;
  readonly #counters: EndpointCounters;
  readonly #peerBuffer: ReadBuffer;
  readonly #endpointBuffer: ReadBuffer;
  /** The rates, if there are any. */
  readonly #messageBucket: TokenBucket | undefined;
  readonly #byteBucket: TokenBucket | undefined;
  #bytesFromPeer = 0;
  #heldBytes = 0;
  #isShed = false;
  /** Called when what was in the outbox is written, or lost. */
  #onWritten: (() => void) | undefined;
  /** Ends the wait of the peer's loop, which reads only when it may. */
  #onResumed: (() => void) | undefined;
  /** What was passed on to the endpoint since the last mark, and the marks that have not come back. */
  #unmarkedBytes = 0;
  #unmarkedMessages = 0;
  #marksUnderWay = 0;
  /** What of the outbox has been taken for an answer of the endpoint. */
  #creditedBytes = 0;
  #creditedMessages = 0;
  /** Whether the last byte put into the outbox ended a frame. */
  #atBoundary = true;
  /** The firewall's own Close: what it says, and its frame while that waits for the end of a frame. */
  #ownClose: CloseReason | undefined;
  #waitingClose: Uint8Array<ArrayBuffer> | undefined;
  #isPingWaiting = false;
  /** Whether a Close frame, the endpoint's or the firewall's, is in the outbox. Nothing may follow it. */
  #closeSent = false;
  #peerGone = false;
  #isWritingInner = false;
  /** Whether nothing more may be written to the endpoint: it has been told of the end, or has ended itself. */
  #innerGone = false;
  /** Times are those of the last sweep, on the clock of `performance.now()`. */
  readonly #openedAtMs: number;
  #deadlineMs = Infinity;
  #lastHeardMs: number;
  #lastDataMs: number;
  #lastSentMs: number;
  #pingSentMs = Infinity;
  /** What the counters were at the last sweep. */
  #seenBytesFromPeer = 0;
  #seenBytesToPeer = 0;
  #seenMessages = 0;
  /** Whether the peer took nothing of what was being written then. */
  #isStalled = false;

  constructor(options: ConnectionOptions) {
    const { limits } = options;
    const nowMs = performance.now();
    this.id = options.id;
    this.#options = options;
    this.#limits = limits;
    this.#peer = options.peer;
    this.#outbox = options.outbox;
    this.#inner = options.inner;
    this.#counters = options.counters;
    this.#peerFrames = new PeerFrames(limits, options.counters.messagesIn);
    this.#endpointFrames = new EndpointFrames(options.counters.messagesOut, MARK_PAYLOAD);
    this.#peerBuffer = new ReadBuffer(HEADROOM, options.fromPeer);
    this.#endpointBuffer = new ReadBuffer(0, options.fromEndpoint);
    if (limits.messageRate !== Infinity) this.#messageBucket = new TokenBucket(limits.messageRate);
    if (limits.byteRate !== Infinity) this.#byteBucket = new TokenBucket(limits.byteRate);
    this.#openedAtMs =
      this.#lastHeardMs =
      this.#lastDataMs =
      this.#lastSentMs =
        nowMs;
  }

  /** Bytes of the unfinished message and of what the peer does not take. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Relays until the connection has ended; both sockets are closed then. Never rejects. */
  async run(): Promise<void> {
    this.#options.budget.add(this);
    this.#counters.opened++;
    this.#log("connection.opened");
    this.#outbox.start(() => this.#written(), (error) => this.#lost(error));
    await Promise.all([this.#relayFromPeer(), this.#relayFromEndpoint()]);
    if (!this.#peerGone) {
      this.#startDeadline(LINGER_MS);
      if (this.#peerFrames.close !== undefined) {
        this.#deadlineMs = Math.min(this.#deadlineMs, performance.now() + LINGER_MS);
      }
      while (this.#outbox.isWriting) await this.#nextWritten();
      await finish(this.#peer, this.#peerBuffer.bytes);
    }
    this.#outbox.end();
    this.#outbox.drop();
    closeQuietly(this.#peer);
    closeQuietly(this.#inner);
    this.#peerBuffer.release();
    this.#endpointBuffer.release();
    this.#options.budget.remove(this);
    const close = this.#peerFrames.close ?? this.#ownClose ?? this.#endpointFrames.close;
    const code = close?.code ?? ABNORMAL_CLOSURE;
    const durationMs = performance.now() - this.#openedAtMs;
    this.#counters.closed++;
    this.#counters.lifetimes.observe(durationMs / 1000);
    countUp(this.#counters.closes, code);
    this.#log("connection.closed", {
      code,
      clean: this.#closeSent && this.#peerFrames.close !== undefined,
      messages_in: this.#peerFrames.messages,
      messages_out: this.#messagesOut,
      bytes_in: this.#bytesFromPeer,
      bytes_out: this.#outbox.sentBytes,
      duration: Math.round(durationMs) / 1000,
    });
  }

  /** Begins the closing handshake from the server's side; after `timeoutMs` the peer is cut. */
  close(close: CloseReason, timeoutMs = this.#limits.closeTimeout): void {
    if (this.#closeSent || this.#waitingClose !== undefined) return;
    this.#ownClose = close;
    this.#waitingClose = encodeClose(close);
    this.#startDeadline(timeoutMs);
    this.resume();
    this.#writeWaiting();
  }

  /** Lets the peer's loop look again whether it may read. */
  resume(): void {
    const onResumed = this.#onResumed;
    this.#onResumed = undefined;
    onResumed?.();
  }

  /** Ends the peer's side at once, whatever state it is in; the endpoint is still told. */
  cut(): void {
    this.#peerGone = true;
    closeQuietly(this.#peer);
    this.resume();
    this.#startDeadline();
  }

  /** Lets go of what is held for the peer, by closing; after that nothing is counted as held any more. */
  shed(): void {
    const held = this.#heldBytes;
    this.#isShed = true;
    this.#outbox.drop();
    this.#hold(0);
    const violation = {
      rule: "buffered_memory",
      code: 1013,
      reason: "the server is short of memory",
      value: held,
    } as const;
    this.#breakRule("limit.reached", violation);
    // The endpoint must let go now and not when the peer answers. Inside a write there is no room for a Close frame.
    if (this.#isWritingInner) closeQuietly(this.#inner);
    else void this.#closeInner(violation);
    // A Close frame would wait behind what the peer does not read.
    if (this.#isStalled) this.cut();
  }

  /** Applies everything that depends on time; to be called again and again with the time of `performance.now()`. */
  sweep(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) return this.#passDeadline(nowMs);
    if (this.#bytesFromPeer !== this.#seenBytesFromPeer) {
      this.#seenBytesFromPeer = this.#bytesFromPeer;
      this.#lastHeardMs = nowMs;
      this.#pingSentMs = Infinity;
    }
    const { isWriting, pendingBytes, sentBytes } = this.#outbox;
    this.#isStalled = isWriting && sentBytes === this.#seenBytesToPeer;
    if (!this.#isStalled) {
      this.#seenBytesToPeer = sentBytes;
      this.#lastSentMs = nowMs;
    }
    const messages = this.#peerFrames.messages + this.#messagesOut;
    if (messages !== this.#seenMessages) {
      this.#seenMessages = messages;
      this.#lastDataMs = nowMs;
    }
    if (this.#deadlineMs !== Infinity) return;
    this.#hold(this.#peerFrames.unfinishedBytes + (isWriting ? pendingBytes : 0));
    const limits = this.#limits;
    if (nowMs - this.#lastSentMs >= limits.sendTimeout) {
      this.#breakRule("limit.reached", {
        rule: "send_timeout",
        code: 3008,
        reason: "the peer does not read",
        ...measured(limits.sendTimeout, nowMs - this.#lastSentMs),
      });
      // A Close frame would wait behind what the peer does not read.
      this.cut();
    } else if (nowMs - this.#openedAtMs >= limits.maxLifetime) {
      this.#breakRule("limit.reached", {
        rule: "max_lifetime",
        code: 3008,
        reason: "the connection has reached its longest lifetime",
        ...measured(limits.maxLifetime, nowMs - this.#openedAtMs),
      });
    } else if (nowMs - this.#lastDataMs >= limits.idleTimeout) {
      this.#breakRule("limit.reached", {
        rule: "idle_timeout",
        code: 3008,
        reason: "no message came in time",
        ...measured(limits.idleTimeout, nowMs - this.#lastDataMs),
      });
    } else if (this.#onResumed !== undefined) {
      // It is not read, so its silence says nothing.
      this.#lastHeardMs = nowMs;
      this.#pingSentMs = Infinity;
    } else if (nowMs - this.#pingSentMs >= limits.pingTimeout) {
      this.#breakRule("limit.reached", {
        rule: "ping_timeout",
        code: 3008,
        reason: "no answer to a Ping",
        ...measured(limits.pingTimeout, nowMs - this.#pingSentMs),
      });
    } else if (nowMs - this.#lastHeardMs >= limits.pingInterval && this.#pingSentMs === Infinity) {
      this.#pingSentMs = nowMs;
      this.#isPingWaiting = true;
      this.#writeWaiting();
    }
  }

  get #messagesOut(): number {
    return this.#endpointFrames.messages + this.#outbox.messages;
  }

  async #relayFromPeer(): Promise<void> {
    const frames = this.#peerFrames;
    const buffer = this.#peerBuffer;
    try {
      let size: number | null = this.#options.fromPeer.length;
      let isDone = true;
      for (;;) {
        while (!this.#mayRead()) await this.#resumed();
        if (size === 0 && isDone) {
          const allowance = this.#byteBucket?.available(performance.now()) ?? Infinity;
          if (allowance < 1) {
            if (!await this.#throttle("byte_rate", this.#byteBucket!, this.#limits.byteRate)) break;
            continue;
          }
          size = await this.#peer.read(buffer.room(allowance));
          if (size !== null) this.#byteBucket?.spend(size, performance.now());
        }
        if (size === null) {
          this.#peerEnded("the peer ended the connection without a Close frame");
          const close = this.#ownClose;
          // Half of the connection may still be there to be told.
          this.close({ code: 1002, reason: "the connection ended without a Close frame" });
          return await this.#closeInner(close);
        }
        buffer.end += size;
        this.#bytesFromPeer += size;
        this.#counters.bytesIn += size;
        isDone = this.#inspect();
        // What comes after the endpoint's own Close would end the hop before the peer's answer to it.
        if (
          frames.forwardEnd > frames.forwardStart && !this.#innerGone &&
          this.#endpointFrames.close === undefined
        ) {
          await this.#writeToInner(buffer.bytes, frames.forwardStart, frames.forwardEnd);
          this.#unmarkedBytes += frames.forwardEnd - frames.forwardStart;
          if (this.#unmarkedBytes >= MARK_EVERY_BYTES || this.#unmarkedMessages >= MARK_EVERY_MESSAGES) {
            await this.#sendMark();
          }
        } else {
          this.#unmarkedMessages = 0;
        }
        if (frames.violation !== undefined) {
          this.#breakRule("protocol.error", frames.violation);
          break;
        }
        if (frames.close !== undefined) return await this.#closeInner(frames.close);
        buffer.carry(frames.carryStart);
        this.#hold(frames.unfinishedBytes);
        size = 0;
        if (!isDone && this.#isOverMessageRate()) {
          if (!await this.#throttle("message_rate", this.#messageBucket!, this.#limits.messageRate)) break;
        }
      }
    } catch (error) {
      this.#peerEnded(describe(error));
      this.#peerGone = true;
    }
    await this.#closeInner(frames.violation ?? this.#ownClose);
  }

  /** Looks at what is in the peer's buffer; false when not all of it may go on yet. */
  #inspect(): boolean {
    const frames = this.#peerFrames;
    const { bytes, start, end } = this.#peerBuffer;
    const bucket = this.#messageBucket;
    const before = frames.messages + frames.controlFrames;
    const { messages, messageBytes } = this.#outbox;
    this.#credit(messageBytes - this.#creditedBytes, messages - this.#creditedMessages);
    this.#creditedBytes = messageBytes;
    this.#creditedMessages = messages;
    // A batch has to be short, or all other connections would wait while the endpoint deals with it.
    let allowance = MARK_EVERY_MESSAGES - this.#unmarkedMessages;
    if (bucket !== undefined) {
      allowance = Math.max(0, Math.min(allowance, Math.floor(bucket.available(performance.now()))));
    }
    const isDone = frames.inspect(bytes, start, end, allowance);
    const begun = frames.messages + frames.controlFrames - before;
    this.#unmarkedMessages += begun;
    this.#outbox.joins = begun > 1;
    bucket?.spend(begun, performance.now());
    return isDone;
  }

  #isOverMessageRate(): boolean {
    return this.#messageBucket !== undefined && this.#messageBucket.available(performance.now()) < 1;
  }

  /** Waits until the bucket may have something again, or begins to close. Resolves with whether the connection goes on. */
  async #throttle(
    rule: "byte_rate" | "message_rate",
    bucket: TokenBucket,
    perSecond: number,
  ): Promise<boolean> {
    if (this.#limits.onRateLimit === "close") {
      const reason = `more than ${perSecond} a second`;
      this.#breakRule("limit.reached", { rule, code: 1008, reason, limit: perSecond });
    }
    if (this.#ownClose !== undefined) return false;
    const startedMs = performance.now();
    const delayMs = bucket.delayMs(Math.max(1, perSecond * REFILL_SHARE), startedMs);
    const timer = setTimeout(() => this.resume(), delayMs);
    await this.#resumed();
    clearTimeout(timer);
    this.#counters.throttledMs += performance.now() - startedMs;
    return true;
  }

  /**
   * Whether the peer may be read: not while it does not read itself, nor while the endpoint is behind, nor while memory
   * is tight and it is not this connection's turn. So what a peer can make us hold is bounded. Once the end has begun
   * it may, for the answer to a Close must be seen.
   */
  #mayRead(): boolean {
    if (this.#peerGone) return true;
    if (this.#outbox.isWriting) return false;
    if (this.#innerGone || this.#ownClose !== undefined || this.#endpointFrames.close !== undefined) {
      return true;
    }
    if (this.#marksUnderWay >= MAX_MARKS) return false;
    return this.#peerFrames.unfinishedBytes === 0 || this.#options.budget.mayGrow(this);
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => this.#onResumed = resolve);
  }

  /**
   * Sends the endpoint a Ping of our own. The runtime answers it after everything that it had to send before, so its
   * Pong shows that the endpoint has taken what we passed on, and that we have taken what it made of it.
   */
  async #sendMark(): Promise<void> {
    this.#unmarkedBytes = 0;
    this.#unmarkedMessages = 0;
    this.#marksUnderWay++;
    if (!this.#innerGone) await this.#writeToInner(MARK, 0, MARK.length);
  }

  /** What the endpoint sends shows that it keeps up, so that one which answers each message needs no marks. */
  #credit(bytes: number, messages: number): void {
    this.#unmarkedBytes = Math.max(0, this.#unmarkedBytes - bytes);
    this.#unmarkedMessages = Math.max(0, this.#unmarkedMessages - messages);
  }

  async #writeToInner(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): Promise<void> {
    this.#isWritingInner = true;
    try {
      while (start < end) start += await this.#inner.write(bytes.subarray(start, end));
    } catch {
      // The endpoint's loop sees the same end and tells the peer.
      this.#innerGone = true;
    }
    this.#isWritingInner = false;
  }

  /** Tells the endpoint that the connection ends, with a code if there is one, otherwise by ending the stream. */
  async #closeInner(close: CloseReason | undefined): Promise<void> {
    this.#startDeadline();
    if (this.#innerGone) return;
    this.#innerGone = true;
    if (close === undefined) return await this.#inner.closeWrite().catch(() => {});
    // The runtime takes 1014 for an error. The mask hides nothing between our own two sides, so its key can be 0.
    const frame = encodeClose(close.code === BAD_GATEWAY ? { ...close, code: INTERNAL_ERROR } : close, 0);
    await this.#writeToInner(frame, 0, frame.length);
  }

  async #relayFromEndpoint(): Promise<void> {
    const frames = this.#endpointFrames;
    const buffer = this.#endpointBuffer;
    try {
      let size: number | null = this.#options.fromEndpoint.length;
      let messages = 0;
      for (;;) {
        if (size === 0) size = await this.#inner.read(buffer.room());
        if (size === null) break;
        buffer.end += size;
        buffer.end = frames.inspect(buffer.bytes, buffer.start, buffer.end);
        this.#credit(size, frames.messages - messages);
        messages = frames.messages;
        if (frames.marks > 0) {
          this.#marksUnderWay -= frames.marks;
          frames.marks = 0;
          this.resume();
        }
        while (this.#outbox.isWriting) await this.#nextWritten();
        if (!this.#closeSent) this.#sendToPeer(buffer.bytes, frames.forwardEnd, frames.boundary);
        if (frames.close !== undefined) {
          // An answer says what the peer said: the endpoint may have been told another code.
          this.#waitingClose ??= encodeClose(this.#peerFrames.close ?? frames.close);
          this.#startDeadline();
          this.resume();
          return this.#writeWaiting();
        }
        buffer.carry(frames.forwardEnd);
        size = 0;
      }
    } catch {
      // An error on the private hop is its end.
    }
    this.#innerGone = true;
    this.resume();
    if (this.#closeSent || this.#peerGone) return;
    const asked = this.#peerFrames.close;
    if (asked === undefined && this.#ownClose === undefined) this.#log("endpoint.lost");
    this.close(asked ?? { code: INTERNAL_ERROR, reason: "internal error" });
  }

  /** Sends the endpoint's bytes from 0 to `end`, or a waiting Close at the first `boundary` between two frames. */
  #sendToPeer(bytes: Uint8Array<ArrayBuffer>, end: number, boundary: number): void {
    const stop = this.#waitingClose !== undefined && boundary >= 0 ? boundary : end;
    this.#atBoundary = boundary === stop;
    if (stop > 0) this.#outbox.write(bytes.subarray(0, stop));
    this.#writeWaiting();
  }

  /** Writes what the firewall itself has to say, unless a frame is under way: then it follows at that frame's end. */
  #writeWaiting(): void {
    if (!this.#atBoundary || this.#closeSent) return;
    if (this.#isPingWaiting) this.#outbox.write(PING);
    this.#isPingWaiting = false;
    if (this.#waitingClose === undefined) return;
    this.#outbox.write(this.#waitingClose);
    this.#outbox.end();
    this.#waitingClose = undefined;
    this.#closeSent = true;
  }

  /** The outbox has written what was in it, or has lost the peer. */
  #written(): void {
    const onWritten = this.#onWritten;
    this.#onWritten = undefined;
    onWritten?.();
    this.resume();
  }

  /** The peer can't be written to any more. */
  #lost(error: unknown): void {
    this.#peerEnded(describe(error));
    this.#peerGone = true;
    // Ends the read that may be pending in the peer's loop.
    closeQuietly(this.#peer);
  }

  /** Resolves when the write that is under way is done; for one waiter at a time. */
  #nextWritten(): Promise<void> {
    return new Promise((resolve) => this.#onWritten = resolve);
  }

  #startDeadline(timeoutMs = this.#limits.closeTimeout): void {
    if (this.#deadlineMs === Infinity) this.#deadlineMs = performance.now() + timeoutMs;
  }

  /** First the peer is cut; the endpoint has the same time again to end. */
  #passDeadline(nowMs: number): void {
    this.#deadlineMs = nowMs + this.#limits.closeTimeout;
    if (this.#peerGone) closeQuietly(this.#inner);
    this.#peerGone = true;
    closeQuietly(this.#peer);
    this.resume();
  }

  /** Sets what the connection holds for the peer. */
  #hold(bytes: number): void {
    const held = this.#isShed ? 0 : bytes;
    const change = held - this.#heldBytes;
    this.#heldBytes = held;
    if (change !== 0) this.#options.budget.change(change);
  }

  /** Records what the peer did wrong, and begins to close. */
  #breakRule(event: "protocol.error" | "limit.reached", violation: Violation): void {
    const { rule, code, reason, limit, value } = violation;
    countUp(this.#counters.violations, rule);
    this.#log(event, { rule, code, reason, limit, value });
    if (event === "protocol.error") this.#options.onViolation();
    this.close(violation);
  }

  /** Records the loss of a peer, unless the connection was being closed anyway. */
  #peerEnded(reason: string): void {
    if (this.#peerGone || this.#closeSent || this.#ownClose !== undefined) return;
    if (this.#peerFrames.close !== undefined) return;
    this.#log("connection.error", { reason });
  }

  #log(event: Parameters<Log>[0], fields: Parameters<Log>[1] = {}): void {
    const { log, id, endpoint, address } = this.#options;
    log(event, { connection: id, peer: address, endpoint, ...fields });
  }
}

/** What a limit on time is and what was measured: given in milliseconds, recorded in seconds. */
function measured(limitMs: number, valueMs: number): { limit: number; value: number } {
  return { limit: limitMs / 1000, value: Math.round(valueMs) / 1000 };
}

/** A short account of an I/O error: the runtime's words, which hold nothing that a peer has written. */
function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
