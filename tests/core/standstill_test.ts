// Deadlines of peers when the process stands still.

import assert from "node:assert/strict";
import {
  afterAwake,
  AwakeDeadline,
  GRACE_MS,
  STANDSTILL_MS,
  StandstillMeter,
} from "../../src/core/standstill.ts";

/** A loop that is moved by hand, and may stand still. */
class Loop {
  #nowMs = 0;
  #timers: { atMs: number; ring: () => void }[] = [];

  readonly now = () => this.#nowMs;
  readonly after = (delayMs: number, ring: () => void) => {
    const timer = { atMs: this.#nowMs + delayMs, ring };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Lets the loop run until then, each timer ringing at its time. */
  run(untilMs: number): void {
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#ring(next);
    }
    this.#nowMs = untilMs;
  }

  /** Stands still until then; what was due meanwhile rings late, once. */
  stall(untilMs: number): void {
    this.#nowMs = untilMs;
    for (const timer of this.#timers.filter(({ atMs }) => atMs <= untilMs)) this.#ring(timer);
  }

  #ring(timer: { atMs: number; ring: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    timer.ring();
  }
}

function start(delayMs: number) {
  const loop = new Loop();
  const rings: number[] = [];
  const cancel = afterAwake(delayMs, () => rings.push(loop.now()), loop);
  return { loop, rings, cancel };
}

Deno.test("rings at its time when nothing stood still", () => {
  for (const delayMs of [0, 1, 999, 1000, 1001, 10_000]) {
    const { loop, rings } = start(delayMs);
    loop.run(20_000);
    assert.deepEqual(rings, [delayMs]);
  }
});

Deno.test("leaves a second after a standstill, whenever it was", () => {
  for (
    const [fromMs, untilMs] of [[0, 9990], [0, 60_000], [5000, 9500], [8500, 9999], [9100, 10_300], [
      9999,
      30_000,
    ]]
  ) {
    const { loop, rings } = start(10_000);
    loop.run(fromMs!);
    loop.stall(untilMs!);
    assert.deepEqual(rings, [], `after a standstill from ${fromMs} to ${untilMs}`);
    loop.run(untilMs! + GRACE_MS - 500);
    assert.deepEqual(rings, []);
    loop.run(untilMs! + GRACE_MS);
    assert.equal(rings.length, 1);
  }
});

Deno.test("rings in the end though the loop is always late", () => {
  const { loop, rings } = start(1000);
  for (let atMs = 2000; atMs <= 60_000; atMs += 2000) loop.stall(atMs);
  assert.equal(rings.length, 1);
});

Deno.test("does not ring once it is stopped, whether before or after a standstill", () => {
  const { loop, rings, cancel } = start(1000);
  loop.stall(5000);
  cancel();
  cancel();
  loop.run(60_000);
  assert.deepEqual(rings, []);
});

Deno.test("measures a standstill from the second at which it counts", () => {
  const meter = new StandstillMeter(100, 0);
  assert.equal(meter.tick(100), 0);
  assert.equal(meter.tick(200 + STANDSTILL_MS - 1), 0);
  assert.equal(meter.tick(299 + 2 * STANDSTILL_MS), STANDSTILL_MS);
  assert.equal(meter.tick(299 + 2 * STANDSTILL_MS + 100), 0);
});

/** When looks at these times, planned every 100 ms, find a deadline of `delayMs` over; undefined if none does. */
function lookAt(delayMs: number, timesMs: readonly number[]): number | undefined {
  const deadline = new AwakeDeadline(delayMs, 0);
  let plannedMs = 100;
  for (const nowMs of timesMs) {
    if (deadline.isOver(nowMs, nowMs - plannedMs)) return nowMs;
    plannedMs = nowMs + 100;
  }
  return undefined;
}

/** Looks every 100 ms. */
function looks(fromMs: number, untilMs: number): readonly number[] {
  return Array.from({ length: (untilMs - fromMs) / 100 + 1 }, (_, i) => fromMs + i * 100);
}

Deno.test("a deadline that is looked at is over at its time when nothing stood still", () => {
  for (const delayMs of [100, 1000, 1100, 10_000]) {
    assert.equal(lookAt(delayMs, looks(100, 20_000)), delayMs);
  }
  // A look that is only a little late.
  assert.equal(lookAt(1000, [...looks(100, 700), 1049]), 1049);
});

Deno.test("a deadline that is looked at leaves a second, or all of itself, after a standstill", () => {
  for (const [fromMs, untilMs] of [[0, 9900], [0, 60_000], [5000, 9500], [8500, 9900], [9100, 10_300]]) {
    const times = [...looks(100, fromMs!), ...looks(untilMs!, untilMs! + 5000)];
    assert.equal(
      lookAt(10_000, times),
      untilMs! + GRACE_MS,
      `after a standstill from ${fromMs} to ${untilMs}`,
    );
  }
  assert.equal(lookAt(10_000, [...looks(100, 1000), ...looks(5000, 20_000)]), 10_000, "long before its end");
  assert.equal(lookAt(300, [100, ...looks(5000, 9000)]), 5300);
});

Deno.test("a deadline that is looked at is over in the end though the looks are always late", () => {
  const times = Array.from({ length: 60 }, (_, i) => 900 * (i + 1));
  assert.equal(lookAt(1000, times), 900 * 12);
});
