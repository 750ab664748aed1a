// The list of connections, sorted and in pages; closing a connection; and the history of the last two minutes.

import assert from "node:assert/strict";
import { History, type Totals } from "../../src/admin/history.ts";
import type { ConnectionFacts } from "../../src/firewall/connection/connection_parts.ts";
import { startHarness } from "../support/firewall_harness.ts";
import { RawClient } from "../support/raw_client.ts";
import { AdminBench } from "./harness.ts";

function facts(id: string, more: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    id,
    endpoint: "echo",
    address: "192.0.2.1",
    openedMs: 0,
    messagesIn: 1,
    messagesOut: 2,
    bytesIn: 3,
    bytesOut: 4,
    heldBytes: 5,
    throttledMs: 6,
    isClosing: false,
    ...more,
  };
}

function idsOf(json: { connections: { id: string }[] }): string[] {
  return json.connections.map(({ id }) => id);
}

Deno.test("lists every connection with what it did, and the user of its session", async () => {
  await using bench = new AdminBench();
  const { peer } = bench.sessions.open({ user: "alice" });
  const nowMs = performance.now();
  bench.firewall.open.push(
    facts("two", { openedMs: nowMs - 1000, isClosing: true }),
    facts(peer.connection, { openedMs: nowMs - 60_000, endpoint: "secure" }),
  );
  const { status, json } = await bench.call("GET", "/connections");
  assert.equal(status, 200);
  assert.deepEqual(idsOf(json), [peer.connection, "two"]);
  const [first, second] = json.connections;
  assert.ok(Math.abs(Date.now() - 60_000 - Date.parse(first.opened_at)) < 5000);
  assert.deepEqual(first, {
    id: peer.connection,
    endpoint: "secure",
    address: "192.0.2.1",
    user: "alice",
    opened_at: first.opened_at,
    messages_in: 1,
    messages_out: 2,
    bytes_in: 3,
    bytes_out: 4,
    held_bytes: 5,
    throttled_seconds: 0.006,
    closing: false,
  });
  assert.deepEqual([second.user, second.closing], [undefined, true]);
});

Deno.test("connections come in the order of age, in pages, or first those who have most", async () => {
  await using bench = new AdminBench();
  bench.firewall.open.push(
    facts("c", { openedMs: 3, heldBytes: 7 }),
    facts("a", { openedMs: 1, bytesOut: 100 }),
    facts("b", { openedMs: 2, throttledMs: 9000 }),
  );
  const list = async (query: string) => idsOf((await bench.call("GET", `/connections${query}`)).json);
  assert.deepEqual(await list(""), ["a", "b", "c"]);
  assert.deepEqual(await list("?order=age"), ["a", "b", "c"]);
  assert.deepEqual((await list("?order=bytes"))[0], "a");
  assert.deepEqual((await list("?order=held"))[0], "c");
  assert.deepEqual(await list("?order=throttled&limit=1"), ["b"]);
  const { json } = await bench.call("GET", "/connections?limit=2");
  assert.deepEqual(idsOf(json), ["a", "b"]);
  assert.deepEqual(await list(`?limit=2&after=${encodeURIComponent(json.next)}`), ["c"]);
  for (
    const [query, field] of [
      ["?order=size", "order"],
      ["?order=constructor", "order"],
      ["?order=held&after=x", "after"],
      ["?limit=0", "limit"],
      ["?limit=1001", "limit"],
    ] as const
  ) {
    const refused = await bench.call("GET", `/connections${query}`);
    assert.deepEqual([refused.status, refused.json.field], [400, field], query);
  }
});

Deno.test("of ten thousand connections a thousand are told, quickly", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i < 10_000; i++) bench.firewall.open.push(facts(`c${i}`, { openedMs: i, heldBytes: i }));
  const { json } = await bench.call("GET", "/connections?order=held");
  assert.equal(json.connections.length, 1000);
  assert.equal(json.connections[0].id, "c9999");
});

Deno.test("closes a connection by its id, and says when there is none or nothing has started", async () => {
  await using bench = new AdminBench();
  bench.firewall.open.push(facts("one"));
  assert.equal((await bench.call("DELETE", "/connections/one")).status, 204);
  assert.equal((await bench.call("DELETE", "/connections/two")).status, 404);
  assert.deepEqual(bench.firewall.closed, ["one", "two"]);
  bench.isStarted = false;
  assert.equal((await bench.call("GET", "/connections")).status, 503);
  assert.equal((await bench.call("DELETE", "/connections/one")).status, 503);
});

Deno.test("a real connection tells what it did, and is closed with 1008", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  await client.sendText("hello");
  assert.equal(await client.nextText(), "hello");
  const [known, ...more] = harness.firewall.connectionFacts();
  assert.equal(more.length, 0);
  const { id, openedMs, ...rest } = known!;
  assert.ok(openedMs <= performance.now());
  assert.deepEqual(rest, {
    endpoint: "echo",
    address: "127.0.0.1",
    messagesIn: 1,
    messagesOut: 1,
    bytesIn: 11,
    bytesOut: 7,
    heldBytes: 0,
    throttledMs: 0,
    isClosing: false,
  });
  assert.equal(harness.firewall.closeConnection("another", { code: 1008, reason: "" }), false);
  assert.equal(
    harness.firewall.closeConnection(id, { code: 1008, reason: "closed by an administrator" }),
    true,
  );
  assert.deepEqual(await client.nextClose(), { code: 1008, reason: "closed by an administrator" });
  await client.sendClose(1008);
  await client.eof();
  await harness.ended(1);
  assert.deepEqual([...harness.firewall.connectionFacts()], []);
  await harness.stop();
});

Deno.test("a connection that is too fast tells for how long it was not read", async () => {
  const harness = startHarness({ messageRate: 20 });
  using client = await RawClient.connect({ port: harness.port });
  for (let i = 0; i < 25; i++) await client.sendText("x");
  for (let i = 0; i < 25; i++) await client.nextText();
  const [known] = harness.firewall.connectionFacts();
  assert.ok(known!.throttledMs > 0);
  assert.ok(known!.throttledMs <= harness.firewall.counters.throttledMs);
  client.close();
  await harness.stop();
});

function totals(messages_in: number): Totals {
  return {
    connections: 0,
    refusals: 0,
    closes: 0,
    violations: 0,
    messages_in,
    messages_out: 0,
    bytes_in: 0,
    bytes_out: 0,
  };
}

for (
  const [moments, points] of [[0, 0], [1, 0], [2, 1], [120, 119], [121, 120], [122, 120], [500, 120]] as const
) {
  Deno.test(`of ${moments} moments ${points} points are told, with rates`, () => {
    const history = new History(() => undefined);
    try {
      for (let i = 0; i < moments; i++) {
        history.add({ connections_open: i, sessions_open: 2, totals: totals(10 * i) }, 2000 * i);
      }
      const report = history.report(2000 * moments);
      assert.equal(report.length, points);
      for (const [i, { seconds_ago, connections_open, sessions_open, rates }] of report.entries()) {
        assert.deepEqual([seconds_ago, connections_open], [2 * (points - i), moments - points + i]);
        assert.deepEqual([sessions_open, rates.messages_in, rates.bytes_in], [2, 5, 0]);
      }
    } finally {
      history.stop();
    }
  });
}

Deno.test("the history is told without waiting, and the status says until when the token is good", async () => {
  await using bench = new AdminBench();
  assert.deepEqual((await bench.call("GET", "/history")).json, { points: [] });
  const { json } = await bench.call("GET", "/status");
  assert.ok(Date.parse(json.token_expires_at) > Date.now());
  assert.deepEqual(json.upstreams, []);
});
