// Decodes a chunked body as it comes, up to a limit (RFC 9112 §7.1). No I/O.

/** The longest line between two chunks, with its extensions, in bytes. */
const MAX_LINE = 256;
const CR = 13;
const LF = 10;
const SEMICOLON = 59;

/** Takes the bytes of a chunked body. What comes after the limit, or after a broken chunk, is dropped. */
export class ChunkedBody {
  /** Whether it takes nothing more. */
  isOver = false;
  readonly #bytes: Uint8Array;
  #size = 0;
  /** What the next byte belongs to: the size of a chunk, the rest of its line, the chunk, or the line end after it. */
  #state: "size" | "extension" | "data" | "end" = "size";
  /** The size of the chunk as far as it is read, then how much of it is left. */
  #left = 0;
  #lineSize = 0;

  /** @param limit The most that is kept, in bytes. */
  constructor(limit: number) {
    this.#bytes = new Uint8Array(limit);
  }

  /** What has come so far. */
  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Takes the bytes from `start` to `end`. */
  take(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end && !this.isOver;) {
      if (this.#state === "data") at += this.#takeData(bytes, at, end);
      else this.#takeLine(bytes[at++]!);
    }
  }

  #takeData(bytes: Uint8Array, start: number, end: number): number {
    const size = Math.min(this.#left, end - start);
    const kept = Math.min(size, this.#bytes.length - this.#size);
    this.#bytes.set(bytes.subarray(start, start + kept), this.#size);
    this.#size += kept;
    this.#left -= size;
    this.isOver = this.#size === this.#bytes.length;
    if (this.#left === 0) this.#begin("end");
    return size;
  }

  #takeLine(byte: number): void {
    if (byte === LF) return this.#endLine();
    if (++this.#lineSize > MAX_LINE) this.isOver = true;
    if (byte === CR || this.#state === "extension") return;
    const digit = this.#state === "size" ? hexDigit(byte) : -1;
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      // More than 8 digits are larger than any chunk that may come.
      if (this.#left > 0xffffffff) this.isOver = true;
    } else if (byte === SEMICOLON && this.#state === "size" && this.#lineSize > 1) this.#state = "extension";
    else this.isOver = true;
  }

  #endLine(): void {
    if (this.#state === "end") return this.#begin("size");
    // The last chunk is empty; what follows is not part of the body.
    if (this.#left === 0) this.isOver = true;
    this.#begin("data");
  }

  #begin(state: "size" | "data" | "end"): void {
    this.#state = state;
    this.#lineSize = 0;
    if (state === "size") this.#left = 0;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
