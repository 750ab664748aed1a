// The requests of many sessions at once do not hold the event loop: between two batches it serves others.
import assert from "node:assert/strict";
import { BatchTurns } from "../../src/endpoints/secure/batch_turns.ts";
import { SessionBench } from "./session_harness.ts";

/** Counts turns of the event loop until it is stopped. */
class LoopTurns {
  count = 0;
  #next = setImmediate(() => this.#turn());

  #turn(): void {
    this.count++;
    this.#next = setImmediate(() => this.#turn());
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next);
  }
}

/** Holds the loop. */
function work(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

Deno.test("one batch begins in a turn of the event loop, in the order of asking", async () => {
  using turns = new LoopTurns();
  const queue = new BatchTurns();
  const begun: [number, number][] = [];
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    await queue.next();
    begun.push([i, turns.count]);
  }));
  assert.deepEqual(begun.map(([i]) => i), Array.from({ length: 20 }, (_, i) => i));
  assert.equal(new Set(begun.map(([, turn]) => turn)).size, 20);
});

Deno.test("after a long one the loop belongs to others for as long, and nobody waits for one that waits", async () => {
  const queue = new BatchTurns();
  const endedMs: number[] = [];
  const begunMs: number[] = [];
  const never = new Promise<void>(() => {});
  void queue.next().then(() => never);
  await Promise.all(Array.from({ length: 3 }, async () => {
    await queue.next();
    begunMs.push(performance.now());
    work(20);
    endedMs.push(performance.now());
  }));
  for (const i of [1, 2]) {
    assert.ok(begunMs[i]! - endedMs[i - 1]! >= 19, `${begunMs[i]! - endedMs[i - 1]!} ms`);
  }
});

Deno.test("the batches of sessions take turns, a single request does not", async () => {
  using turns = new LoopTurns();
  const bench = new SessionBench({ maxSessionsPerUser: Infinity });
  const sessions = Array.from({ length: 8 }, () => bench.open({}, {}));
  const batch = JSON.stringify([{ jsonrpc: "2.0", method: "whoami" }, { jsonrpc: "2.0", method: "whoami" }]);
  const answeredIn = await Promise.all(sessions.map(async ({ session }) => {
    await session.message(batch);
    return turns.count;
  }));
  assert.equal(new Set(answeredIn).size, 8);
  const before = turns.count;
  await sessions[0]!.session.message(JSON.stringify({ jsonrpc: "2.0", method: "whoami" }));
  assert.equal(turns.count, before);
});
