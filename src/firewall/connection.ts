// One accepted connection: both directions, coupled, and every way in which it can end.

import { ABNORMAL_CLOSURE, CloseReason } from "../protocol/close_code.ts";
import { encodeClose } from "../protocol/frame.ts";
import type { Log } from "../telemetry/log.ts";
import { ByteSocket, closeQuietly, finish, writeAll } from "./byte_socket.ts";
import { EndpointFrames } from "./endpoint_frames.ts";
import type { FrameLimits } from "./frame_rules.ts";
import { HEADROOM, PeerFrames } from "./peer_frames.ts";
import { ReadBuffer } from "./read_buffer.ts";

/** What a connection is held to. */
export interface ConnectionLimits extends FrameLimits {
  /** Milliseconds from the first Close frame to the end of the connection. */
  readonly closeTimeout: number;
}

/** What a connection is made of, once the handshake is over. */
export interface ConnectionOptions {
  readonly id: string;
  readonly endpoint: string;
  /** The peer's address, for the log. */
  readonly address: string;
  /** The public side; the connection owns and closes it. */
  readonly peer: ByteSocket;
  /** The private hop, after the response head; the connection owns and closes it. */
  readonly inner: ByteSocket;
  /** Bytes that came with the heads: the peer's after its request, the endpoint's after its response. */
  readonly fromPeer: Uint8Array;
  readonly fromEndpoint: Uint8Array;
  readonly limits: ConnectionLimits;
  readonly log: Log;
}

/**
 * Relays between a peer and an endpoint, reads every frame header on the way, and ends the connection by the closing
 * handshake of RFC 6455 §7 or, after its deadline, without it.
 *
 * Only the peer's loop writes to the endpoint, and what it writes always ends with a frame, so it can add a Close. To
 * the peer the endpoint's loop writes, and a Close of the firewall goes between two frames of the endpoint.
 */
export class Connection {
  readonly id: string;
  readonly #options: ConnectionOptions;
  readonly #peer: ByteSocket;
  readonly #inner: ByteSocket;
  readonly #peerFrames: PeerFrames;
  readonly #endpointFrames = new EndpointFrames();
  readonly #peerBuffer: ReadBuffer;
  readonly #endpointBuffer: ReadBuffer;
  readonly #openedAt = performance.now();
  #bytesFromPeer = 0;
  #bytesToPeer = 0;
  /** Whether a write to the peer is under way: while there is one, the peer is not read. */
  #isWriting = false;
  /** Called when that write is done. */
  #onWritten: (() => void) | undefined;
  /** Whether the last byte written to the peer ended a frame. */
  #atBoundary = true;
  /** The firewall's own Close: what it says, and its frame while that waits for the end of a frame. */
  #ownClose: CloseReason | undefined;
  #waitingClose: Uint8Array<ArrayBuffer> | undefined;
  /** Whether a Close frame, the endpoint's or the firewall's, has gone to the peer. Nothing may follow it. */
  #closeSent = false;
  #peerGone = false;
  #innerGone = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.#options = options;
    this.#peer = options.peer;
    this.#inner = options.inner;
    this.#peerFrames = new PeerFrames(options.limits);
    this.#peerBuffer = new ReadBuffer(HEADROOM, options.fromPeer);
    this.#endpointBuffer = new ReadBuffer(0, options.fromEndpoint);
  }

  /** Relays until the connection has ended; both sockets are closed then. Never rejects. */
  async run(): Promise<void> {
    this.#log("connection.opened");
    await Promise.all([this.#relayFromPeer(), this.#relayFromEndpoint()]);
    if (!this.#peerGone) {
      this.#startDeadline();
      await finish(this.#peer, this.#peerBuffer.bytes);
    }
    clearTimeout(this.#deadline);
    closeQuietly(this.#peer);
    closeQuietly(this.#inner);
    this.#peerBuffer.release();
    this.#endpointBuffer.release();
    const close = this.#peerFrames.close ?? this.#ownClose ?? this.#endpointFrames.close;
    this.#log("connection.closed", {
      code: close?.code ?? ABNORMAL_CLOSURE,
      clean: this.#closeSent && this.#peerFrames.close !== undefined,
      messagesIn: this.#peerFrames.messages,
      messagesOut: this.#endpointFrames.messages,
      bytesIn: this.#bytesFromPeer,
      bytesOut: this.#bytesToPeer,
      durationMs: Math.round(performance.now() - this.#openedAt),
    });
  }

  /** Begins the closing handshake from the server's side; after `timeoutMs` the peer is cut. */
  close(close: CloseReason, timeoutMs = this.#options.limits.closeTimeout): void {
    if (this.#closeSent || this.#waitingClose !== undefined) return;
    this.#ownClose = close;
    this.#waitingClose = encodeClose(close);
    this.#startDeadline(timeoutMs);
    if (this.#atBoundary && !this.#isWriting) void this.#writeWaitingClose();
  }

  /** Ends the peer's side at once, whatever state it is in; the endpoint is still told. */
  cut(): void {
    this.#peerGone = true;
    closeQuietly(this.#peer);
    this.#startDeadline();
  }

  async #relayFromPeer(): Promise<void> {
    const frames = this.#peerFrames;
    const buffer = this.#peerBuffer;
    let toEndpoint: CloseReason | undefined;
    try {
      let size: number | null = this.#options.fromPeer.length;
      for (;;) {
        if (size === 0) {
          // A peer that does not read is not read from, so what it can make us hold is bounded.
          while (this.#isWriting) await this.#written();
          size = await this.#peer.read(buffer.room());
        }
        if (size === null) {
          toEndpoint = this.#ownClose;
          this.#peerEnded("the peer ended the connection without a Close frame");
          // Half of the connection may still be there to be told.
          this.close({ code: 1002, reason: "the connection ended without a Close frame" });
          break;
        }
        buffer.end += size;
        this.#bytesFromPeer += size;
        frames.inspect(buffer.bytes, buffer.start, buffer.end);
        if (frames.forwardEnd > frames.forwardStart && !this.#innerGone) {
          await this.#writeToInner(buffer.bytes, frames.forwardStart, frames.forwardEnd);
        }
        if (frames.violation !== undefined) {
          const { rule, code, reason } = frames.violation;
          this.#log("protocol.error", { rule, code, reason });
          toEndpoint = { code, reason };
          this.close(toEndpoint);
          break;
        }
        if (frames.close !== undefined) {
          this.#startDeadline();
          return;
        }
        buffer.carry(frames.carryStart);
        size = 0;
      }
    } catch (error) {
      toEndpoint = this.#ownClose;
      this.#peerEnded(describe(error));
      this.#peerGone = true;
    }
    await this.#closeInner(toEndpoint);
  }

  async #writeToInner(bytes: Uint8Array, start: number, end: number): Promise<void> {
    try {
      await writeAll(this.#inner, bytes, start, end);
    } catch {
      // The endpoint's loop sees the same end and tells the peer.
      this.#innerGone = true;
    }
  }

  /** Tells the endpoint that the connection ends, with a code if there is one, otherwise by ending the stream. */
  async #closeInner(close: CloseReason | undefined): Promise<void> {
    this.#startDeadline();
    // The mask hides nothing between our own two sides, so its key can be 0.
    if (close === undefined) return await this.#inner.closeWrite().catch(() => {});
    const frame = encodeClose(close, 0);
    await this.#writeToInner(frame, 0, frame.length);
  }

  async #relayFromEndpoint(): Promise<void> {
    const frames = this.#endpointFrames;
    const buffer = this.#endpointBuffer;
    try {
      let size: number | null = this.#options.fromEndpoint.length;
      for (;;) {
        if (size === 0) size = await this.#inner.read(buffer.room());
        if (size === null) break;
        buffer.end += size;
        frames.inspect(buffer.bytes, buffer.start, buffer.end);
        while (this.#isWriting) await this.#written();
        if (!this.#closeSent) await this.#sendToPeer(buffer.bytes, frames.forwardEnd, frames.boundary);
        if (frames.close !== undefined) {
          this.#closeSent = true;
          this.#startDeadline();
          return;
        }
        buffer.carry(frames.forwardEnd);
        size = 0;
      }
    } catch {
      // An error on the private hop is its end.
    }
    if (this.#peerFrames.close !== undefined || this.#closeSent || this.#peerGone) return;
    this.#log("endpoint.lost");
    this.close({ code: 1011, reason: "internal error" });
  }

  /** Sends the endpoint's bytes from 0 to `end`, or a waiting Close at the first `boundary` between two frames. */
  async #sendToPeer(bytes: Uint8Array<ArrayBuffer>, end: number, boundary: number): Promise<void> {
    const stop = this.#waitingClose !== undefined && boundary >= 0 ? boundary : end;
    if (stop > 0) await this.#writeToPeer(bytes, stop);
    this.#atBoundary = boundary === stop;
    if (this.#waitingClose !== undefined && this.#atBoundary) await this.#writeWaitingClose();
  }

  async #writeWaitingClose(): Promise<void> {
    const frame = this.#waitingClose!;
    this.#waitingClose = undefined;
    this.#closeSent = true;
    await this.#writeToPeer(frame, frame.length);
  }

  /** Never rejects: the loss of the peer is recorded. Must not be called while another write is under way. */
  async #writeToPeer(bytes: Uint8Array, end: number): Promise<void> {
    if (this.#peerGone) return;
    this.#isWriting = true;
    try {
      await writeAll(this.#peer, bytes, 0, end);
      this.#bytesToPeer += end;
    } catch (error) {
      this.#peerEnded(describe(error));
      this.#peerGone = true;
      // Ends the read that may be pending in the other loop.
      closeQuietly(this.#peer);
    }
    this.#isWriting = false;
    this.#onWritten?.();
    this.#onWritten = undefined;
  }

  /** Resolves when the write that is under way is done. */
  #written(): Promise<void> {
    return new Promise((resolve) => {
      const earlier = this.#onWritten;
      this.#onWritten = earlier === undefined ? resolve : () => {
        earlier();
        resolve();
      };
    });
  }

  /** When the deadline passes, the peer is cut; the endpoint has the same time again to end. */
  #startDeadline(timeoutMs = this.#options.limits.closeTimeout): void {
    this.#deadline ??= setTimeout(() => {
      this.#peerGone = true;
      closeQuietly(this.#peer);
      this.#deadline = setTimeout(() => closeQuietly(this.#inner), this.#options.limits.closeTimeout);
    }, timeoutMs);
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

/** A short account of an I/O error: the runtime's words, which hold nothing that a peer has written. */
function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
