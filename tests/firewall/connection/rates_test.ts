// How many frames of a peer are handled in one turn of the event loop.
import assert from "node:assert/strict";
import { Rates } from "../../../src/firewall/connection/rates.ts";

for (const messageRate of [Infinity, 1000]) {
  Deno.test(`frames that are taken one by one are no more in a turn than those taken at once (${messageRate}/s)`, () => {
    const rates = new Rates({ messageRate, byteRate: Infinity, onRateLimit: "throttle" });
    const inTurn = rates.frames();
    assert.equal(inTurn, 64);
    rates.spendFrames(63);
    assert.ok(rates.frames() <= 1);
    rates.spendFrames(1);
    assert.equal(rates.frames(), 0);
    assert.equal(rates.usedUp(), undefined);
    rates.beginTurn();
    assert.equal(rates.frames(), 64);
  });
}

Deno.test("a turn has an end when its frames take long, but there is one in each", () => {
  const rates = new Rates({ messageRate: Infinity, byteRate: Infinity, onRateLimit: "throttle" });
  for (let i = 0; i < 3; i++) {
    assert.equal(rates.frames(), 64);
    spin();
    assert.equal(rates.frames(), 64, "nothing was taken yet");
    rates.spendFrames(1);
    spin();
    assert.equal(rates.frames(), 0);
    rates.beginTurn();
  }
});

Deno.test("what turns out to be more messages is owed, and broken only where it is more than there are", () => {
  const rates = new Rates({ messageRate: 64, byteRate: Infinity, onRateLimit: "throttle" });
  rates.spendFrames(1);
  assert.equal(rates.charge(63), undefined);
  assert.equal(rates.charge(1)?.rule, "message_rate");
  assert.deepEqual(rates.charge(63), {
    rule: "message_rate",
    code: 1008,
    reason: "more than 64 a second",
    limit: 64,
  });
  const { delayMs } = rates.usedUp()!;
  assert.ok(delayMs > 100 && delayMs < 1100, `${delayMs} ms`);
  assert.equal(
    new Rates({ messageRate: Infinity, byteRate: Infinity, onRateLimit: "throttle" }).charge(1e9),
    undefined,
  );
});

/** A millisecond of work, from now on however late that is. */
function spin(): void {
  const endMs = performance.now() + 1;
  while (performance.now() < endMs);
}
