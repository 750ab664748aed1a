// The file sink alone: when it writes, and what it does about writes that fail or stop half way.

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
    // "first" was lost in any case, and "second" unless all of it got out.
    assert.equal(sink.lost, kept.includes("second\n") ? 1 : 2);
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

/** A folder with a log file that is rotated, and what went wrong. */
class RotatedFolder {
  readonly path = Deno.makeTempDirSync();
  readonly file = `${this.path}/log`;
  readonly failures: string[] = [];

  open(maxSize: number, maxFiles = 2) {
    return openFileSink({
      path: this.file,
      maxSize,
      maxFiles,
      describeLoss: (count) => `lost ${count}`,
      onFailure: (_, what) => void this.failures.push(what),
    });
  }

  /** What is in each file, by name. */
  get files(): Record<string, string> {
    const names = [...Deno.readDirSync(this.path)].filter(({ isFile }) => isFile).map(({ name }) => name);
    return Object.fromEntries(
      names.sort().map((name) => [name, Deno.readTextFileSync(`${this.path}/${name}`)]),
    );
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("rotates just before a line would take the file over its size", () => {
  for (const [maxSize, files] of [[7, 2], [8, 1], [9, 1]] as const) {
    using folder = new RotatedFolder();
    const sink = folder.open(maxSize);
    sink.write("one");
    sink.flush();
    sink.write("two");
    sink.close();
    assert.equal(Object.keys(folder.files).length, files, `at ${maxSize} bytes`);
  }
});

Deno.test("rotates within one write, keeps so many files, and counts the size of an old file", () => {
  using folder = new RotatedFolder();
  Deno.writeTextFileSync(folder.file, "0\n1\n");
  const sink = folder.open(4);
  for (let number = 2; number < 9; number++) sink.write(String(number));
  sink.close();
  assert.deepEqual(folder.files, { "log": "8\n", "log.1": "6\n7\n", "log.2": "4\n5\n" });
});

Deno.test("a line over the size has a file of its own", () => {
  using folder = new RotatedFolder();
  const sink = folder.open(4);
  for (const line of ["a", "long line", "b"]) sink.write(line);
  sink.close();
  assert.deepEqual(folder.files, { "log": "b\n", "log.1": "long line\n", "log.2": "a\n" });
});

Deno.test("grows on and loses nothing when it can't rotate, says so once, and rotates when it can", () => {
  using folder = new RotatedFolder();
  // A folder of that name can't be replaced by a file, and has no free number before it.
  Deno.mkdirSync(`${folder.file}.1`);
  const sink = folder.open(4, 1);
  for (let number = 0; number < 6; number++) {
    sink.write(String(number));
    sink.flush();
  }
  assert.deepEqual(folder.files, { "log": "0\n1\n2\n3\n4\n5\n" });
  assert.deepEqual(folder.failures, ["rotate"]);
  Deno.removeSync(`${folder.file}.1`);
  sink.write("6");
  sink.close();
  assert.deepEqual(folder.files, { "log": "6\n", "log.1": "0\n1\n2\n3\n4\n5\n" });
});

Deno.test("a rotation that fails again and again pushes no old file out", () => {
  using folder = new RotatedFolder();
  Deno.writeTextFileSync(`${folder.file}.1`, "old\n");
  Deno.writeTextFileSync(folder.file, "0\n1\n");
  Deno.mkdirSync(`${folder.file}.2`);
  const sink = folder.open(4, 2);
  for (let number = 2; number < 9; number++) {
    sink.write(String(number));
    sink.flush();
  }
  sink.close();
  assert.deepEqual(folder.files, { "log": "0\n1\n2\n3\n4\n5\n6\n7\n8\n", "log.1": "old\n" });
});

Deno.test("reopens the file by its name, and keeps the old one while there is no new one", () => {
  using folder = new RotatedFolder();
  const sink = folder.open(Infinity);
  sink.write("one");
  Deno.renameSync(folder.file, `${folder.path}/moved`);
  sink.reopen();
  sink.write("two");
  sink.flush();
  Deno.renameSync(folder.file, `${folder.path}/moved again`);
  sink.reopen();
  // Though nothing was written.
  assert.equal(Deno.statSync(folder.file).size, 0);
  sink.close();
  sink.reopen();
  // The first flush follows the name, so what was held back at that time is in the new file.
  assert.deepEqual(folder.files, { "log": "", "moved": "", "moved again": "one\ntwo\n" });
});

Deno.test("begins with a line break when the file ends in the middle of a line", () => {
  using folder = new RotatedFolder();
  Deno.writeTextFileSync(folder.file, "whole\ncut o");
  const sink = folder.open(Infinity);
  sink.write("next");
  sink.close();
  assert.deepEqual(folder.files, { "log": "whole\ncut o\nnext\n" });
});

Deno.test("a slow disk is written to for a small part of the time; what can't be held back is counted", () => {
  using disk = new SmallDisk();
  disk.onWrite = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  const sink = disk.openSink();
  const line = "x".repeat(1023);
  for (let number = 0; number < 1000; number++) sink.write(line);
  assert.equal(disk.calls, 1, "one write of the first 64 KiB, then a rest");
  disk.onWrite = () => {};
  sink.close();
  const kept = disk.text.split("\n").filter((text) => text === line).length;
  assert.ok(sink.lost > 0);
  assert.equal(kept + sink.lost, 1000);
  assert.match(disk.text, new RegExp(`^lost ${sink.lost}$`, "m"));
  assert.equal(disk.failures.length, 1);
});

Deno.test(
  "refuses what somebody would have to read first",
  { ignore: Deno.build.os === "windows" },
  async () => {
    const folder = Deno.makeTempDirSync();
    const path = `${folder}/fifo`;
    await new Deno.Command("mkfifo", { args: [path] }).output();
    const options = { path, describeLoss: String, onFailure: () => {} };
    assert.throws(() => openFileSink(options), /^StartError: Cannot open log file .*: it is a pipe/);
    Deno.removeSync(folder, { recursive: true });
  },
);
