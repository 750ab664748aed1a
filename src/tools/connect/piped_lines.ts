// Input from a pipe or a file: each line is a message, sent as fast as the server takes it.

import type { Connection, Input } from "./connection.ts";
import { UsageError } from "../../core/errors.ts";

/** Lines of stdin. Lines that were not yet sent when a connection was lost go over the next. */
export class PipedLines implements Input {
  readonly #maxSize: number;
  #connection: Connection | undefined;
  #isReading = false;
  #hasEnded = false;
  #wake: (() => void) | undefined;

  /** A line may have `maxSize` characters (UTF-16 code units). */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
    if (this.#hasEnded) connection.endInput();
    this.#wake?.();
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#read().catch((error) => {
      console.error(error instanceof Error ? error.message : String(error));
      this.#connection?.endInput();
    });
  }

  detach(): void {
    this.#connection = undefined;
  }

  close(): void {
    // Nothing to do: a read of stdin ends with the process.
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(64 * 1024);
    let rest = "";
    for (;;) {
      const count = await Deno.stdin.read(chunk);
      rest += count === null ? decoder.decode() : decoder.decode(chunk.subarray(0, count), { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      if (rest.length > this.#maxSize) {
        throw new UsageError(`Cannot send a line of stdin: it is longer than ${this.#maxSize} characters`);
      }
      if (count === null && rest !== "") lines.push(rest);
      for (const line of lines) await (await this.#open()).send(line.replace(/\r$/, ""));
      if (count === null) break;
    }
    this.#hasEnded = true;
    this.#connection?.endInput();
  }

  async #open(): Promise<Connection> {
    while (this.#connection === undefined) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#connection;
  }
}
