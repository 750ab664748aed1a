// Timeouts of a connection: each just before it and at it, and after the process stood still.
import assert from "node:assert/strict";
import {
  excuse,
  judgeTimes,
  type TimeLimits,
  type Times,
} from "../../../src/firewall/connection/liveness.ts";

const NEVER: TimeLimits = {
  idleTimeout: Infinity,
  pingInterval: Infinity,
  pingTimeout: Infinity,
  sendTimeout: Infinity,
  messageTimeout: Infinity,
  maxLifetime: Infinity,
};

function timesAt(ms: number): Times {
  return {
    openedMs: ms,
    heardMs: ms,
    dataMs: ms,
    sentMs: ms,
    messageMs: Infinity,
    pingMs: Infinity,
    isUnread: false,
  };
}

const LIMITS: readonly [rule: string, limits: Partial<TimeLimits>, times: Partial<Times>][] = [
  ["send_timeout", { sendTimeout: 100 }, { sentMs: 1000 }],
  ["max_lifetime", { maxLifetime: 100 }, { openedMs: 1000 }],
  ["message_timeout", { messageTimeout: 100 }, { messageMs: 1000 }],
  ["idle_timeout", { idleTimeout: 100 }, { dataMs: 1000 }],
  ["ping_timeout", { pingTimeout: 100 }, { pingMs: 1000 }],
];

for (const [rule, limits, times] of LIMITS) {
  Deno.test(`${rule}: not a moment before its limit, and at it`, () => {
    const all = { ...timesAt(1000), ...times };
    assert.equal(judgeTimes(all, { ...NEVER, ...limits }, 1099.9), undefined);
    const due = judgeTimes(all, { ...NEVER, ...limits }, 1100);
    assert.ok(typeof due === "object");
    assert.deepEqual([due.rule, due.code, due.limit, due.value], [rule, 3008, 0.1, 0.1]);
    excuse(all, 50);
    assert.equal(
      judgeTimes(all, { ...NEVER, ...limits }, 1149),
      undefined,
      "what it stood still does not count",
    );
    assert.equal(typeof judgeTimes(all, { ...NEVER, ...limits }, 1150), "object");
  });
}

Deno.test("a silent peer is sent one Ping, and not another one until it has answered", () => {
  const times = timesAt(1000);
  const limits = { ...NEVER, pingInterval: 100, pingTimeout: 50 };
  assert.equal(judgeTimes(times, limits, 1099), undefined);
  assert.equal(judgeTimes(times, limits, 1100), "ping");
  times.pingMs = 1100;
  assert.equal(judgeTimes(times, limits, 1149), undefined);
  const due = judgeTimes(times, limits, 1150);
  assert.ok(typeof due === "object" && due.rule === "ping_timeout");
});

Deno.test("a peer that is not read is sent another Ping instead of being closed", () => {
  const times = { ...timesAt(1000), isUnread: true };
  const limits = { ...NEVER, pingInterval: 100, pingTimeout: 50 };
  assert.equal(judgeTimes(times, limits, 1099), undefined);
  assert.equal(judgeTimes(times, limits, 1100), "ping");
  times.pingMs = 1100;
  assert.equal(judgeTimes(times, limits, 1149), undefined);
  assert.equal(judgeTimes(times, limits, 1150), "ping");
});

Deno.test("a standstill of ours is no silence of the peer", () => {
  const times = timesAt(1000);
  excuse(times, 50);
  const limits = { ...NEVER, pingInterval: 100 };
  assert.equal(judgeTimes(times, limits, 1149), undefined);
  assert.equal(judgeTimes(times, limits, 1150), "ping");
});

Deno.test("without limits nothing is ever due", () => {
  assert.equal(judgeTimes(timesAt(0), NEVER, 1e12), undefined);
});
