// The chain of a log file: what each record refers to, across rotation, restarts, full disks and crashes.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { StartError } from "../../src/core/errors.ts";
import { GENESIS } from "../../src/telemetry/chain.ts";
import { checkChain } from "../../src/telemetry/chain_check.ts";
import { type FileSink, type LogFile, openFileSink } from "../../src/telemetry/file_sink.ts";

/** A folder with one chained log file in it, on a disk that can be full. */
class Folder {
  readonly path = Deno.makeTempDirSync();
  readonly file = `${this.path}/errors.log`;
  room = Infinity;

  open(options: { maxSize?: number; maxFiles?: number } = {}): FileSink {
    return openFileSink({
      path: this.file,
      chain: true,
      describeLoss: (count) => JSON.stringify({ lost: count }),
      onFailure: () => {},
      open: (path) => this.#open(path),
      ...options,
    });
  }

  /** Writes these records one by one and ends the process, as it were. */
  write(numbers: readonly number[], options?: { maxSize?: number; maxFiles?: number }): void {
    const sink = this.open(options);
    for (const number of numbers) {
      sink.write(JSON.stringify({ number, text: "zwölf" }));
      sink.flush();
    }
    sink.close();
  }

  check() {
    const names = [...Deno.readDirSync(this.path)].map(({ name }) => name);
    return checkChain(names.map((name) => ({ name, bytes: Deno.readFileSync(`${this.path}/${name}`) })));
  }

  /** How many records are intact, over all files. */
  get intact(): number {
    const check = this.check();
    assert.ok(check.ok, JSON.stringify(check));
    return check.records;
  }

  get text(): string {
    return Deno.readTextFileSync(this.file);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }

  #open(path: string): LogFile {
    const file = Deno.openSync(path, { append: true, create: true });
    return {
      statSync: () => file.statSync(),
      close: () => file.close(),
      writeSync: (bytes: Uint8Array) => {
        if (this.room === 0) throw new Error("no space left on device");
        const count = file.writeSync(bytes.subarray(0, Math.min(this.room, bytes.length)));
        this.room -= count;
        return count;
      },
    };
  }
}

Deno.test("each record begins with the SHA-256 of the line before, the very first with zeros", () => {
  using folder = new Folder();
  folder.write([1, 2, 3]);
  const lines = folder.text.split("\n").slice(0, -1);
  assert.equal(lines.length, 3);
  let prev = GENESIS;
  for (const [index, line] of lines.entries()) {
    assert.equal(line, `{"prev":"${prev}","number":${index + 1},"text":"zwölf"}`);
    prev = createHash("sha256").update(line).digest("hex");
  }
});

Deno.test("the chain goes on after a restart, with one write or many", () => {
  using folder = new Folder();
  folder.write([1, 2]);
  folder.write([3]);
  const sink = folder.open();
  for (let number = 4; number < 9; number++) sink.write(JSON.stringify({ number }));
  sink.close();
  assert.equal(folder.intact, 8);
});

Deno.test("the chain goes on over rotated files, and in a new process right after a rotation", () => {
  using folder = new Folder();
  folder.write([1, 2, 3, 4, 5, 6, 7], { maxSize: 250 });
  assert.ok([...Deno.readDirSync(folder.path)].length > 2);
  assert.equal(folder.intact, 7);
  Deno.renameSync(`${folder.file}.1`, `${folder.path}/kept`);
  Deno.renameSync(folder.file, `${folder.file}.1`);
  folder.write([8]);
  assert.equal(folder.intact, 8);
});

Deno.test("files that rotation has removed are missed at the start only", () => {
  using folder = new Folder();
  folder.write(Array.from({ length: 20 }, (_, number) => number), { maxSize: 250, maxFiles: 2 });
  const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["errors.log", "errors.log.1", "errors.log.2"]);
  const check = folder.check();
  assert.ok(check.ok);
  assert.equal(check.isFromStart, false);
});

Deno.test("the chain stays whole at every size of the disk, and through a restart after it", () => {
  const whole = 3 * 106;
  for (let room = 0; room <= whole + 2; room++) {
    for (const isRestarted of [false, true]) {
      using folder = new Folder();
      folder.write([0]);
      folder.room = room;
      const sink = folder.open();
      for (const number of [1, 2, 3]) sink.write(JSON.stringify({ number, text: "zwölf" }));
      sink.flush();
      if (isRestarted) {
        sink.close();
        folder.room = Infinity;
        folder.write([4]);
      } else {
        folder.room = Infinity;
        sink.write(JSON.stringify({ number: 4 }));
        sink.close();
      }
      const check = folder.check();
      assert.ok(check.ok, `room for ${room} bytes, restarted: ${isRestarted}: ${JSON.stringify(check)}`);
      assert.match(folder.text, /"number":4/);
    }
  }
});

Deno.test("a first record that a crash has cut off is covered by the next one", () => {
  using folder = new Folder();
  folder.room = 30;
  folder.write([1]);
  folder.room = Infinity;
  folder.write([2]);
  assert.equal(folder.intact, 1);
  Deno.writeTextFileSync(folder.file, folder.text.replace('{"prev"', '{"preV"'));
  assert.equal(folder.check().ok, false);
});

Deno.test("refuses to continue a file that ends without a chain", () => {
  for (const text of ["old line\n", '{"time":"x"}\n', "one\ntwo"]) {
    using folder = new Folder();
    Deno.writeTextFileSync(folder.file, text);
    assert.throws(() => folder.open(), (error: Error) => {
      assert.ok(error instanceof StartError);
      assert.match(error.message, /^Cannot continue the log ".*": it ends without a chain/);
      return true;
    });
    assert.equal(folder.text, text);
  }
});
