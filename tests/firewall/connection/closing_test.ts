// The one closing state: every transition, and that only the first cause counts.
import assert from "node:assert/strict";
import { Closing } from "../../../src/firewall/connection/closing.ts";

const OURS = { code: 1008, reason: "a limit" };
const THEIRS = { code: 4321, reason: "done" };

Deno.test("it is open until somebody begins to close", () => {
  const closing = new Closing();
  assert.deepEqual([closing.state, closing.isOpen, closing.own, closing.received], [
    "open",
    true,
    undefined,
    undefined,
  ]);
});

for (const by of ["us", "the peer", "the endpoint"] as const) {
  Deno.test(`closing by ${by} is the only one that counts`, () => {
    const closing = new Closing();
    assert.equal(closing.begin(by, OURS), true);
    assert.deepEqual([closing.state, closing.isOpen, closing.own], [`closing by ${by}`, false, OURS]);
    for (const other of ["us", "the peer", "the endpoint"] as const) {
      assert.equal(closing.begin(other, THEIRS), false);
    }
    assert.deepEqual([closing.state, closing.own], [`closing by ${by}`, OURS]);
    closing.end();
    assert.equal(closing.state, "closed");
    assert.equal(closing.begin("us", OURS), false);
  });
}

Deno.test("the peer's Close begins the closing, and is what is owed to it", () => {
  const closing = new Closing();
  assert.equal(closing.receive(THEIRS), true);
  assert.deepEqual([closing.state, closing.own, closing.result], ["closing by the peer", THEIRS, THEIRS]);
});

Deno.test("the peer's answer to our Close is what the end is known by", () => {
  const closing = new Closing();
  closing.begin("us", OURS);
  assert.deepEqual(closing.result, OURS);
  assert.equal(closing.receive(THEIRS), false);
  assert.deepEqual([closing.state, closing.own, closing.result], ["closing by us", OURS, THEIRS]);
});

Deno.test("a stream that ends without a Close is 1006, and nothing is owed", () => {
  const closing = new Closing();
  closing.begin("the peer", undefined);
  assert.deepEqual([closing.own, closing.result.code], [undefined, 1006]);
});
