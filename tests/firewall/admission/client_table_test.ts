// Connections, handshakes, violations and bans of clients, on a manual clock.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClientLimits, ClientTable } from "../../../src/firewall/admission/client_table.ts";

const LIMITS: ClientLimits = {
  maxConnectionsPerIp: 3,
  handshakeRate: 10,
  banAfter: 4,
  banWindow: 60_000,
  banTime: 600_000,
  banLoopback: false,
};
const CLIENT = "192.0.2.1";
const OTHER = "192.0.2.2";

function createTable(changes: Partial<ClientLimits> = {}, maxIdle?: number): ClientTable {
  return new ClientTable({ ...LIMITS, ...changes }, maxIdle);
}

/** How many violations at once bring a ban. */
function violationsToBan(table: ClientTable, key: string, nowMs: number): number {
  for (let count = 1; count <= 100; count++) {
    if (table.violation(key, nowMs)) return count;
  }
  return Infinity;
}

Deno.test("refuses one connection more than allowed, of that client only, until one ends", () => {
  const table = createTable();
  for (let i = 0; i < 3; i++) {
    assert.equal(table.check(CLIENT, 0), undefined);
    table.open(CLIENT);
  }
  assert.equal(table.check(CLIENT, 0)?.status, 429);
  assert.equal(table.check(OTHER, 0), undefined);
  table.close(CLIENT);
  assert.equal(table.check(CLIENT, 0), undefined);
});

Deno.test("counts connections that are opened beyond the limit too", () => {
  const table = createTable({ maxConnectionsPerIp: 1 });
  table.open(CLIENT);
  table.open(CLIENT);
  table.close(CLIENT);
  assert.equal(table.check(CLIENT, 0)?.status, 429);
  table.close(CLIENT);
  assert.equal(table.check(CLIENT, 0), undefined);
  table.close(CLIENT);
  table.open(CLIENT);
  assert.equal(table.check(CLIENT, 0)?.status, 429);
});

Deno.test("unlimited connections and handshakes are unlimited", () => {
  const table = createTable({ maxConnectionsPerIp: Infinity, handshakeRate: Infinity });
  for (let i = 0; i < 10_000; i++) {
    table.open(CLIENT);
    assert.equal(table.handshake(CLIENT, 0), undefined);
  }
  assert.equal(table.check(CLIENT, 0), undefined);
});

Deno.test("refuses handshakes beyond the rate, and each client has its own", () => {
  const table = createTable();
  for (let i = 0; i < 10; i++) assert.equal(table.handshake(CLIENT, 0), undefined);
  assert.equal(table.handshake(CLIENT, 0)?.status, 429);
  assert.equal(table.handshake(CLIENT, 99)?.status, 429);
  assert.equal(table.handshake(OTHER, 99), undefined);
  assert.equal(table.handshake(CLIENT, 100), undefined);
});

Deno.test("bans at the given number of violations within the window, and not before", () => {
  const table = createTable();
  for (const nowMs of [0, 20_000, 40_000]) assert.equal(table.violation(CLIENT, nowMs), false);
  assert.equal(table.isBanned(CLIENT, 59_999), false);
  assert.equal(table.violation(CLIENT, 59_999), true);
  assert.equal(table.isBanned(CLIENT, 59_999), true);
  assert.equal(table.check(CLIENT, 59_999)?.status, 403);
  assert.equal(table.check(OTHER, 59_999), undefined);
});

Deno.test("with a limit of one the first violation bans", () => {
  assert.equal(createTable({ banAfter: 1 }).violation(CLIENT, 0), true);
});

Deno.test("violations fade away evenly over the window that follows theirs", () => {
  for (
    const [nowMs, more] of [[59_999, 1], [60_000, 1], [60_001, 2], [80_000, 2], [100_000, 3], [119_999, 4], [
      120_000,
      4,
    ]]
  ) {
    const table = createTable();
    for (let i = 0; i < 3; i++) table.violation(CLIENT, 0);
    assert.equal(violationsToBan(table, CLIENT, nowMs!), more, `at ${nowMs}`);
  }
});

Deno.test("violations that keep a window's distance never ban", () => {
  const table = createTable();
  for (let i = 0; i < 1000; i++) assert.equal(table.violation(CLIENT, i * 30_000), false);
});

Deno.test("a ban ends by itself, and the count starts anew", () => {
  const table = createTable();
  assert.equal(violationsToBan(table, CLIENT, 0), 4);
  assert.equal(table.violation(CLIENT, 1), false);
  assert.equal(table.isBanned(CLIENT, 599_999), true);
  assert.equal(table.isBanned(CLIENT, 600_000), false);
  assert.equal(violationsToBan(table, CLIENT, 600_000), 4);
});

Deno.test("no number of violations bans when bans are off", () => {
  const table = createTable({ banAfter: Infinity });
  assert.equal(violationsToBan(table, CLIENT, 0), Infinity);
  assert.equal(table.size, 0);
});

Deno.test("loopback is never banned unless told", () => {
  for (const key of ["127.0.0.1", "127.9.9.9", "::1"]) {
    const table = createTable();
    assert.equal(violationsToBan(table, key, 0), Infinity);
    assert.equal(table.ban(key, 1000, 0), false);
    assert.deepEqual(table.bans(0), []);
    assert.equal(violationsToBan(createTable({ banLoopback: true }), key, 0), 4);
  }
});

Deno.test("bans are listed, added, replaced and ended", () => {
  const table = createTable();
  assert.equal(table.ban(CLIENT, 1000, 0), true);
  assert.equal(table.ban("2001:db8::/64", Infinity, 0), true);
  assert.deepEqual(table.bans(999), [
    { key: CLIENT, untilMs: 1000 },
    { key: "2001:db8::/64", untilMs: Infinity },
  ]);
  assert.deepEqual(table.bans(1000).map(({ key }) => key), ["2001:db8::/64"]);
  assert.equal(table.ban("2001:db8::/64", 500, 1000), true);
  assert.equal(table.unban(CLIENT, 1000), false);
  assert.equal(table.unban(OTHER, 1000), false);
  assert.equal(table.unban("2001:db8::/64", 1000), true);
  assert.deepEqual(table.bans(1000), []);
  assert.equal(table.check("2001:db8::/64", 1000), undefined);
});

Deno.test("the sweep forgets clients of whom nothing is left, and no others", () => {
  const table = createTable();
  table.open("192.0.2.10");
  table.handshake("192.0.2.11", 0);
  table.violation("192.0.2.12", 0);
  table.ban("192.0.2.13", 200_000, 0);
  table.sweep(0);
  assert.equal(table.size, 4);
  table.sweep(100);
  assert.equal(table.size, 3);
  table.sweep(119_999);
  assert.equal(table.size, 3);
  table.sweep(120_000);
  assert.equal(table.size, 2);
  table.sweep(200_000);
  assert.equal(table.size, 1);
  table.close("192.0.2.10");
  table.sweep(200_000);
  assert.equal(table.size, 0);
});

Deno.test("with too many idle clients the clean are forgotten first, then the marked, then bans, oldest first", () => {
  const table = createTable({}, 4);
  table.ban("banned", 600_000, 0);
  for (let i = 0; i < 3; i++) table.violation("marked", 0);
  for (const key of ["clean1", "clean2"]) for (let i = 0; i < 10; i++) table.handshake(key, 0);
  assert.equal(table.size, 4);

  table.handshake("clean3", 0);
  assert.equal(table.size, 4);
  assert.equal(table.handshake("clean2", 0)?.status, 429);
  assert.equal(table.handshake("clean1", 0), undefined);

  for (let i = 0; i < 1000; i++) table.handshake(`flood${i}`, 0);
  assert.equal(table.size, 4);
  assert.equal(table.isBanned("banned", 0), true);
  assert.equal(table.violation("marked", 0), true);

  for (let i = 0; i < 4; i++) table.violation(`marked${i}`, 0);
  assert.deepEqual(table.bans(0).map(({ key }) => key).sort(), ["banned", "marked"]);

  for (let i = 0; i < 4; i++) table.ban(`last${i}`, 600_000, 0);
  assert.deepEqual(table.bans(0).map(({ key }) => key), ["last0", "last1", "last2", "last3"]);

  for (let i = 0; i < 1000; i++) table.violation(`flood${i}`, 0);
  assert.equal(table.bans(0).length, 4);
  assert.equal(table.size, 4);
});

Deno.test("a client whose ban is over is no longer kept as a banned one when it breaks a rule again", () => {
  const table = createTable({}, 2);
  table.ban("over", 1000, 0);
  table.violation("over", 1000);
  table.ban("banned", 600_000, 1000);
  table.ban("banned too", 600_000, 1000);
  assert.deepEqual(table.bans(1000).map(({ key }) => key), ["banned", "banned too"]);
});

Deno.test("clients with connections are never forgotten and take no place of others", () => {
  const table = createTable({ maxConnectionsPerIp: 1 }, 2);
  for (let i = 0; i < 100; i++) table.open(`open${i}`);
  table.ban("banned", 600_000, 0);
  for (let i = 0; i < 100; i++) table.handshake(`flood${i}`, 0);
  assert.equal(table.size, 102);
  for (let i = 0; i < 100; i++) assert.equal(table.check(`open${i}`, 0)?.status, 429);
  for (let i = 0; i < 100; i++) table.close(`open${i}`);
  assert.equal(table.size, 2);
  assert.equal(table.isBanned("banned", 0), true);
});

Deno.test("whatever happens, connections are counted exactly and the table stays bounded", () => {
  const keys = ["a", "b", "c", "d", "e", "f"];
  const step = fc.record({
    key: fc.constantFrom(...keys),
    action: fc.constantFrom("open", "close", "handshake", "violation", "ban", "unban", "sweep"),
    passedMs: fc.nat(50_000),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const table = createTable({ maxConnectionsPerIp: 2 }, 2);
    const open = new Map<string, number>();
    let nowMs = 0;
    for (const { key, action, passedMs } of steps) {
      nowMs += passedMs;
      const count = open.get(key) ?? 0;
      if (action === "open") {
        table.open(key);
        open.set(key, count + 1);
      } else if (action === "close") {
        table.close(key);
        open.set(key, Math.max(count - 1, 0));
      } else if (action === "sweep") table.sweep(nowMs);
      else if (action === "ban") table.ban(key, 100_000, nowMs);
      else table[action](key, nowMs);
      const inUse = keys.filter((each) => (open.get(each) ?? 0) > 0);
      assert.ok(table.size <= inUse.length + 2);
      for (const each of keys) {
        if (table.isBanned(each, nowMs)) continue;
        assert.equal(table.check(each, nowMs)?.status, (open.get(each) ?? 0) >= 2 ? 429 : undefined);
      }
    }
  }));
});
