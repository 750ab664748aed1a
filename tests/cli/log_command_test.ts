// The command `log verify`, on a log that the server itself wrote.

import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { type Program, run, startServer } from "../support/process.ts";

const CHAINED = ["--log-format", "json", "--ready-lines", "on", "--log-chain", "--log-file", "chained.log"];

/** Breaks a rule so often, which writes as many records of level error. */
async function breakRules(program: Program, times: number): Promise<void> {
  const port = await program.port("echo");
  for (let i = 0; i < times; i++) {
    const client = await RawClient.connect({ port });
    await client.send(Uint8Array.of(0x81, 0x00));
    assert.equal((await client.nextClose()).code, 1002);
    client.close();
  }
}

Deno.test("tells whether the log of a server is as it was written, over a SIGHUP and a restart", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (let round = 0; round < 2; round++) {
      await using program = startServer(CHAINED, { folder });
      await breakRules(program, 2);
      if (round === 1) {
        Deno.renameSync(`${folder}/chained.log`, `${folder}/older.log`);
        program.signal("SIGHUP");
        await program.logged(/keys\.reloaded/);
        await breakRules(program, 1);
      }
      program.signal("SIGTERM");
      assert.equal((await program.result()).code, 0);
    }
    const sound = await run(["log", "verify", "chained.log", "older.log"], { folder });
    assert.match(
      sound.stdout,
      /^Intact: 5 records, from the first record on; .* [0-9a-f]{64}\n$/,
      sound.stderr,
    );
    assert.equal(sound.code, 0);

    const text = Deno.readTextFileSync(`${folder}/older.log`);
    Deno.writeTextFileSync(`${folder}/older.log`, text.replace('"code":1002', '"code":1000'));
    const changed = await run(["log", "verify", "chained.log", "older.log"], { folder });
    assert.match(changed.stdout, /^Not intact: line 2 of "older\.log": .*line 1 of "older\.log".*\n$/);
    assert.equal(changed.code, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("needs a file that is there, and a format that can be chained", async () => {
  const [missing, none, text] = await Promise.all([
    run(["log", "verify", "missing.log"]),
    run(["log", "verify"]),
    startServerAndEnd(["--log-chain"]),
  ]);
  assert.deepEqual([missing.code, missing.stderr], [1, 'Cannot read "missing.log": it does not exist\n']);
  assert.equal(none.code, 2);
  assert.equal(text.code, 2);
  assert.match(text.stderr, /^Cannot use --log-chain with text: it needs --log-format json\n$/);
});

async function startServerAndEnd(args: readonly string[]) {
  await using program = startServer(args);
  return await program.result();
}
