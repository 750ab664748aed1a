// The file sink alone: when it writes, and what it makes of writes that fail or stop half way.

import assert from "node:assert/strict";
import {
  BUFFER_SIZE_BYTES,
  FLUSH_AFTER_MS,
  type LogFile,
  openFileSink,
} from "../../src/telemetry/file_sink.ts";

/** A real file that takes only so many bytes, and gives those of them that fit. */
class SmallDisk {
  readonly path: string;
  room = Infinity;
  /** How many bytes one call takes at most. */
  chunk = Infinity;
  calls = 0;
  failures: unknown[] = [];
  onWrite = () => {};

  constructor() {
    this.path = Deno.makeTempFileSync();
  }

  openSink() {
    return openFileSink({
      path: this.path,
      describeLoss: (count) => `lost ${count}`,
      onFailure: (error) => void this.failures.push(error),
      open: (path) => this.#open(path),
    });
  }

  get text(): string {
    return Deno.readTextFileSync(this.path);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }

  #open(path: string): LogFile {
    const file = Deno.openSync(path, { append: true });
    return {
      statSync: () => file.statSync(),
      close: () => file.close(),
      writeSync: (bytes: Uint8Array) => {
        this.calls++;
        if (this.room === 0) throw new Error("no space left on device");
        const count = file.writeSync(bytes.subarray(0, Math.min(this.room, this.chunk, bytes.length)));
        this.room -= count;
        this.onWrite();
        return count;
      },
    };
  }
}

Deno.test("holds lines back until the buffer is full", () => {
  for (
    const [size, calls] of [[BUFFER_SIZE_BYTES - 1, 0], [BUFFER_SIZE_BYTES, 1], [
      BUFFER_SIZE_BYTES + 1,
      1,
    ]] as const
  ) {
    using disk = new SmallDisk();
    const sink = disk.openSink();
    const half = "ü".repeat(BUFFER_SIZE_BYTES / 4 - 1); // with its line break, one byte less than half the buffer
    sink.write(half);
    sink.write("a".repeat(size - (BUFFER_SIZE_BYTES / 2 - 1) - 1));
    assert.equal(disk.calls, calls, `${size} bytes`);
    sink.close();
    assert.equal(new TextEncoder().encode(disk.text).length, size);
  }
});

Deno.test("writes by itself when lines have waited long enough", async () => {
  using disk = new SmallDisk();
  const sink = disk.openSink();
  await new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(
      () => reject(new Error("awaited a write by the timer")),
      100 * FLUSH_AFTER_MS,
    );
    disk.onWrite = () => {
      clearTimeout(deadline);
      resolve();
    };
    sink.write("one");
    sink.write("two");
  });
  assert.equal(disk.text, "one\ntwo\n");
  assert.equal(disk.calls, 1);
  sink.close();
});

Deno.test("goes on after a short write", () => {
  using disk = new SmallDisk();
  disk.chunk = 1;
  const sink = disk.openSink();
  sink.write("one");
  sink.write("zwölf");
  sink.close();
  assert.equal(disk.text, "one\nzwölf\n");
});

Deno.test("loses exactly the lines that did not fit, at every size of the disk", () => {
  const lines = ["first", "second", "third"];
  const whole = "first\nsecond\nthird\n";
  for (let room = 0; room <= whole.length; room++) {
    using disk = new SmallDisk();
    const sink = disk.openSink();
    disk.room = room;
    for (const line of lines) sink.write(line);
    sink.flush();
    const kept = whole.slice(0, room);
    assert.equal(disk.text, kept);

    disk.room = Infinity;
    sink.write("again");
    sink.close();
    const complete = kept.split("\n").length - 1;
    const repair = kept === "" || kept.endsWith("\n") ? "" : "\n";
    const report = complete === 3 ? "" : `lost ${3 - complete}\n`;
    assert.equal(disk.text, `${kept}${repair}${report}again\n`, `room for ${room} bytes`);
    assert.equal(disk.failures.length, complete === 3 ? 0 : 1);
  }
});

Deno.test("keeps the count right when the report itself does not fit, at every size of the disk", () => {
  const report = "\nlost 1\nsecond\n";
  for (let room = 0; room <= report.length; room++) {
    using disk = new SmallDisk();
    const sink = disk.openSink();
    disk.room = 3;
    sink.write("first");
    sink.flush();
    disk.room = room;
    sink.write("second");
    sink.flush();
    disk.room = Infinity;
    sink.write("third");
    sink.close();

    const kept = report.slice(0, room);
    const repair = room === 0 || !kept.endsWith("\n") ? "\n" : "";
    const lost = kept.includes("second\n") ? 0 : kept.includes("lost 1\n") ? 1 : 2;
    const tail = lost === 0 ? "third\n" : `lost ${lost}\nthird\n`;
    assert.equal(disk.text, `fir${kept}${repair}${tail}`, `room for ${room} bytes`);
  }
});

Deno.test("tells about a failure once per outage and reports the loss when it is closed", () => {
  using disk = new SmallDisk();
  const sink = disk.openSink();
  disk.room = 0;
  for (const line of ["a", "b", "c"]) {
    sink.write(line);
    sink.flush();
  }
  assert.equal(disk.failures.length, 1);
  disk.room = Infinity;
  sink.close();
  assert.equal(disk.text, "lost 3\n");
  assert.equal(disk.failures.length, 1);
});
