// Tests of timers: far and infinite times, cancelling, and the machine's own clock.
import assert from "node:assert/strict";
import {
  DATE_CHECK_INTERVAL_MS,
  MAX_DELAY_MS,
  ringAt,
  SYSTEM_CLOCK,
} from "../../src/endpoints/sessions/clock.ts";
import { ManualClock, within } from "./harness.ts";

Deno.test("rings once at its time, not before it", () => {
  const clock = new ManualClock();
  let rings = 0;
  ringAt(clock, clock.now() + 1000, () => rings++);
  clock.advance(999);
  assert.equal(rings, 0);
  clock.advance(1);
  assert.equal(rings, 1);
  clock.advance(5000);
  assert.equal(rings, 1);
});

for (const extraMs of [-1, 0, 1]) {
  Deno.test(`rings at the longest native delay and ${extraMs} ms`, () => {
    const clock = new ManualClock();
    let rings = 0;
    ringAt(clock, clock.now() + MAX_DELAY_MS + extraMs, () => rings++);
    clock.advance(MAX_DELAY_MS - 1);
    assert.equal(rings, extraMs < 0 ? 1 : 0);
    clock.advance(1);
    assert.equal(rings, extraMs <= 0 ? 1 : 0);
    clock.advance(1);
    assert.equal(rings, 1);
    assert.equal(clock.pending, 0);
  });
}

Deno.test("never rings at an infinite time", () => {
  const clock = new ManualClock();
  const cancel = ringAt(clock, Infinity, () => assert.fail("rang"));
  for (let turn = 0; turn < 3; turn++) clock.advance(MAX_DELAY_MS);
  cancel();
  assert.equal(clock.pending, 0);
});

Deno.test("a clock that jumps is noticed within a minute", () => {
  const clock = new ManualClock();
  let rings = 0;
  ringAt(clock, clock.now() + 3_600_000, () => rings++);
  clock.jump(3_600_000);
  assert.equal(rings, 0);
  clock.advance(DATE_CHECK_INTERVAL_MS);
  assert.equal(rings, 1);
  ringAt(clock, clock.now() + DATE_CHECK_INTERVAL_MS, () => rings++);
  clock.jump(-3_600_000);
  clock.advance(DATE_CHECK_INTERVAL_MS);
  assert.equal(rings, 1);
  clock.advance(3_600_000);
  assert.equal(rings, 2);
});

Deno.test("a time that is over when it is noticed does not ring", () => {
  const clock = new ManualClock();
  const at = clock.now() + 1000;
  for (const [lateMs, rings] of [[0, 1], [999, 1], [1000, 0], [1e6, 0]] as const) {
    let count = 0;
    const cancel = ringAt(clock, at, () => count++, at + 1000);
    clock.jump(at + lateMs - clock.now());
    clock.advance(0);
    cancel();
    ringAt(clock, at, () => count++, at + 1000);
    clock.advance(0);
    assert.equal(count, rings, `${lateMs} ms late`);
    clock.jump(at - 1000 - clock.now());
  }
});

Deno.test("a cancelled timer does not ring, also after it was set anew", () => {
  const clock = new ManualClock();
  const cancel = ringAt(clock, clock.now() + 2 * MAX_DELAY_MS, () => assert.fail("rang"));
  clock.advance(MAX_DELAY_MS);
  cancel();
  cancel();
  clock.advance(MAX_DELAY_MS);
  assert.equal(clock.pending, 0);
});

Deno.test("a time in the past rings on the machine's clock, but not at once", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isArmed = false;
  ringAt(SYSTEM_CLOCK, 0, () => isArmed && resolve());
  isArmed = true;
  await within("the timer", promise);
  SYSTEM_CLOCK.after(MAX_DELAY_MS, () => assert.fail("rang"))();
});
