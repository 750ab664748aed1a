// What becomes of log lines when stderr is read slowly, is not read, or is gone.

import assert from "node:assert/strict";
import { MAX_WAITING, Terminal } from "../../src/telemetry/terminal.ts";

/** An output that takes bytes when it is told to. */
class Reader {
  text = "";
  isReading = true;
  failures: string[] = [];
  error: Error | undefined;
  #wake = () => {};

  readonly terminal = new Terminal({
    describeLoss: (count) => `lost ${count}`,
    onFailure: (reason) => void this.failures.push(reason),
    output: {
      write: async (bytes) => {
        while (!this.isReading) await new Promise<void>((resolve) => this.#wake = resolve);
        return this.#take(bytes);
      },
      writeSync: (bytes) => this.#take(bytes),
    },
  });

  read(): void {
    this.isReading = true;
    this.#wake();
  }

  #take(bytes: Uint8Array): number {
    if (this.error !== undefined) throw this.error;
    // No more than half at once.
    const some = bytes.subarray(0, Math.ceil(bytes.length / 2));
    this.text += new TextDecoder().decode(some);
    return some.length;
  }
}

Deno.test("keeps the order of lines, over many writes", async () => {
  const reader = new Reader();
  const lines = Array.from({ length: 500 }, (_, number) => `line ${number}`);
  for (const [number, line] of lines.entries()) {
    reader.terminal.write(line);
    if (number % 7 === 0) await Promise.resolve();
  }
  await reader.terminal.finish();
  assert.equal(reader.text, lines.map((line) => line + "\n").join(""));
  assert.equal(reader.terminal.lost, 0);
});

Deno.test("holds so much for a reader that does not read, counts the rest, and says so behind what it held", async () => {
  const reader = new Reader();
  reader.isReading = false;
  const line = "x".repeat(1024);
  const held = MAX_WAITING / line.length;
  for (let number = 0; number < held; number++) reader.terminal.write(line);
  assert.equal(reader.terminal.lost, 0, "exactly at the limit");
  for (let number = 0; number < 3; number++) reader.terminal.write(line);
  assert.equal(reader.terminal.lost, 3);
  assert.deepEqual(reader.failures, ["it is not read"], "once per outage");
  reader.read();
  await reader.terminal.finish();
  reader.terminal.write("again");
  await reader.terminal.finish();
  const lines = reader.text.trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-2), lines.at(-1)], [held + 2, "lost 3", "again"]);
});

Deno.test("a line that is lost while others are written is told of in the next write", async () => {
  const reader = new Reader();
  reader.error = new Error("Broken pipe");
  reader.terminal.write("one");
  await reader.terminal.finish();
  reader.terminal.write("two");
  await reader.terminal.finish();
  assert.deepEqual([reader.terminal.lost, reader.failures, reader.text], [2, ["Broken pipe"], ""]);
  reader.error = undefined;
  reader.terminal.write("three");
  await reader.terminal.finish();
  assert.equal(reader.text, "three\nlost 2\n");
});

Deno.test("the end waits for a reader a while only, and a synchronous one not at all", async () => {
  const reader = new Reader();
  reader.isReading = false;
  reader.terminal.write("one");
  await reader.terminal.finish();
  reader.terminal.write("two");
  reader.terminal.flush();
  assert.equal(reader.text, "");
  reader.read();
  await reader.terminal.finish();
  assert.equal(reader.text, "one\ntwo\n");
});

Deno.test("writes synchronously what was logged in the same turn", () => {
  const reader = new Reader();
  reader.terminal.write("one");
  reader.terminal.write("two");
  reader.terminal.flush();
  assert.equal(reader.text, "one\ntwo\n");
});
