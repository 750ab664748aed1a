// How files that settings name are read.

import assert from "node:assert/strict";
import { readRegularFile, readRegularTextFile, UnreadableFile } from "../../src/core/regular_file.ts";

const IS_WINDOWS = Deno.build.os === "windows";

Deno.test("reads files of all sizes up to the limit, and says how large one is that is larger", () => {
  const path = Deno.makeTempFileSync();
  for (const size of [0, 1, 4095, 4096, 4097, 10_000]) {
    const bytes = crypto.getRandomValues(new Uint8Array(size));
    Deno.writeFileSync(path, bytes);
    assert.deepEqual(readRegularFile(path, 10_000).bytes, bytes);
  }
  Deno.writeFileSync(path, new Uint8Array(10_001));
  assert.throws(() => readRegularFile(path, 10_000), /it is too large \(10001 bytes, at most 10000\)/);
  Deno.writeTextFileSync(path, "é");
  assert.equal(readRegularTextFile(path), "é");
  Deno.removeSync(path);
});

Deno.test("reads what has no size, such as a file of /proc", { ignore: Deno.build.os !== "linux" }, () => {
  assert.match(readRegularTextFile("/proc/self/status"), /^Name:/);
  assert.throws(() => readRegularFile("/proc/self/status", 10), /it is too large/);
});

Deno.test("opens neither a pipe nor a device, and says what is there", { ignore: IS_WINDOWS }, async () => {
  const folder = Deno.makeTempDirSync();
  await new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).output();
  Deno.symlinkSync("fifo", `${folder}/link`);
  for (
    const [path, why] of [
      [folder, /^it is a folder$/],
      [`${folder}/fifo`, /^it is not a regular file$/],
      [`${folder}/link`, /^it is not a regular file$/],
      ["/dev/zero", /^it is not a regular file$/],
      [`${folder}/missing`, /^it does not exist$/],
    ] as const
  ) {
    assert.throws(() => readRegularFile(path), (error) => {
      assert.ok(error instanceof UnreadableFile);
      assert.match(error.message, why);
      return true;
    });
  }
  Deno.removeSync(folder, { recursive: true });
});
