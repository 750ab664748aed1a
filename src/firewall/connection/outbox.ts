// What is to be sent to one peer, in order: joined into few writes, and counted until it is written.

import type { CloseReason } from "../../protocol/close_code.ts";
import { encodeClose, encodeFrame, headerSize, OPCODE, writeFrameHeader } from "../../protocol/frame.ts";
import { BufferStock, large, LARGE_SIZE, small, SMALL_SIZE } from "./buffer_stock.ts";
import type { ByteSocket } from "../byte_socket.ts";
import type { EndpointCounters } from "../counters.ts";

/** Bytes that are written in one go. */
class Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  end = 0;
  readonly #stock: BufferStock | undefined;

  /** Has room for at least `sizeBytes`. */
  constructor(sizeBytes: number) {
    this.#stock = sizeBytes <= SMALL_SIZE
      ? small
      : sizeBytes <= LARGE_SIZE && large.hasMore
      ? large
      : undefined;
    this.bytes = this.#stock?.take() ?? new Uint8Array(sizeBytes);
  }

  get room(): number {
    return this.bytes.length - this.end;
  }

  /** Gives the buffer back; the chunk must not be used after that. */
  release(): void {
    if (this.#stock === undefined) this.bytes.buffer.transfer(0);
    else this.#stock.giveBack(this.bytes);
  }
}

/** How much may wait for a peer while it is still read: as much as one write takes. */
const MOST_AHEAD = SMALL_SIZE;

const encoder = new TextEncoder();
const PING: Uint8Array = encodeFrame(OPCODE.ping, new Uint8Array(0));

/**
 * The way to one peer, from the handshake to the end of the connection: one order for everything.
 *
 * An endpoint in this process puts whole messages in by `send`, somebody's own server its bytes by `relay`, and the
 * firewall its own frames by `pong`, `ping` and `close`, which go between two frames. Nothing is refused for being too
 * much: senders look at `pendingBytes`.
 */
export class Outbox {
  /** Whether a write is under way; it takes longer than a moment only if the peer does not read. */
  isWriting = false;
  /** Bytes that were put in and are not written yet. */
  pendingBytes = 0;
  /** Bytes written so far. */
  sentBytes = 0;
  /** Messages put in by `send` so far. */
  messages = 0;

  readonly #socket: ByteSocket;
  readonly #counters: EndpointCounters;
  readonly #onPending: (bytes: number) => void;
  #chunks: Chunk[] = [];
  #onWritten: () => void = () => {};
  #onLost: (error: unknown) => void = () => {};
  /** Reasons not to write yet: it was not started, or the turn is not over. */
  #isStarted = false;
  #isHeld = false;
  /** Whether the last bytes put in ended a frame, and what waits for a frame's end. */
  #isAtBoundary = true;
  #pingDue: Uint8Array | undefined;
  #closeDue: Uint8Array | undefined;
  #isEnded = false;

  /**
   * @param socket is only written to, and only after `start`.
   * @param counters are those of the endpoint.
   * @param onPending is told each change of `pendingBytes`.
   */
  constructor(socket: ByteSocket, counters: EndpointCounters, onPending: (bytes: number) => void = () => {}) {
    this.#socket = socket;
    this.#counters = counters;
    this.#onPending = onPending;
  }

  /** Whether the peer has to read before it may send more; a short answer that waits is not enough for that. */
  get isBehind(): boolean {
    return this.isWriting && this.pendingBytes > MOST_AHEAD;
  }

  /** Whether it takes nothing more: the Close is in it, or the peer is lost. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Begins to write; until then everything waits, because the response head must be first. */
  start(onWritten: () => void, onLost: (error: unknown) => void): void {
    this.#onWritten = onWritten;
    this.#onLost = onLost;
    this.#isStarted = true;
    this.#flush();
  }

  /** Holds writes back until `release`, so that one turn makes one write. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#flush();
  }

  /** Puts a whole message in; dropped after the end. The buffer of a binary one stays with the caller. */
  send(message: string | ArrayBuffer): void {
    if (this.#isEnded) return;
    const size = typeof message === "string"
      ? this.#addText(message)
      : this.#addFrame(OPCODE.binary, new Uint8Array(message));
    this.messages++;
    this.#counters.messagesOut.observe(size);
    this.#flush();
  }

  /** Answers a Ping whose payload is from `start` to `end`. */
  pong(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isEnded) return;
    this.#addFrame(OPCODE.pong, bytes.subarray(start, end));
    this.#flush();
  }

  /** Sends a Ping, an empty one unless told otherwise, as soon as a frame ends. */
  ping(frame = PING): void {
    this.#pingDue = frame;
    this.#addDue();
    this.#flush();
  }

  /** Sends a Close, as soon as a frame ends; nothing is taken after it. */
  close(close: CloseReason): void {
    this.#closeDue ??= encodeClose(close);
    this.#addDue();
    this.#flush();
  }

  /**
   * Puts in a copy of the bytes of frames.
   *
   * @param boundary Offset of the last end of a frame in them, -1 if there is none.
   */
  relay(bytes: Uint8Array, boundary: number): void {
    if (this.#isEnded) return;
    const isDue = this.#closeDue !== undefined || this.#pingDue !== undefined;
    if (isDue && boundary >= 0) {
      this.#addBytes(bytes.subarray(0, boundary));
      this.#isAtBoundary = true;
      this.#addDue();
      bytes = bytes.subarray(boundary);
      if (this.#isEnded || bytes.length === 0) return this.#flush();
      boundary = -1;
    }
    this.#addBytes(bytes);
    this.#isAtBoundary = boundary === bytes.length;
    this.#flush();
  }

  /** Takes nothing more; what is in it is still written. */
  end(): void {
    this.#isEnded = true;
  }

  /** Drops all but the write under way, and takes nothing more. */
  drop(): void {
    this.#isEnded = true;
    for (const chunk of this.#chunks) {
      this.#changePending(-chunk.end);
      chunk.release();
    }
    this.#chunks = [];
  }

  /** Writes what is there, unless a write is under way, which then goes on with it. */
  #flush(): void {
    if (this.isWriting || this.#isHeld || !this.#isStarted || this.#chunks.length === 0) return;
    void this.#writeAll();
  }

  #addDue(): void {
    if (!this.#isAtBoundary || this.#isEnded) return;
    if (this.#pingDue !== undefined) this.#addBytes(this.#pingDue);
    this.#pingDue = undefined;
    if (this.#closeDue === undefined) return;
    this.#addBytes(this.#closeDue);
    this.#isEnded = true;
  }

  async #writeAll(): Promise<void> {
    this.isWriting = true;
    let chunk: Chunk | undefined;
    try {
      while ((chunk = this.#chunks.shift()) !== undefined) {
        for (let start = 0; start < chunk.end;) {
          const size = await this.#socket.write(chunk.bytes.subarray(start, chunk.end));
          start += size;
          this.#changePending(-size);
          this.sentBytes += size;
          this.#counters.bytesOut += size;
        }
        chunk.release();
      }
    } catch (error) {
      chunk?.release();
      this.drop();
      this.#changePending(-this.pendingBytes);
      this.#onLost(error);
    }
    this.isWriting = false;
    this.#onWritten();
  }

  /** Returns the bytes of the payload. */
  #addText(text: string): number {
    const guess = headerSize(text.length, false);
    const chunk = this.#chunkFor(guess + text.length);
    const payloadStart = chunk.end + guess;
    const { read, written } = encoder.encodeInto(text, chunk.bytes.subarray(payloadStart));
    const header = headerSize(written, false);
    // Not ASCII, and more than there is room for.
    if (read < text.length || header + written > chunk.room) {
      return this.#addFrame(OPCODE.text, encoder.encode(text));
    }
    if (header !== guess) {
      chunk.bytes.copyWithin(chunk.end + header, payloadStart, payloadStart + written);
    }
    writeFrameHeader(chunk.bytes, chunk.end, { fin: true, opcode: OPCODE.text, payloadLength: written });
    this.#advance(chunk, header + written);
    return written;
  }

  /** Returns the bytes of the payload. */
  #addFrame(opcode: number, payload: Uint8Array): number {
    const header = headerSize(payload.length, false);
    const chunk = this.#chunkFor(header + payload.length);
    writeFrameHeader(chunk.bytes, chunk.end, { fin: true, opcode, payloadLength: payload.length });
    chunk.bytes.set(payload, chunk.end + header);
    this.#advance(chunk, header + payload.length);
    return payload.length;
  }

  #addBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const chunk = this.#chunkFor(bytes.length);
    chunk.bytes.set(bytes, chunk.end);
    this.#advance(chunk, bytes.length);
  }

  #chunkFor(sizeBytes: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.room >= sizeBytes) return last;
    const chunk = new Chunk(sizeBytes);
    this.#chunks.push(chunk);
    return chunk;
  }

  #advance(chunk: Chunk, sizeBytes: number): void {
    chunk.end += sizeBytes;
    this.#changePending(sizeBytes);
  }

  #changePending(bytes: number): void {
    this.pendingBytes += bytes;
    this.#onPending(bytes);
  }
}
