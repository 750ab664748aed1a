// Which connection comes next among those with more work than fits into one turn.
import assert from "node:assert/strict";
import { Turns } from "../../../src/firewall/connection/turns.ts";
import { concat, frame, OPCODE } from "../../support/raw_client.ts";
import { startManual } from "../../support/manual_connection.ts";

/** Runs a test in which time is moved by hand: `pass` lets the timers go off that there are. */
async function withTimers(test: (pass: () => number) => void | Promise<void>): Promise<void> {
  const { setTimeout } = globalThis;
  const held: (() => void)[] = [];
  globalThis.setTimeout = ((go: () => void) => held.push(go)) as unknown as typeof setTimeout;
  try {
    await test(() => {
      const due = held.splice(0);
      for (const go of due) go();
      return due.length;
    });
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}

/** Lets everything go on that waits for no timer. */
async function settleWithout(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

Deno.test("turns are given in order, 32 at once, and nobody's who has left", async () => {
  await withTimers((pass) => {
    const turns = new Turns();
    const called: number[] = [];
    const leave = Array.from({ length: 66 }, (_, i) => turns.wait(() => called.push(i)));
    leave[1]!();
    assert.deepEqual(called, [], "nobody's turn is at once");
    assert.equal(pass(), 1);
    assert.deepEqual([called.length, called[0], called[1], called.at(-1)], [32, 0, 2, 32]);
    leave[0]!();
    pass();
    assert.equal(called.length, 64);
    pass();
    assert.equal(called.length, 65);
    assert.equal(pass(), 0, "no timer without anybody");
  });
});

Deno.test("who asks again in a turn comes after all others", async () => {
  await withTimers((pass) => {
    const turns = new Turns();
    const called: string[] = [];
    turns.wait(() => {
      called.push("first");
      turns.wait(() => called.push("first again"));
    });
    for (let i = 0; i < 32; i++) turns.wait(() => called.push(`other ${i}`));
    while (pass() > 0);
    assert.equal(called.at(-1), "first again");
  });
});

Deno.test("what a connection has written does not make it its turn", async () => {
  await withTimers(async (pass) => {
    const it = startManual();
    it.peer.give(concat(...Array<Uint8Array>(200).fill(frame({ opcode: OPCODE.text, payload: "m" }))));
    const counts: number[] = [];
    for (let turn = 0; turn < 4; turn++) {
      await settleWithout();
      counts.push(it.outbox.messages);
      pass();
    }
    assert.ok(counts[0]! > 0 && counts[0]! <= 64 && counts[1]! < 200 && counts[3] === 200, counts.join());
    it.connection.cut();
    it.inner.close();
    while (!it.hasEnded()) {
      await settleWithout();
      pass();
    }
  });
});
