// Unexpected faults: recorded with their stack, up to a limit.

import assert from "node:assert/strict";
import { Containment, QUIET_MS } from "../../src/telemetry/containment.ts";
import type { Log } from "../../src/telemetry/log.ts";

function withContainment() {
  const records: Record<string, unknown>[] = [];
  const clock = { nowMs: 0 };
  const log: Log = (event, fields = {}) => void records.push({ event, ...fields });
  return { records, clock, containment: new Containment(log, () => clock.nowMs) };
}

function throwOne(): Error {
  return new TypeError("Cannot do it:\n    at forged (evil.ts:1:1)");
}

Deno.test("a fault is told of once with its stack, and then every ten seconds at most with its count", () => {
  const { records, clock, containment } = withContainment();
  const fault = () => containment.record(throwOne());
  for (let i = 0; i < 1000; i++) assert.equal(fault(), i === 0);
  clock.nowMs = QUIET_MS - 1;
  assert.equal(fault(), false);
  clock.nowMs = QUIET_MS;
  assert.equal(fault(), true);
  assert.deepEqual(records.map(({ event, count }) => [event, count]), [
    ["process.unhandled", undefined],
    ["process.unhandled", 1001],
  ]);
  assert.match(String(records[0]!["error"]), /^TypeError: Cannot do it/);
  assert.match(String(records[0]!["stack"]), /throwOne.*containment_test\.ts/);
});

Deno.test("different faults are told apart, up to a number of them", () => {
  const { records, containment } = withContainment();
  for (let i = 0; i < 500; i++) {
    const error = new Error(String(i));
    error.stack = `Error\n    at place${i} (x.ts:1:1)`;
    containment.record(error);
  }
  assert.ok(records.length > 50 && records.length < 200, String(records.length));
});

Deno.test("whatever is thrown can be recorded", () => {
  const { records, containment } = withContainment();
  const broken = new Error("x");
  Object.defineProperty(broken, "stack", {
    get: () => {
      throw new Error("again");
    },
  });
  for (const thrown of [undefined, null, "text", 7, Object.create(null), Symbol("s"), broken]) {
    containment.record(thrown);
  }
  assert.ok(records.length > 0);
});
