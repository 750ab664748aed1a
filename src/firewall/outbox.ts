// What is on its way to one peer, in order: joined into few writes, and counted until it is gone.

import { headerSize, OPCODE, writeFrameHeader } from "../protocol/frame.ts";
import { BufferStock, large, LARGE_SIZE, small, SMALL_SIZE } from "./buffer_stock.ts";
import type { ByteSocket } from "./byte_socket.ts";
import type { EndpointCounters } from "./counters.ts";

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

const encoder = new TextEncoder();

/** Those that have something to write when this turn of the event loop is over. */
let due: Outbox[] = [];

function flushDue(): void {
  const outboxes = due;
  due = [];
  for (const outbox of outboxes) outbox.flush();
}

/**
 * The way to one peer, from the handshake to the end of the connection.
 *
 * An endpoint in this process puts whole messages in by `send`, which spares them the private hop; all that come in one
 * turn of the event loop are one write. Nothing is refused for being too much: who sends looks at `isWriting`.
 */
export class Outbox {
  /** Whether `send` waits for the end of the turn, because more than one message is expected; otherwise it writes at once. */
  joins = true;
  /** Whether a write is under way: for longer than a moment only if the peer does not read. */
  isWriting = false;
  /** Bytes that were put in and are not written. */
  pendingBytes = 0;
  /** Bytes written so far. */
  sentBytes = 0;
  /** Messages put in by `send` so far, and the bytes of their frames. */
  messages = 0;
  messageBytes = 0;

  readonly #socket: ByteSocket;
  readonly #counters: EndpointCounters;
  #chunks: Chunk[] = [];
  #onWritten: () => void = () => {};
  #onLost: (error: unknown) => void = () => {};
  #isHeld = true;
  #isDue = false;
  #isEnded = false;

  /**
   * @param socket is only written to, and only after `start`.
   * @param counters are those of the endpoint.
   */
  constructor(socket: ByteSocket, counters: EndpointCounters) {
    this.#socket = socket;
    this.#counters = counters;
  }

  /** Begins to write; until then everything waits, for the response head must be the first. */
  start(onWritten: () => void, onLost: (error: unknown) => void): void {
    this.#onWritten = onWritten;
    this.#onLost = onLost;
    this.#isHeld = false;
    this.flush();
  }

  /** Puts a whole message in; dropped after `end`. The buffer of a binary one stays with the caller. */
  send(message: string | ArrayBuffer): void {
    if (this.#isEnded) return;
    const before = this.pendingBytes;
    const size = typeof message === "string"
      ? this.#addText(message)
      : this.#addFrame(OPCODE.binary, new Uint8Array(message));
    this.messages++;
    this.messageBytes += this.pendingBytes - before;
    this.#counters.messagesOut.observe(size);
    if (this.#isDue) return;
    if (!this.joins) return this.flush();
    this.#isDue = true;
    if (due.push(this) === 1) setImmediate(flushDue);
  }

  /** Puts bytes in as they are, copied, and writes. The caller sees to it that frames stay whole. */
  write(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    const chunk = this.#chunkFor(bytes.length);
    chunk.bytes.set(bytes, chunk.end);
    this.#advance(chunk, bytes.length);
    this.flush();
  }

  /** Nothing more is taken; what is in it is still written. */
  end(): void {
    this.#isEnded = true;
  }

  /** Drops what is not under way. Whole frames are dropped, unless the last `write` had only a part of one. */
  drop(): void {
    for (const chunk of this.#chunks) {
      this.pendingBytes -= chunk.end;
      chunk.release();
    }
    this.#chunks = [];
  }

  /** Writes what is there, unless a write is under way, which goes on with it. */
  flush(): void {
    this.#isDue = false;
    if (!this.isWriting && !this.#isHeld && this.#chunks.length > 0) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.isWriting = true;
    let chunk: Chunk | undefined;
    try {
      while ((chunk = this.#chunks.shift()) !== undefined) {
        for (let start = 0; start < chunk.end;) {
          const size = await this.#socket.write(chunk.bytes.subarray(start, chunk.end));
          start += size;
          this.pendingBytes -= size;
          this.sentBytes += size;
          this.#counters.bytesOut += size;
        }
        chunk.release();
      }
    } catch (error) {
      chunk?.release();
      this.end();
      this.drop();
      this.pendingBytes = 0;
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

  #chunkFor(sizeBytes: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.room >= sizeBytes) return last;
    const chunk = new Chunk(sizeBytes);
    this.#chunks.push(chunk);
    return chunk;
  }

  #advance(chunk: Chunk, sizeBytes: number): void {
    chunk.end += sizeBytes;
    this.pendingBytes += sizeBytes;
  }
}
