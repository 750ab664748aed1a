// The error for work that grows faster than its input; and every shape can be made and worked on.

import assert from "node:assert/strict";
import { checkGrowth, SHAPES } from "../../scripts/fuzz/growth.ts";

/** A shape whose work takes as many milliseconds as `cost` says. */
function check(cost: (size: number) => number): Promise<number> {
  const shape = { name: "shape", mostSize: 1000, make: (size: number) => () => cost(size) };
  return checkGrowth(shape, { patienceMs: 0, stopwatch: (work) => work() as number });
}

Deno.test("lets pass what is linear, what is faster, and what is too short to compare", async () => {
  assert.equal(await check((size) => size / 100), 10);
  assert.equal(await check((size) => size / 100 * Math.log2(size) / 10), 10 * Math.log2(1000) / 10);
  assert.equal(await check(() => 5), 5);
  assert.equal(await check((size) => (size / 2000) ** 2), 0.25);
});

Deno.test("refuses what is quadratic, and what takes too long", async () => {
  await assert.rejects(check((size) => (size / 500) ** 2), {
    message: "shape: 8 times the size took 64.0 times as long (4.0 ms)",
  });
  await assert.rejects(check((size) => size / 40), { message: "shape: 25.0 ms, at most 20" });
});

Deno.test("each shape has a name of its own, and an input that its work takes", async () => {
  assert.equal(new Set(SHAPES.map(({ name }) => name)).size, SHAPES.length);
  for (const { make } of SHAPES) await make(400)();
});
