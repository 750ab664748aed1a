// The time at Redis, estimated from its answers.

import assert from "node:assert/strict";
import { RedisClock } from "../../src/redis/redis_clock.ts";

Deno.test("it is never later at Redis than is said, however slow its answers are", () => {
  const clock = new RedisClock();
  const ahead = 1_700_000_000_000;
  let own = 1000;
  for (const [there, back] of [[5, 200], [200, 5], [1, 1], [0, 249], [100, 100]] as const) {
    clock.observe(Math.floor(ahead + own + there), own, own + there + back);
    own += there + back;
    assert.ok(clock.earliest(own) <= ahead + own, `after ${there} and ${back} ms`);
  }
  // And not much earlier, because of the best of the answers.
  assert.ok(clock.earliest(own) >= ahead + own - 5);
});

Deno.test("a clock that was set is known with the next answer, in both directions", () => {
  const clock = new RedisClock();
  let own = 0;
  for (const ahead of [1_000_000, 4_600_000, 1_000_000]) {
    clock.observe(ahead + own + 1, own, own + 2);
    own += 2;
    assert.ok(Math.abs(clock.earliest(own) - (ahead + own)) <= 2);
  }
});

Deno.test("what was known long ago counts less", () => {
  const clock = new RedisClock();
  clock.observe(1_000_001, 0, 2);
  // A day later, with a clock that goes a little slower, and answers that are slow.
  const own = 86_400_000;
  clock.observe(1_000_000 + own * 0.9999 + 100, own, own + 200);
  assert.ok(clock.earliest(own + 200) <= 1_000_000 + (own + 200) * 0.9999 + 1);
});

Deno.test("it tells by how much the clock of Redis was set ahead, and that of no other answer", () => {
  const clock = new RedisClock();
  assert.equal(clock.observe(1_000_000, 0, 2), 0);
  assert.equal(clock.observe(1_000_100, 100, 102), 0);
  // An answer that took long says little, and nothing else.
  assert.equal(clock.observe(1_005_000, 200, 6000), 0);
  const aheadMs = clock.observe(4_606_100, 6100, 6102);
  assert.ok(aheadMs > 3_599_900 && aheadMs <= 3_600_000, `${aheadMs} ms`);
  // Back again, after which nothing ends too early.
  assert.equal(clock.observe(1_006_200, 6200, 6202), 0);
  assert.equal(clock.observe(1_006_300, 6300, 6302), 0);
});
