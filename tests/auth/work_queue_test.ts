// The queue of work, and the verifier that uses it against floods.

import assert from "node:assert/strict";
import { KeySet } from "../../src/auth/key_set.ts";
import { parseKeys } from "../../src/auth/key_text.ts";
import { createVerifier, MAX_VERIFICATIONS, MAX_WAITING_TOKENS } from "../../src/auth/token.ts";
import { WorkQueue } from "../../src/auth/work_queue.ts";
import { makeKey, makeToken, toJwk } from "./foreign.ts";

Deno.test("runs some at once, lets some wait in order and refuses the rest at once", async () => {
  const queue = new WorkQueue({ atOnce: 2, waiting: 3 });
  const started: number[] = [];
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<number>());
  const results = gates.map((gate, i) =>
    queue.run(() => {
      started.push(i);
      return gate.promise;
    })
  );
  assert.equal(results[5], undefined);
  assert.deepEqual(started, [0, 1]);
  gates[1]!.resolve(11);
  assert.equal(await results[1], 11);
  gates[2]!.resolve(12);
  assert.equal(await results[2], 12);
  gates[0]!.reject(new Error("failed"));
  await assert.rejects(results[0]!, /failed/);
  gates[3]!.resolve(13);
  gates[4]!.resolve(14);
  assert.deepEqual(await Promise.all([results[3], results[4]]), [13, 14]);
  assert.deepEqual(started, [0, 1, 2, 3, 4]);
  assert.equal(await queue.run(() => Promise.resolve(15)), 15);
});

Deno.test("never runs more at once than allowed, however work comes and ends", async () => {
  const queue = new WorkQueue({ atOnce: 2, waiting: 100 });
  let running = 0;
  let most = 0;
  const work = async (depth: number): Promise<void> => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    if (depth > 0) late.push(queue.run(() => work(depth - 1)));
  };
  const late: unknown[] = [];
  await Promise.all(Array.from({ length: 20 }, () => queue.run(() => work(3))));
  for (let i = 0; i < late.length; i++) await late[i];
  assert.equal(late.length, 60);
  assert.equal(most, 2);
});

Deno.test("a verifier takes a flood up to its limits and calls the rest busy", async () => {
  const key = makeKey("EdDSA");
  const read = await parseKeys(new TextEncoder().encode(JSON.stringify(toJwk(key.publicKey))));
  assert.ok(typeof read !== "string");
  const verifier = createVerifier(new KeySet(read.keys));
  const most = MAX_VERIFICATIONS + MAX_WAITING_TOKENS;
  const good = makeToken(key);
  const outcomes = await Promise.all(Array.from({ length: most + 1 }, () => verifier.verify(good)));
  assert.equal(outcomes.filter(({ ok }) => ok).length, most);
  assert.deepEqual(outcomes.at(-1), {
    ok: false,
    reason: "busy",
    detail: "too many tokens wait for verification",
  });
  assert.equal((await verifier.verify(good)).ok, true);
});
