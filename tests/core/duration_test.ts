// Durations: what is read, what is refused, and that writing loses nothing.

import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/core/duration.ts";

Deno.test("reads every unit and their combinations", () => {
  assert.equal(parseDuration("0s"), 0);
  assert.equal(parseDuration("1ms"), 1);
  assert.equal(parseDuration("5m"), 300_000);
  assert.equal(parseDuration("1h30m"), 5_400_000);
  assert.equal(parseDuration("1d2h3m4s5ms"), 93_784_005);
});

for (
  const text of [
    "",
    "s",
    "10",
    "-1s",
    "+1s",
    "1.5s",
    "1.5.2",
    "10S",
    "1s1s",
    "30m1h",
    "1h 30m",
    " 1s",
    "1s\n",
    "1e3s",
  ]
) {
  Deno.test(`refuses ${JSON.stringify(text)} as a duration`, () => {
    assert.equal(parseDuration(text), undefined);
  });
}

Deno.test("refuses a duration that a number cannot hold exactly", () => {
  assert.equal(parseDuration(`${Number.MAX_SAFE_INTEGER}ms`), Number.MAX_SAFE_INTEGER);
  assert.equal(parseDuration(`${Number.MAX_SAFE_INTEGER + 1}ms`), undefined);
  assert.equal(parseDuration(`${"9".repeat(400)}s`), undefined);
});

Deno.test("writes a duration with the largest units first", () => {
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(100), "100ms");
  assert.equal(formatDuration(900_000), "15m");
  assert.equal(formatDuration(5_400_000), "1h30m");
});

Deno.test("writes what has no exact form as it is", () => {
  assert.equal(formatDuration(1.5), "1.5ms");
  assert.equal(formatDuration(-1), "-1ms");
});

Deno.test("reads back every duration it wrote", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (ms) => parseDuration(formatDuration(ms)) === ms));
});
