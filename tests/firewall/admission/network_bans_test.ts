// Bans of networks: their keys, whom they hit, and how they end.

import assert from "node:assert/strict";
import { MAX_NETWORK_BANS, NetworkBans } from "../../../src/firewall/admission/network_bans.ts";
import { banKey, isNetworkKey } from "../../../src/firewall/admission/network_set.ts";
import { startHarness } from "../../support/firewall_harness.ts";
import { RawClient } from "../../support/raw_client.ts";

for (
  const [text, key] of [
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7/32", "192.0.2.7"],
    ["192.0.2.7/31", "192.0.2.6/31"],
    ["192.0.2.7/24", "192.0.2.0/24"],
    ["203.255.2.7/9", "203.128.0.0/9"],
    ["203.255.2.7/8", "203.0.0.0/8"],
    ["203.255.2.7/7", undefined],
    ["0.0.0.0/0", undefined],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7/120", "192.0.2.0/24"],
    ["2001:db8:1:2:3::", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3::/128", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3::/65", undefined],
    ["2001:db8:1:2:3::/64", "2001:db8:1:2::/64"],
    ["2001:db8:1:ffff::/49", "2001:db8:1:8000::/49"],
    ["2001:db8::/16", "2001::/16"],
    ["2001:db8::/15", undefined],
    ["example.com", undefined],
    ["192.0.2.7/", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`a ban of ${JSON.stringify(text)} is kept under ${key}`, () => {
    assert.equal(banKey(text), key);
    if (key !== undefined) assert.equal(banKey(key), key);
  });
}

Deno.test("the /64 of a client is no network among the others", () => {
  for (const key of ["192.0.2.0/24", "2001:db8::/32", "64.0.0.0/10"]) assert.ok(isNetworkKey(key), key);
  for (const key of ["192.0.2.1", "2001:db8:1:2::/64", "::1"]) assert.ok(!isNetworkKey(key), key);
});

Deno.test("holds who is in the network, until the ban ends or is taken back", () => {
  const bans = new NetworkBans(false);
  assert.ok(bans.ban("192.0.2.0/24", 1000, 0));
  assert.ok(bans.ban("2001:db8::/32", 2000, 0));
  for (const address of ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8:ffff::1"]) {
    assert.ok(bans.has(address, 999), address);
  }
  for (const address of ["192.0.1.255", "192.0.3.0", "2001:db9::1"]) {
    assert.ok(!bans.has(address, 0), address);
  }
  assert.equal(bans.bans(999).length, 2);
  assert.ok(!bans.has("192.0.2.9", 1000));
  assert.deepEqual(bans.bans(1000), [{ key: "2001:db8::/32", untilMs: 2000 }]);
  assert.ok(bans.unban("2001:db8::/32", 1500));
  assert.ok(!bans.unban("2001:db8::/32", 1500));
  assert.ok(!bans.has("2001:db8::1", 1500));
  assert.deepEqual(bans.bans(0), []);
});

Deno.test("the machine itself is banned with its network only where that may be", () => {
  const bans = new NetworkBans(false);
  assert.equal(bans.ban("127.0.0.0/8", 1000, 0), false);
  assert.ok(bans.ban("::/16", 1000, 0));
  assert.ok(!bans.has("::1", 0));
  const all = new NetworkBans(true);
  assert.ok(all.ban("127.0.0.0/8", 1000, 0));
  assert.ok(all.has("127.0.0.1", 0));
});

for (const more of [0, 1]) {
  Deno.test(`of ${MAX_NETWORK_BANS + more} bans ${MAX_NETWORK_BANS} stay, those that last longest`, () => {
    const bans = new NetworkBans(false);
    for (let i = 0; i < MAX_NETWORK_BANS + more; i++) bans.ban(`10.${i >> 8}.${i & 255}.0/24`, 1000 + i, 0);
    assert.equal(bans.bans(0).length, MAX_NETWORK_BANS);
    assert.equal(bans.has("10.0.0.1", 0), more === 0);
    assert.ok(bans.has("10.0.1.1", 0));
  });
}

Deno.test("whoever is in a banned network is closed, and can't connect until it is let in again", async () => {
  const harness = startHarness({}, undefined, undefined, { trustProxy: ["127.0.0.1"], banLoopback: true });
  const as = (address: string) => ({ headers: { "X-Forwarded-For": address } });
  const { port, admission } = harness;
  using inside = await RawClient.connect({ port }, as("192.0.2.9"));
  using outside = await RawClient.connect({ port }, as("198.51.100.9"));
  assert.ok(admission.ban("192.0.2.0/24", 60_000));
  assert.equal((await inside.nextClose()).code, 1008);
  await inside.sendClose(1008);
  await inside.eof();
  using refused = await RawClient.open({ port });
  assert.equal((await refused.handshake(as("192.0.2.10"))).status, 403);
  await outside.sendText("hello");
  assert.equal(await outside.nextText(), "hello");
  assert.deepEqual(admission.bans().map(({ client }) => client), ["192.0.2.0/24"]);
  assert.ok(admission.unban("192.0.2.0/24"));
  using again = await RawClient.connect({ port }, as("192.0.2.10"));
  again.close();
  outside.close();
  await harness.stop();
});

Deno.test("what another node bans is looked at: a network that is none is not followed", async () => {
  const harness = startHarness();
  const { admission } = harness;
  for (const key of ["0.0.0.0/0", "192.0.2.1/24", "x/y", "192.0.2.0/24"]) admission.followBan(key, 60_000);
  assert.deepEqual(admission.bans().map(({ client }) => client), ["192.0.2.0/24"]);
  admission.followBan("192.0.2.0/24", 0);
  assert.deepEqual(admission.bans(), []);
  await harness.stop();
});
