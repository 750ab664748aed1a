// The order in which TLS handshakes are computed.

import assert from "node:assert/strict";
import { TlsTurns } from "../../src/firewall/tls/tls_turns.ts";

/** What takes so long that the loop belongs to others for a time that can be seen. */
function work(): void {
  const endMs = performance.now() + 5;
  while (performance.now() < endMs);
}

Deno.test("runs at once if nobody waits, then one after the other, each after a rest", async () => {
  const turns = new TlsTurns();
  const order: string[] = [];
  const ended = Promise.withResolvers<number>();
  const startMs = performance.now();
  turns.take(() => (work(), order.push("first")));
  assert.deepEqual(order, ["first"]);
  turns.take(() => (work(), order.push("second")));
  const leave = turns.take(() => order.push("who has left"));
  turns.take(() => (order.push("third"), ended.resolve(performance.now())));
  leave();
  assert.deepEqual(order, ["first"]);
  // Twice 5 ms of work, and as much of rest after each; either timer may come a part of a millisecond early.
  assert.ok(await ended.promise - startMs > 18);
  assert.deepEqual(order, ["first", "second", "third"]);
});

Deno.test("others get on while many wait", async () => {
  const turns = new TlsTurns();
  let done = 0;
  const all = Promise.withResolvers<void>();
  for (let count = 0; count < 10; count++) turns.take(() => (work(), ++done === 10 && all.resolve()));
  assert.equal(done, 1);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(done < 10, "the loop turned before all had run");
  await all.promise;
});

Deno.test("goes on after all that waited have left", async () => {
  const turns = new TlsTurns();
  turns.take(work);
  turns.take(work)();
  const ran = Promise.withResolvers<void>();
  turns.take(() => ran.resolve());
  await ran.promise;
});
