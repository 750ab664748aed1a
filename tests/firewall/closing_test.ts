// How a connection ends: who began counts, and what the record says.

import assert from "node:assert/strict";
import { Closing } from "../../src/firewall/connection/closing.ts";

const OURS = { code: 1008, reason: "ours" };
const THEIRS = { code: 4001, reason: "theirs" };

Deno.test("only the first cause counts", () => {
  for (const first of ["us", "the peer", "the endpoint"] as const) {
    for (const second of ["us", "the peer", "the endpoint"] as const) {
      const closing = new Closing();
      assert.ok(closing.isOpen);
      assert.equal(closing.begin(first, OURS), true);
      assert.equal(closing.isOpen, false);
      assert.equal(closing.begin(second, THEIRS), false);
      assert.deepEqual([closing.state, closing.own], [`closing by ${first}`, OURS]);
    }
  }
});

Deno.test("a Close of the peer is owed the same, unless the closing had begun", () => {
  const answering = new Closing();
  assert.equal(answering.receive(THEIRS), true);
  assert.deepEqual([answering.state, answering.own], ["closing by the peer", THEIRS]);
  const answered = new Closing();
  answered.begin("us", OURS);
  assert.equal(answered.receive(THEIRS), false);
  assert.deepEqual([answered.state, answered.own, answered.received], ["closing by us", OURS, THEIRS]);
});

Deno.test("the end is known by what the peer said, or else by what we said, or else as 1006", () => {
  const both = new Closing();
  both.begin("us", OURS);
  assert.deepEqual(both.result, OURS);
  both.receive(THEIRS);
  assert.deepEqual(both.result, THEIRS);
  const lost = new Closing();
  lost.begin("the peer", undefined);
  assert.deepEqual(lost.result, { code: 1006, reason: "" });
  lost.end();
  assert.deepEqual([lost.state, lost.begin("us", OURS), lost.result.code], ["closed", false, 1006]);
});
