// The bans as an administrator lists, adds and lifts them.

import assert from "node:assert/strict";
import { AdminBench } from "./harness.ts";

Deno.test("bans, lists and unbans addresses, in any spelling", async () => {
  await using bench = new AdminBench();
  assert.equal((await bench.call("POST", "/bans", { address: "192.0.2.1", ttl_seconds: 60 })).status, 201);
  assert.equal((await bench.call("POST", "/bans", { address: "2001:DB8::0:1" })).status, 201);
  assert.deepEqual([...bench.firewall.banned], [["192.0.2.1", 60_000], ["2001:db8::/64", 600_000]]);
  const { json } = await bench.call("GET", "/bans");
  assert.deepEqual(json.bans.map(({ client }: { client: string }) => client), ["192.0.2.1", "2001:db8::/64"]);
  assert.equal((await bench.call("DELETE", "/bans/192.0.2.1")).status, 204);
  assert.equal((await bench.call("DELETE", "/bans/192.0.2.1")).status, 404);
  assert.equal((await bench.call("DELETE", "/bans/2001%3adb8::1%2F64")).status, 204);
  assert.equal((await bench.call("DELETE", "/bans/example.com")).status, 400);
  assert.equal((await bench.call("POST", "/bans", { address: "127.0.0.1" })).status, 409);
  for (
    const [body, field] of [
      [{ address: "example.com" }, "address"],
      [{ address: "192.0.2.0/33" }, "address"],
      [{ address: "192.0.2.1/24/1" }, "address"],
      [{ address: "0.0.0.0/7" }, "address"],
      [{ address: "1".repeat(65) }, "address"],
      [{ address: `2001:db8::1%${"z".repeat(64)}` }, "address"],
      [{ address: "2001:db8::/65" }, "address"],
      [{ address: "2001:db8::/15" }, "address"],
      [{ address: "192.0.2.1", ttl_seconds: 2_592_001 }, "ttl_seconds"],
    ] as const
  ) {
    const { status, json } = await bench.call("POST", "/bans", body);
    assert.deepEqual([status, json.field], [400, field], JSON.stringify(body));
    if (field === "address") assert.match(json.detail, /^this is neither an IP address/);
  }
});

Deno.test("networks are banned by their first address, and let in again by any", async () => {
  await using bench = new AdminBench();
  const { status, headers, json } = await bench.call("POST", "/bans", { address: "192.0.2.77/24" });
  assert.deepEqual([status, json.client], [201, "192.0.2.0/24"]);
  assert.equal(headers.get("location"), "/bans/192.0.2.0%2F24");
  assert.equal((await bench.call("DELETE", headers.get("location")!)).status, 204);
  assert.equal(
    (await bench.call("POST", "/bans", { address: "2001:db8:1:2::/32" })).json.client,
    "2001:db8::/32",
  );
  assert.equal((await bench.call("DELETE", "/bans/2001:DB8:ffff::%2f32")).status, 204);
  assert.deepEqual([...bench.firewall.banned], []);
});

Deno.test("bans need a firewall that has started; the numbers of the rest do not", async () => {
  await using bench = new AdminBench();
  bench.isStarted = false;
  for (const [method, path] of [["GET", "/bans"], ["DELETE", "/bans/192.0.2.1"]] as const) {
    assert.equal((await bench.call(method, path)).status, 503);
  }
  const { text } = await bench.send({ path: "/metrics" });
  assert.match(text, /^wsward_ready 0$/m);
  assert.doesNotMatch(text, /wsward_connections_open/);
  assert.equal((await bench.call("GET", "/status")).json.ready, false);
});
