// Writes log lines to stderr, and never waits for whoever reads it.

/** How many characters may wait for a reader; more are dropped and counted. */
export const MAX_WAITING = 256 * 1024;

/** How long the end of the program waits for the reader, in milliseconds. */
export const FINISH_MS = 500;

/** A write that takes longer than this, in milliseconds, has no reader. */
const STUCK_AFTER_MS = 100;

/** Where another program has made stderr non-blocking, a full pipe is tried again after this time, in milliseconds. */
const RETRY_MS = 50;

/** How long a thread of the runtime may take to begin a write on a busy machine, in milliseconds. */
const HANDOVER_MS = 100;

/** What a terminal is made of. */
export interface TerminalOptions {
  /** The line, without its line break, that says that `count` lines before it are missing. */
  readonly describeLoss: (count: number) => string;
  /** Called once per outage, at its first lost line, with why. */
  readonly onFailure: (reason: string) => void;
  /** Where to write; stderr if left out. */
  readonly output?: Pick<typeof Deno.stderr, "write" | "writeSync">;
}

/**
 * Lines on their way to stderr, in order. One write is under way at a time, on a thread of the runtime: a pipe, a stopped
 * terminal or a FIFO that nobody reads holds up that thread and nothing else.
 */
export class Terminal {
  readonly #options: Required<TerminalOptions>;
  #lines: string[] = [];
  /** Characters that wait, including those being written. */
  #waiting = 0;
  /** When the write under way began, by `performance.now()`. */
  #writingSinceMs: number | undefined;
  #pumping: Promise<void> | undefined;
  #isGivenUp = false;
  #lost = 0;
  /** How many of them no line has reported yet. */
  #untold = 0;

  constructor(options: TerminalOptions) {
    this.#options = { output: Deno.stderr, ...options };
  }

  /** How many lines could not be written. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes one line without its line break; it must contain none. */
  write(line: string): void {
    if (this.#waiting + line.length > MAX_WAITING) return this.#lose(1, "it is not read");
    this.#lines.push(line);
    this.#waiting += line.length;
    // Not at once: what is logged in one turn becomes one write; if the program ends in this turn, it is written
    // synchronously.
    this.#pumping ??= Promise.resolve().then(() => this.#pump());
  }

  /**
   * Writes what waits before it returns, for the last handler before the end. It waits for a reader that was reading
   * until now; otherwise the lines are given up.
   */
  flush(): void {
    if (this.#isGivenUp) return;
    const sinceMs = this.#writingSinceMs;
    if (sinceMs !== undefined) {
      if (performance.now() - sinceMs > STUCK_AFTER_MS) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HANDOVER_MS);
    } else if (this.#lines.length === 0) return;
    // The runtime begins a synchronous write when the one on its thread has ended, so the order is kept.
    let bytes = encode(this.#take());
    try {
      do bytes = bytes.subarray(this.#options.output.writeSync(bytes)); while (bytes.length > 0);
    } catch {
      // Whatever the system says: the program ends, and there is no other place to report it.
    }
  }

  /** Resolves when all is written, or after `withinMs`; then the rest is given up. */
  async finish(withinMs = FINISH_MS): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<void>((resolve) => timer = setTimeout(resolve, withinMs));
    await Promise.race([this.#pumping, tooLate]);
    clearTimeout(timer);
    if (this.#pumping !== undefined) this.#isGivenUp = true;
  }

  async #pump(): Promise<void> {
    let isRead = true;
    // What is lost while the last lines are written is reported without waiting for another line.
    while (this.#lines.length > 0 || (this.#untold > 0 && isRead)) isRead = await this.#writeBatch();
    this.#pumping = undefined;
  }

  /** Returns whether it was written. */
  async #writeBatch(): Promise<boolean> {
    const told = this.#untold;
    const size = this.#waiting;
    const lines = this.#take();
    const count = lines.length;
    // The report comes after the lines that were waiting at the loss.
    if (told > 0) lines.push(this.#options.describeLoss(told));
    this.#writingSinceMs = performance.now();
    try {
      await writeAll(this.#options.output, encode(lines));
      this.#untold -= told;
      return true;
    } catch (error) {
      // The reader is gone, or a disk is full: whatever the system says, the next line tries again.
      this.#lose(count, error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      this.#waiting -= size;
      this.#writingSinceMs = undefined;
    }
  }

  #take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  #lose(count: number, reason: string): void {
    if (this.#untold === 0) this.#options.onFailure(reason);
    this.#lost += count;
    this.#untold += count;
  }
}

async function writeAll(output: TerminalOptions["output"] & object, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    try {
      written += await output.write(bytes.subarray(written));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function encode(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(lines.map((line) => line + "\n").join(""));
}
