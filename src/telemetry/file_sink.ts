// Appends log lines to a file: buffered, written synchronously and rotated. Its failures never stop the program.

import { StartError } from "../core/errors.ts";
import { describeFileError } from "../core/file_error.ts";
import { Chain, sealLine } from "./chain.ts";
import { isTorn, resumeChain } from "./chain_end.ts";
import { rotateFiles } from "./rotation.ts";

/** How many bytes of UTF-8 may be buffered before they are written. */
export const BUFFER_SIZE_BYTES = 64 * 1024;

/** How long a line may be buffered, in milliseconds, while the event loop runs. */
export const FLUSH_AFTER_MS = 200;

/**
 * After a slow write nothing is written for this many times as long as it took: a slow disk may hold up the event loop
 * for a twentieth of the time.
 */
const REST_FACTOR = 19;
/** From how long on a write is slow, and the longest rest after one, in milliseconds. */
const NOTICEABLE_MS = 5;
const MAX_REST_MS = 30_000;
/** How many bytes of UTF-8 may be buffered during a rest; beyond that, all of them are dropped and counted. */
const MAX_HELD_BYTES = 4 * BUFFER_SIZE_BYTES;

const NEWLINE = 0x0a;

/** The part of an open file that is used. */
export type LogFile = Pick<Deno.FsFile, "writeSync" | "statSync" | "close">;

/** What a file sink is made of. */
export interface FileSinkOptions {
  readonly path: string;
  /** Makes the line, without its line break, that says that `count` lines before it are missing. */
  readonly describeLoss: (count: number) => string;
  /** Called once for each outage, at its first failure: to write, which loses lines, or to rotate, which does not. */
  readonly onFailure: (error: unknown, what: "write" | "rotate") => void;
  /** The size at which a file is rotated, in bytes; only a longer line makes a larger file. `Infinity` if left out. */
  readonly maxSize?: number;
  /** How many rotated files are kept; 5 if left out. */
  readonly maxFiles?: number;
  /** Whether the lines, which must be JSON objects with a member, become a chain (see `Chain`); false if left out. */
  readonly chain?: boolean;
  /** How `path` is opened for appending; throws as `Deno.openSync` does. */
  readonly open?: (path: string) => LogFile;
}

/** An open log file. None of its methods throws; after `close()` they do nothing. */
export interface FileSink {
  /** How many lines could not be written since it was opened. */
  readonly lost: number;
  /** Takes one line without its line break; it must contain none. */
  write(line: string): void;
  /** Writes what is buffered before it returns: safe in signal, exit and error handlers. */
  flush(): void;
  /**
   * Flushes and opens the file again by its name, after it was renamed from outside; keeps the old one if that fails.
   */
  reopen(): void;
  /** Flushes and closes the file. */
  close(): void;
}

/**
 * Opens a file for appending; a new one gets mode 0640. While it can't be written (full disk, removed folder), lines
 * are dropped and counted, and the first write that works says how many. A file that was renamed or removed is created
 * again under its name, so rotation from outside needs no signal. Noticing that, and rotating, needs the permission to
 * read the file. A chain is sealed as it is written, so that lost lines leave no gap in it.
 *
 * @throws {StartError} when the file can't be opened, or its chain can't be continued
 */
export function openFileSink(options: FileSinkOptions): FileSink {
  const { open = openForAppending, maxSize = Infinity, maxFiles = 5, chain = false } = options;
  // Before the file is created: the chain goes on from what is there.
  const resumed = chain ? resumeChain(options.path) : undefined;
  let file: LogFile;
  try {
    file = open(options.path);
  } catch (cause) {
    throw new StartError(
      `Cannot open log file "${options.path}": ${describeFileError(cause, "its folder does not exist")}`,
      { cause },
    );
  }
  return new BufferedFile(file, resumed, { ...options, open, maxSize, maxFiles, chain });
}

class BufferedFile implements FileSink {
  readonly #options: Required<FileSinkOptions>;
  /** The chain up to the last line in the file. */
  readonly #chain: Chain | undefined;
  #file: LogFile;
  #lines: string[] = [];
  #bufferedBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Lost lines that the file does not report yet, and those that it does. */
  #lost = 0;
  #reportedLost = 0;
  #failing = { write: false, rotate: false };
  /** Whether the file ends in the middle of a line; undefined until that matters. */
  #torn: boolean | undefined;
  /** Bytes written to it since it was opened. */
  #written = 0;
  #closed = false;
  /** Until then, by `performance.now()`, only `flush` writes. */
  #restUntilMs = 0;

  constructor(file: LogFile, chain: Chain | undefined, options: Required<FileSinkOptions>) {
    this.#file = file;
    this.#chain = chain;
    this.#options = options;
  }

  get lost(): number {
    return this.#reportedLost + this.#lost;
  }

  write(line: string): void {
    if (this.#closed) return;
    this.#lines.push(line);
    this.#bufferedBytes += encode(line).length + 1;
    const restMs = this.#restUntilMs - performance.now();
    if (this.#bufferedBytes >= BUFFER_SIZE_BYTES && restMs <= 0) return this.flush();
    if (this.#bufferedBytes >= MAX_HELD_BYTES) this.#drop();
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.flush(), Math.max(FLUSH_AFTER_MS, restMs));
      Deno.unrefTimer(this.#timer);
    }
  }

  #drop(): void {
    this.#lost += this.#lines.length;
    this.#lines = [];
    this.#bufferedBytes = 0;
    this.#reportFailure(new Error("the disk is too slow"), "write");
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed || (this.#lines.length === 0 && this.#lost === 0)) return;

    const lines = this.#lines;
    this.#lines = [];
    this.#bufferedBytes = 0;
    if (this.#lost > 0) lines.unshift(this.#options.describeLoss(this.#lost));
    const beganMs = performance.now();
    this.#append(lines);
    const endedMs = performance.now();
    const tookMs = endedMs - beganMs;
    const restMs = tookMs < NOTICEABLE_MS ? 0 : Math.min(REST_FACTOR * tookMs, MAX_REST_MS);
    this.#restUntilMs = endedMs + restMs;
  }

  reopen(): void {
    this.flush();
    if (this.#closed) return;
    try {
      this.#open();
    } catch (error) {
      this.#reportFailure(error, "rotate");
    }
  }

  close(): void {
    this.flush();
    if (!this.#closed) closeQuietly(this.#file);
    this.#closed = true;
  }

  /** Writes the lines, after a report if some were lost. */
  #append(lines: string[]): void {
    const count = lines.length;
    try {
      if (!this.#isInPlace()) this.#open();
      this.#torn ??= isTorn(this.#options.path);
      while (lines.length > 0) this.#appendSome(lines);
      this.#reportedLost += this.#lost;
      this.#lost = 0;
      this.#failing.write = false;
    } catch (error) {
      const isReportMissing = this.#lost > 0 && lines.length === count;
      if (!isReportMissing) this.#reportedLost += this.#lost;
      this.#lost = isReportMissing ? this.#lost + count - 1 : lines.length;
      this.#reportFailure(error, "write");
    }
  }

  /** Writes as many lines as the file still has room for, or else makes room. Takes what it wrote off `lines`. */
  #appendSome(lines: string[]): void {
    const size = this.#size();
    const room = this.#options.maxSize - size;
    const records = this.#encode(lines, room);
    if (size > 0 && records[0]!.length > room && this.#rotate()) return;
    const bytes = concat(this.#torn ? [Uint8Array.of(NEWLINE), ...records] : records);
    let written = 0;
    try {
      while (written < bytes.length) {
        const count = this.#file.writeSync(bytes.subarray(written));
        if (count === 0) throw new Error("nothing could be written");
        written += count;
      }
    } finally {
      lines.splice(0, this.#account(records, bytes.subarray(0, written)));
    }
  }

  /** The first lines, at least one and no more than there is room for, each with its line break. */
  #encode(lines: readonly string[], room: number): Uint8Array[] {
    const chain = this.#chain === undefined ? undefined : new Chain(this.#chain.prev);
    const records: Uint8Array[] = [];
    let size = this.#torn ? 1 : 0;
    for (const line of lines) {
      const record = encode((chain === undefined ? line : sealLine(line, chain.prev)) + "\n");
      size += record.length;
      if (records.length > 0 && size > room) break;
      records.push(record);
      chain?.add(withoutLineBreak(record));
    }
    return records;
  }

  /** Notes what is in the file now; returns how many of the records are whole. */
  #account(records: readonly Uint8Array[], written: Uint8Array): number {
    this.#written += written.length;
    const newlines = written.filter((byte) => byte === NEWLINE).length;
    const complete = Math.max(0, newlines - (this.#torn ? 1 : 0));
    for (const record of records.slice(0, complete)) this.#chain?.add(withoutLineBreak(record));
    if (written.length > 0) this.#torn = written.at(-1) !== NEWLINE;
    if (written.length > 0 && this.#torn) {
      this.#chain?.add(written.subarray(written.lastIndexOf(NEWLINE) + 1));
    }
    return complete;
  }

  /** Whether there is a new file now. If not, the old one grows, and nothing is lost. */
  #rotate(): boolean {
    try {
      rotateFiles(this.#options.path, this.#options.maxFiles);
    } catch (error) {
      this.#reportFailure(error, "rotate");
      return false;
    }
    this.#open();
    return true;
  }

  #reportFailure(error: unknown, what: "write" | "rotate"): void {
    if (this.#failing[what]) return;
    this.#failing[what] = true;
    try {
      this.#options.onFailure(error, what);
    } catch {
      // Whatever it is, there is no other place to report it.
    }
  }

  /** Opens before it closes: if opening fails, the next write tries again with the same state. */
  #open(): void {
    const { open, path } = this.#options;
    const old = this.#file;
    this.#file = open(path);
    this.#torn = isTorn(path);
    this.#written = 0;
    this.#failing.rotate = false;
    closeQuietly(old);
  }

  /** Bytes in the file, as far as there is a permission to look. */
  #size(): number {
    try {
      return this.#file.statSync().size;
    } catch {
      // Without the permission, or where the file system does not answer.
      return this.#written;
    }
  }

  #isInPlace(): boolean {
    try {
      const ours = this.#file.statSync();
      const there = Deno.statSync(this.#options.path);
      return there.dev === ours.dev && there.ino === ours.ino;
    } catch (error) {
      // Anything but "not there" (no permission to read there, say) is no reason to leave a file that works.
      return !(error instanceof Deno.errors.NotFound);
    }
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

function withoutLineBreak(record: Uint8Array): Uint8Array {
  return record.subarray(0, -1);
}

function closeQuietly(file: LogFile): void {
  try {
    file.close();
  } catch {
    // Some file systems report a failed write only now: the lines are lost, and nothing can be done.
  }
}

function openForAppending(path: string): LogFile {
  refuseBlocking(path);
  return Deno.openSync(path, { append: true, create: true, mode: 0o640 });
}

/** Writing to a pipe waits for its reader, which would stop the program; even opening it may. */
function refuseBlocking(path: string): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    // Not there yet, or not to be looked at: opening it will say why.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return;
    if (error instanceof Deno.errors.NotCapable) return;
    throw error;
  }
  if (info.isFifo || info.isSocket) throw new Error("it is a pipe, which may have no reader: name a file");
}
