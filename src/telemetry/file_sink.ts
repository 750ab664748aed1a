// Appends log lines to a file: buffered, written synchronously, and never a reason to stop.

import { Buffer } from "node:buffer";
import { StartError } from "../core/errors.ts";

/** How many UTF-8 bytes are held back at most before they are written. */
export const BUFFER_SIZE_BYTES = 64 * 1024;

/** How long a line is held back at most, in milliseconds, while the event loop turns. */
export const FLUSH_AFTER_MS = 200;

const NEWLINE = 0x0a;

/** What is used of an open file. */
export type LogFile = Pick<Deno.FsFile, "writeSync" | "statSync" | "close">;

/** What a file sink is made of. */
export interface FileSinkOptions {
  readonly path: string;
  /** The line, without its line break, that says that `count` lines before it are missing. */
  readonly describeLoss: (count: number) => string;
  /** Called once per outage, at its first failed write. */
  readonly onFailure: (error: unknown) => void;
  /** How `path` is opened for appending; throws as `Deno.openSync` does. */
  readonly open?: (path: string) => LogFile;
}

/** An open log file. None of its methods throws; after `close()` they do nothing. */
export interface FileSink {
  /** Takes one line without its line break; it must contain none. */
  write(line: string): void;
  /** Writes what is held back before it returns: safe in signal, exit and error handlers. */
  flush(): void;
  /** Flushes and closes the file. */
  close(): void;
}

/**
 * Opens a file for appending; a new one gets mode 0640. While it can't be written (full disk, removed folder), lines are
 * dropped and counted, and the first write that works says how many. A file that was renamed or removed is created again
 * under its name, so rotation needs no signal; to notice it takes the permission to read the file.
 *
 * @throws {StartError} `Cannot open log file "...": ...`
 */
export function openFileSink(options: FileSinkOptions): FileSink {
  const open = options.open ?? openForAppending;
  let file: LogFile;
  try {
    file = open(options.path);
  } catch (cause) {
    throw new StartError(`Cannot open log file "${options.path}": ${describe(cause)}`, { cause });
  }
  return new BufferedFile(file, { ...options, open });
}

class BufferedFile implements FileSink {
  readonly #options: Required<FileSinkOptions>;
  readonly #encoder = new TextEncoder();
  #file: LogFile;
  #lines: string[] = [];
  #bufferedBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost = 0;
  #failing = false;
  /** The file ends in the middle of a line. */
  #torn = false;
  #closed = false;

  constructor(file: LogFile, options: Required<FileSinkOptions>) {
    this.#file = file;
    this.#options = options;
  }

  write(line: string): void {
    if (this.#closed) return;
    this.#lines.push(line + "\n");
    this.#bufferedBytes += Buffer.byteLength(line) + 1;
    if (this.#bufferedBytes >= BUFFER_SIZE_BYTES) return this.flush();
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.flush(), FLUSH_AFTER_MS);
      Deno.unrefTimer(this.#timer);
    }
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed || (this.#lines.length === 0 && this.#lost === 0)) return;

    const lines = this.#lines;
    this.#lines = [];
    this.#bufferedBytes = 0;
    if (this.#lost > 0) lines.unshift(this.#options.describeLoss(this.#lost) + "\n");
    this.#append(lines);
  }

  close(): void {
    this.flush();
    if (!this.#closed) closeQuietly(this.#file);
    this.#closed = true;
  }

  /** Writes the lines; the first of them is the report of a loss if there was one. */
  #append(lines: string[]): void {
    let bytes = new Uint8Array();
    let written = 0;
    try {
      this.#reopenIfMoved();
      bytes = this.#encoder.encode((this.#torn ? "\n" : "") + lines.join(""));
      while (written < bytes.length) {
        const count = this.#file.writeSync(bytes.subarray(written));
        if (count === 0) throw new Error("nothing could be written");
        written += count;
      }
      this.#lost = 0;
      this.#torn = false;
      this.#failing = false;
    } catch (error) {
      this.#countLoss(lines, bytes.subarray(0, written));
      this.#reportFailure(error);
    }
  }

  #countLoss(lines: string[], written: Uint8Array): void {
    const newlines = written.filter((byte) => byte === NEWLINE).length;
    const complete = Math.max(0, newlines - (this.#torn ? 1 : 0));
    const isReportMissing = this.#lost > 0 && complete === 0;
    this.#lost = isReportMissing ? this.#lost + lines.length - 1 : lines.length - complete;
    if (written.length > 0) this.#torn = written.at(-1) !== NEWLINE;
  }

  #reportFailure(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    try {
      this.#options.onFailure(error);
    } catch {
      // The log is the last place that could tell about it.
    }
  }

  /** Opens before it closes: if opening fails, the next write tries again with the same state. */
  #reopenIfMoved(): void {
    if (this.#isInPlace()) return;
    const moved = this.#file;
    this.#file = this.#options.open(this.#options.path);
    this.#torn = false;
    closeQuietly(moved);
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

function closeQuietly(file: LogFile): void {
  try {
    file.close();
  } catch {
    // Some file systems report a failed write only here; the lines are gone and there is nobody left to tell.
  }
}

function openForAppending(path: string): LogFile {
  return Deno.openSync(path, { append: true, create: true, mode: 0o640 });
}

function describe(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) {
    return "writing there was not allowed when the program was started";
  }
  return error instanceof Error ? error.message : String(error);
}
