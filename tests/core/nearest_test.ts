// What somebody may have meant: the nearest name, or none if all are too far away.

import assert from "node:assert/strict";
import { findNearest } from "../../src/core/nearest.ts";

const NAMES = ["echo", "echo-port", "secure-port"];

Deno.test("finds the name that takes the fewest changes, and the first of several", () => {
  assert.equal(findNearest(NAMES, "echo-prt"), "echo-port");
  assert.equal(findNearest(NAMES, "ecure-port"), "secure-port");
  assert.equal(findNearest(["ab", "cb"], "b"), "ab");
  assert.equal(findNearest([], "b"), undefined);
});

Deno.test("finds nothing that is further away than it may be", () => {
  assert.equal(findNearest(NAMES, "ehco", 2), "echo");
  assert.equal(findNearest(NAMES, "ehco", 1), undefined);
  assert.equal(findNearest(NAMES, "echo", 0), "echo");
});

Deno.test("is not slowed down by a long text", () => {
  assert.equal(findNearest(NAMES, `${"x".repeat(1_000_000)}`, 3), undefined);
});
