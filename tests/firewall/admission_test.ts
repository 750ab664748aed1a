// What all listeners share: the counts, and the records of refusals.
import assert from "node:assert/strict";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { ALONE } from "../../src/core/shared_state.ts";
import { Admission, type Visitor } from "../../src/firewall/admission.ts";
import { ClientTable } from "../../src/firewall/admission/client_table.ts";
import { clientKey } from "../../src/firewall/admission/network_set.ts";
import type { LoggedEvent } from "../support/firewall_harness.ts";

/** Somebody who has come and does nothing. */
function visitor(address: string, makeRoom: Visitor["makeRoom"] = () => {}): Visitor {
  return { address, endpoint: "echo", expel: () => {}, makeRoom };
}

Deno.test("a refusal is recorded with its rule and, where there is one, its limit", () => {
  const events: LoggedEvent[] = [];
  const settings = {
    ...parseSettings(new Map(), () => undefined),
    maxConnections: 1,
    maxConnectionsPerIp: 2,
    denyIp: ["192.0.2.1"],
  };
  const admission = new Admission(settings, (event, fields = {}) => events.push({ event, fields }));
  const client = visitor("192.0.2.2");
  const another = visitor("192.0.2.2");
  const settled = visitor("192.0.2.8");
  assert.equal(admission.enter(settled), undefined);
  admission.settle(settled);
  admission.record("192.0.2.9", "echo", admission.enter(visitor("192.0.2.9"))!);
  admission.record("192.0.2.1", "echo", admission.check("192.0.2.1")!);
  admission.begin("192.0.2.2", client);
  assert.equal(admission.check("192.0.2.2"), undefined);
  admission.begin("192.0.2.2", another);
  admission.record("192.0.2.2", "echo", admission.check("192.0.2.2")!);
  admission.record("192.0.2.3", "echo", { status: 400, reason: "no" });
  assert.deepEqual(events.map(({ fields: { rule, limit } }) => [rule, limit]), [
    ["max_connections", 1],
    ["ip_rules", undefined],
    ["max_connections_per_ip", 2],
    ["handshake", undefined],
  ]);
  admission.stop();
});

/** Addresses of as many different networks. */
function networks(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `2001:db8:${i.toString(16)}:1::1`);
}

/** The shortest time of some rounds: the one without anything else in it. */
function bestMs(work: () => void): number {
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const startedMs = performance.now();
    work();
    best = Math.min(best, performance.now() - startedMs);
  }
  return best;
}

Deno.test("a ban closes the connections of its network, and does not read all other addresses again", () => {
  const settings = parseSettings(new Map(), () => undefined);
  const admission = new Admission(settings, () => {});
  const addresses = networks(10_000);
  const expelled: string[] = [];
  for (const address of addresses) {
    admission.begin(address, {
      ...visitor(address),
      expel: ({ rule }) => expelled.push(`${address} ${rule}`),
    });
  }
  assert.ok(admission.ban(clientKey("2001:db8:7:1:ffff::"), 1000));
  assert.deepEqual(expelled, ["2001:db8:7:1::1 ban"]);
  const allKeysMs = bestMs(() => addresses.forEach(clientKey));
  const banMs = bestMs(() => admission.ban(clientKey("2001:db8:7:1:ffff::"), 1000));
  assert.ok(banMs < allKeysMs / 5, `${banMs} ms for a ban, ${allKeysMs} ms for all keys`);
  const strangerMs = bestMs(() => admission.followBan(clientKey("2001:db9::"), 1000));
  assert.ok(strangerMs < banMs / 5, `${strangerMs} ms for a ban of who is not here, ${banMs} ms otherwise`);
  admission.stop();
});

Deno.test("a sweep costs what there is to forget, and not what there is", () => {
  const table = new ClientTable({ ...parseSettings(new Map(), () => undefined), handshakeRate: 50 });
  const keys = networks(30_000);
  const touchMs = bestMs(() => keys.forEach((key) => table.handshake(key, 0)));
  const sweepMs = bestMs(() => table.sweep(1));
  assert.ok(sweepMs < touchMs / 10, `${sweepMs} ms for a sweep, ${touchMs} ms for a look at each`);
  assert.equal(table.size, keys.length);
  table.sweep(1000);
  assert.equal(table.size, 0);
});

Deno.test("other nodes hear of violations and bans, but not of those of a dry run", () => {
  for (const firewallDryRun of [false, true]) {
    const told: string[] = [];
    const settings = { ...parseSettings(new Map(), () => undefined), banAfter: 2, firewallDryRun };
    const shared = { ...ALONE, violated: () => told.push("violated"), banned: () => told.push("banned") };
    const admission = new Admission(settings, () => {}, { shared });
    admission.violation("192.0.2.1");
    admission.violation("192.0.2.1");
    assert.deepEqual(told, firewallDryRun ? [] : ["violated", "banned"]);
    assert.equal(admission.bans().length, 1);
    admission.stop();
  }
});

Deno.test("a ban for violations on many nodes does not shorten the one that came meanwhile", () => {
  const told: number[] = [];
  const settings = { ...parseSettings(new Map(), () => undefined), banTime: 60_000 };
  const shared = { ...ALONE, banned: (_client: string, forMs: number) => told.push(forMs) };
  const admission = new Admission(settings, () => {}, { shared });
  admission.followBan("192.0.2.1", 3_600_000);
  admission.banForViolations("192.0.2.1");
  admission.banForViolations("192.0.2.2");
  assert.deepEqual(told, [60_000]);
  assert.ok(admission.bans().find(({ client }) => client === "192.0.2.1")!.leftMs > 3_000_000);
  admission.stop();
});
