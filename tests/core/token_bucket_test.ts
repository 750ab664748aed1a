// The token bucket on a manual clock.

import assert from "node:assert/strict";
import fc from "fast-check";
import { TokenBucket } from "../../src/core/token_bucket.ts";

Deno.test("gives a burst at once, then one token in each share of a second", () => {
  const bucket = new TokenBucket(10);
  for (let i = 0; i < 10; i++) assert.equal(bucket.take(1, 0), true);
  assert.equal(bucket.take(1, 0), false);
  assert.equal(bucket.take(1, 99), false);
  assert.equal(bucket.take(1, 100), true);
  assert.equal(bucket.take(1, 100), false);
});

Deno.test("holds no more than the burst however long it rests", () => {
  const bucket = new TokenBucket(10, 3);
  assert.equal(bucket.take(4, 0), false);
  assert.equal(bucket.take(3, 0), true);
  assert.equal(bucket.take(4, 1_000_000), false);
  assert.equal(bucket.take(3, 1_000_000), true);
});

Deno.test("a refused take costs nothing", () => {
  const bucket = new TokenBucket(10);
  assert.equal(bucket.take(11, 0), false);
  assert.equal(bucket.take(10, 0), true);
});

Deno.test("spending within the burst costs no time, and one token more costs its share", () => {
  const bucket = new TokenBucket(1000);
  assert.equal(bucket.spend(999, 0), 0);
  assert.equal(bucket.spend(1, 0), 0);
  assert.equal(bucket.spend(1, 0), 1);
});

Deno.test("more than the burst passes after a time, and the debt is paid exactly then", () => {
  const bucket = new TokenBucket(100);
  assert.equal(bucket.spend(350, 0), 2500);
  assert.equal(bucket.take(1, 2509), false);
  assert.equal(bucket.take(1, 2510), true);
});

Deno.test("a clock that goes back gives and takes nothing", () => {
  const bucket = new TokenBucket(10);
  assert.equal(bucket.take(10, 1000), true);
  assert.equal(bucket.take(1, 0), false);
  assert.equal(bucket.available(0), 0);
  assert.equal(bucket.take(1, 1099), false);
  assert.equal(bucket.take(1, 1100), true);
});

Deno.test("a rate of infinity is no limit", () => {
  const bucket = new TokenBucket(Infinity);
  for (const nowMs of [0, 0, 1]) {
    assert.equal(bucket.take(1e15, nowMs), true);
    assert.equal(bucket.spend(1e15, nowMs), 0);
    assert.equal(bucket.isFull(nowMs), true);
  }
});

Deno.test("is full at first and again when all has come back", () => {
  const bucket = new TokenBucket(10);
  assert.equal(bucket.isFull(0), true);
  bucket.take(5, 0);
  assert.equal(bucket.isFull(499), false);
  assert.equal(bucket.isFull(500), true);
});

Deno.test("who waits as told never gets more than the burst and the rate allow", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 50 });
  fc.assert(fc.property(sizes, (counts) => {
    const bucket = new TokenBucket(1000);
    let nowMs = 0;
    let spent = 0;
    for (const count of counts) {
      nowMs += bucket.spend(count, nowMs);
      spent += count;
      assert.ok(spent <= 1000 + nowMs + 1e-6);
    }
  }));
});
