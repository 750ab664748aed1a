// Deadlines of peers, while the process does not run.

import assert from "node:assert/strict";
import { afterAwake, GRACE_MS, STANDSTILL_MS, StandstillMeter } from "../../src/core/standstill.ts";

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
