// The memory budget alone: which connection may grow, which is next, and which is ended.
import assert from "node:assert/strict";
import { type Holder, MemoryBudget, SMALL_MESSAGE } from "../../src/firewall/memory_budget.ts";

const MIB = 2 ** 20;

/** Holds what it is told to. */
class TestHolder implements Holder {
  heldBytes = 0;
  movedBytes = 0;
  sheds = 0;
  resumes = 0;
  readonly #budget: MemoryBudget;

  constructor(budget: MemoryBudget, fixedBytes = 0) {
    this.#budget = budget;
    budget.add(this, fixedBytes);
  }

  /** Receives bytes that it holds, or lets go of some. */
  hold(bytes: number): this {
    this.heldBytes += bytes;
    this.movedBytes += Math.abs(bytes);
    this.#budget.change(bytes);
    return this;
  }

  shed(): void {
    this.sheds++;
    this.hold(-this.heldBytes);
  }

  resume(): void {
    this.resumes++;
  }
}

/** Sweeps `count` times, as far apart as it must be. */
function sweep(budget: MemoryBudget, clock: { nowMs: number }, count = 1): void {
  for (let i = 0; i < count; i++) budget.sweep(clock.nowMs += 250);
}

Deno.test("what is removed takes along what it held and what it cost", () => {
  const budget = new MemoryBudget(MIB);
  const one = new TestHolder(budget, 1000).hold(500);
  const other = new TestHolder(budget, 1000).hold(70);
  assert.equal(budget.usedBytes, 2570);
  budget.remove(one);
  budget.remove(one);
  assert.equal(budget.usedBytes, 1070);
  budget.remove(other);
  assert.equal(budget.usedBytes, 0);
});

Deno.test("at the limit nobody is shed, over it the one that holds most", () => {
  const budget = new MemoryBudget(MIB);
  const small = new TestHolder(budget).hold(100);
  const large = new TestHolder(budget).hold(MIB - 200);
  small.hold(100);
  assert.deepEqual([small.sheds, large.sheds, budget.usedBytes], [0, 0, MIB]);
  small.hold(1);
  assert.deepEqual([small.sheds, large.sheds, budget.usedBytes], [0, 1, 201]);
});

Deno.test("over the limit, who has made no progress goes before who holds more", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  const stuck = new TestHolder(budget).hold(MIB);
  const busy = new TestHolder(budget).hold(2.5 * MIB);
  sweep(budget, clock);
  busy.hold(0.4 * MIB);
  sweep(budget, clock);
  busy.hold(0.2 * MIB);
  assert.deepEqual([stuck.sheds, busy.sheds], [1, 0]);
});

Deno.test("what can't be let go is not asked for without end", () => {
  const budget = new MemoryBudget(1000);
  const holder = new TestHolder(budget, 1500);
  assert.equal(budget.usedBytes, 1500);
  holder.hold(1);
  assert.equal(holder.sheds, 1);
  holder.hold(1);
  assert.equal(holder.sheds, 1);
});

Deno.test("far from the limit everybody grows", () => {
  const budget = new MemoryBudget(4 * MIB);
  const holders = Array.from({ length: 3 }, () => new TestHolder(budget).hold(MIB));
  assert.equal(budget.isTight, false);
  assert.deepEqual(holders.map((holder) => budget.mayGrow(holder)), [true, true, true]);
});

Deno.test("near the limit a message of 64 KiB grows, a larger one when it is its turn, in the order of asking", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  new TestHolder(budget).hold(3 * MIB);
  const [first, second, third] = Array.from({ length: 3 }, () => new TestHolder(budget).hold(300_000)) as [
    TestHolder,
    TestHolder,
    TestHolder,
  ];
  const small = new TestHolder(budget).hold(SMALL_MESSAGE);
  assert.equal(budget.isTight, true);
  assert.equal(budget.mayGrow(small), true);
  // There is room for one of them to hold twice as much.
  assert.equal(budget.mayGrow(second), true, "the first to ask has the turn");
  assert.equal(budget.mayGrow(third), false);
  assert.equal(budget.mayGrow(first), false);
  assert.equal(budget.mayGrow(small.hold(1)), false, "over 64 KiB");
  assert.equal(budget.mayGrow(second.hold(1024)), true, "a turn has an end, but not yet");
  sweep(budget, clock);
  assert.deepEqual([first.resumes, second.resumes, third.resumes, small.resumes], [0, 0, 1, 0]);
  assert.equal(budget.mayGrow(third), true);
  assert.equal(budget.mayGrow(second), false, "it has to ask again, behind the others");
  third.hold(1024);
  sweep(budget, clock);
  assert.deepEqual(
    [first.resumes, second.resumes, small.resumes],
    [1, 0, 0],
  );
});

Deno.test("turns are given to as many as there is room for, and to one in any case", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  new TestHolder(budget).hold(2 * MIB);
  const holders = Array.from({ length: 6 }, () => new TestHolder(budget).hold(MIB / 4));
  // Half a MiB is left: two of a quarter.
  assert.deepEqual(holders.map((holder) => budget.mayGrow(holder)), [true, true, false, false, false, false]);
  for (const holder of holders.slice(0, 2)) holder.hold(1024);
  sweep(budget, clock);
  assert.deepEqual(holders.map(({ resumes }) => resumes), [0, 0, 1, 0, 0, 0]);
  new TestHolder(budget).hold(MIB / 2 - 2048);
  for (const holder of holders.slice(2, 3)) assert.equal(budget.mayGrow(holder), true);
  sweep(budget, clock);
  assert.deepEqual(holders.map(({ resumes }) => resumes), [0, 0, 1, 1, 0, 0]);
});

Deno.test("who makes no progress is not held back: it neither takes a turn nor is it taken for one that waits", () => {
  const budget = new MemoryBudget(16 * MIB);
  const clock = { nowMs: 0 };
  const drips = Array.from({ length: 13 }, () => new TestHolder(budget).hold(MIB - 1000));
  sweep(budget, clock);
  let sweepsUntilShed = 0;
  for (; drips.every(({ sheds }) => sheds === 0) && sweepsUntilShed < 20; sweepsUntilShed++) {
    for (const drip of drips) {
      drip.hold(2);
      budget.mayGrow(drip);
    }
    sweep(budget, clock);
  }
  assert.ok(sweepsUntilShed <= 9, `${sweepsUntilShed} sweeps`);
  assert.equal(budget.isTight, false);
  const good = new TestHolder(budget).hold(300_000);
  assert.equal(budget.mayGrow(good), true);
});

Deno.test("the longer memory is tight, the more progress counts as progress", () => {
  const budget = new MemoryBudget(16 * MIB);
  const clock = { nowMs: 0 };
  const base = new TestHolder(budget).hold(12 * MIB);
  const trickle = new TestHolder(budget).hold(MIB);
  const upload = new TestHolder(budget).hold(MIB / 2);
  for (let i = 0; i < 60; i++) {
    for (const [holder, bytes] of [[base, 10 ** 6], [trickle, 1100], [upload, 65_536]] as const) {
      holder.movedBytes += bytes;
      budget.mayGrow(holder);
    }
    sweep(budget, clock);
  }
  assert.deepEqual([trickle.sheds, upload.sheds], [1, 0]);
  budget.remove(base);
});

Deno.test("the end of a leader passes the turn on", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  new TestHolder(budget).hold(3 * MIB);
  const leader = new TestHolder(budget).hold(700_000);
  const next = new TestHolder(budget).hold(200_000);
  assert.deepEqual([budget.mayGrow(leader), budget.mayGrow(next)], [true, false]);
  budget.change(200_000);
  budget.remove(leader);
  sweep(budget, clock);
  assert.equal(next.resumes, 1);
  assert.equal(budget.mayGrow(next), true);
});

Deno.test("what leaves only when a write is dropped costs nobody else", () => {
  const budget = new MemoryBudget(4 * MIB);
  const writing = new TestHolder(budget).hold(3 * MIB);
  const shed = { count: 0 };
  // It is still written when it has been shed.
  writing.shed = () => void shed.count++;
  const others = Array.from({ length: 4 }, () => new TestHolder(budget).hold(200_000));
  others[0]!.hold(400_000);
  assert.equal(shed.count, 1);
  assert.deepEqual(others.map(({ sheds }) => sheds), [0, 0, 0, 0]);
  writing.hold(-writing.heldBytes);
  budget.remove(writing);
  assert.equal(budget.usedBytes, 1_200_000);
  others[1]!.hold(3 * MIB);
  assert.deepEqual(others.map(({ sheds }) => sheds), [0, 1, 0, 0], "what has left is not counted twice");
});

Deno.test("one that has left does not make room for others as if it were leaving still", () => {
  const budget = new MemoryBudget(4 * MIB);
  const written = new TestHolder(budget).hold(3 * MIB);
  written.shed = () => {};
  const others = [2, 3].map(() => new TestHolder(budget).hold(MIB - 200_000));
  // With it goes what it still held.
  budget.remove(written);
  others[0]!.hold(2 * MIB);
  others[1]!.hold(MIB);
  assert.deepEqual(others.map(({ sheds }) => sheds), [1, 0]);
});

Deno.test("all that wait are resumed when memory is not tight any more", () => {
  const budget = new MemoryBudget(4 * MIB);
  const base = new TestHolder(budget).hold(3 * MIB);
  const holders = Array.from({ length: 3 }, () => new TestHolder(budget).hold(100_000));
  base.hold(MIB - 400_000);
  assert.deepEqual(holders.map((holder) => budget.mayGrow(holder)), [true, false, false]);
  base.hold(-MIB);
  assert.deepEqual(holders.map(({ resumes }) => resumes), [0, 1, 1]);
});

Deno.test("who holds much and makes no progress is let go after two seconds while memory is tight, who holds most first", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  new TestHolder(budget, MIB);
  const stuck = new TestHolder(budget).hold(900_000);
  const other = new TestHolder(budget).hold(400_000);
  const small = new TestHolder(budget).hold(SMALL_MESSAGE);
  sweep(budget, clock, 50);
  assert.equal(stuck.sheds, 0, "memory is not tight");
  const good = new TestHolder(budget).hold(MIB);
  good.hold(-1000);
  for (let i = 0; i < 40 && stuck.sheds === 0; i++) {
    good.hold(i % 2 === 0 ? 2000 : -2000);
    sweep(budget, clock);
  }
  assert.deepEqual([stuck.sheds, good.sheds, small.sheds], [1, 0, 0]);
  assert.equal(other.sheds, 0);
});

Deno.test("who waits for a turn is not let go for that", () => {
  const budget = new MemoryBudget(4 * MIB);
  const clock = { nowMs: 0 };
  new TestHolder(budget, MIB);
  const holders = Array.from({ length: 20 }, () => new TestHolder(budget).hold(MIB / 8));
  // Each gets one turn in many, and uses it.
  for (let i = 0; i < 100; i++) {
    const growing = holders.filter((holder) => budget.mayGrow(holder));
    assert.ok(growing.length <= 4, `${growing.length} at once, where there is room for four`);
    for (const holder of growing) holder.movedBytes += 70_000;
    sweep(budget, clock);
  }
  assert.ok(holders.every(({ resumes }) => resumes > 0), "all have to wait, and none for ever");
  assert.deepEqual(holders.filter(({ sheds }) => sheds > 0), []);
});

Deno.test("sweeps that come too close together are one", () => {
  const budget = new MemoryBudget(4 * MIB);
  new TestHolder(budget).hold(3 * MIB);
  const leader = new TestHolder(budget).hold(450_000);
  const next = new TestHolder(budget).hold(450_000);
  budget.sweep(1000);
  leader.hold(2000);
  assert.deepEqual([budget.mayGrow(leader), budget.mayGrow(next)], [true, false]);
  budget.sweep(1001);
  budget.sweep(1249);
  assert.equal(next.resumes, 0);
  budget.sweep(1250);
  assert.equal(next.resumes, 1);
});

Deno.test("connections may cost three quarters of the limit by being there, and no byte more", () => {
  const budget = new MemoryBudget(4000);
  const first = new TestHolder(budget, 1000);
  new TestHolder(budget, 1000);
  assert.deepEqual([budget.hasPlaceFor(1000), budget.hasPlaceFor(1001)], [true, false]);
  new TestHolder(budget, 1000);
  assert.equal(budget.hasPlaceFor(1), false);
  assert.equal(budget.isTight, false, "what they cost is not what they hold");
  budget.remove(first);
  assert.deepEqual([budget.hasPlaceFor(1000), budget.hasPlaceFor(1001)], [true, false]);
});

Deno.test("without a limit there is always a place", () => {
  assert.equal(new MemoryBudget(Infinity).hasPlaceFor(2 ** 40), true);
});

Deno.test("one that leaves while it waits has no turn, and holds up nobody's", () => {
  const budget = new MemoryBudget(MIB);
  const [leading, leaving, staying] = Array.from({ length: 3 }, () => new TestHolder(budget).hold(300_000));
  for (const holder of [leading!, leaving!, staying!]) budget.mayGrow(holder);
  budget.remove(leaving!);
  new TestHolder(budget).hold(300_000);
  budget.remove(leading!);
  new TestHolder(budget).hold(300_000);
  sweep(budget, { nowMs: 0 }, 2);
  assert.deepEqual([leaving!.resumes, staying!.resumes > 0, budget.mayGrow(staying!)], [0, true, true]);
});

Deno.test("one that has finished its message and goes on with small ones has no turn any more", () => {
  const budget = new MemoryBudget(MIB);
  const clock = { nowMs: 0 };
  const leading = new TestHolder(budget).hold(400_000);
  const rest = new TestHolder(budget).hold(60_000);
  const asking = new TestHolder(budget).hold(400_000);
  assert.equal(budget.mayGrow(leading), true);
  leading.hold(-400_000);
  rest.hold(300_000);
  asking.hold(100_000);
  assert.ok(budget.isTight);
  assert.equal(budget.mayGrow(asking), false);
  leading.movedBytes += 10_000;
  sweep(budget, clock);
  assert.deepEqual([asking.resumes, budget.mayGrow(asking)], [1, true]);
});

Deno.test("who holds little is not let go for being slow", () => {
  const budget = new MemoryBudget(MIB);
  const clock = { nowMs: 0 };
  const small = new TestHolder(budget).hold(SMALL_MESSAGE);
  const busy = new TestHolder(budget).hold(900_000);
  for (let i = 0; i < 40; i++) {
    busy.movedBytes += 1_000_000;
    sweep(budget, clock);
  }
  assert.deepEqual([small.sheds, busy.sheds], [0, 0]);
});
