// The admin listener: health, paths and methods, metrics and status, and faults of our own.

import assert from "node:assert/strict";
import { StartError } from "../../src/core/errors.ts";
import { AdminBench, bearer } from "./harness.ts";

const ADMIN = { scope: "wsward:admin" };

Deno.test("is alive, and ready, without a token", async () => {
  await using bench = new AdminBench();
  const alive = await bench.send({ path: "/healthz" });
  assert.deepEqual([alive.status, alive.text], [200, "ok\n"]);
  const ready = await bench.send({ path: "/readyz" });
  assert.deepEqual([ready.status, ready.json], [200, { ready: true, problems: [] }]);
});

Deno.test("says which parts are not ready, all of them, and is alive all the same", async () => {
  await using bench = new AdminBench();
  const problems = async () => {
    const { status, json } = await bench.send({ path: "/readyz" });
    assert.equal(status, json.problems.length === 0 ? 200 : 503);
    assert.equal(json.ready, status === 200);
    assert.equal((await bench.send({ path: "/healthz" })).status, 200);
    return json.problems;
  };
  bench.isStarted = false;
  assert.deepEqual(await problems(), ["starting"]);
  bench.problems = ["no usable key", "the endpoint echo is down"];
  assert.deepEqual(await problems(), ["starting", "no usable key", "the endpoint echo is down"]);
  bench.isStarted = true;
  assert.deepEqual(await problems(), ["no usable key", "the endpoint echo is down"]);
  bench.problems = [];
  assert.deepEqual(await problems(), []);
});

Deno.test("nothing it answers is kept by a cache or framed by a page", async () => {
  await using bench = new AdminBench();
  for (const path of ["/", "/healthz", "/readyz", "/metrics", "/status", "/nowhere"]) {
    const { headers } = await bench.send({ path });
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    assert.ok(Math.abs(Date.parse(headers.get("date") ?? "") - Date.now()) < 60_000);
    assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'.*frame-ancestors 'none'/);
  }
});

Deno.test("what answers GET answers HEAD with the same head and no body", async () => {
  await using bench = new AdminBench();
  for (
    const path of [
      "/",
      "/healthz",
      "/readyz",
      "/metrics",
      "/status",
      "/events",
      "/history",
      "/connections",
      "/sessions",
      "/revocations",
      "/bans",
      "/nowhere",
    ]
  ) {
    const [get, head] = [await bench.call("GET", path), await bench.call("HEAD", path)];
    const names = ({ headers }: typeof get) => [...headers.keys()];
    assert.deepEqual([head.status, names(head), head.text], [get.status, names(get), ""], path);
    assert.equal(get.headers.get("content-length"), String(new TextEncoder().encode(get.text).length));
  }
  const stream = await bench.send({
    method: "HEAD",
    path: "/events",
    headers: { ...bearer(ADMIN), Accept: "text/event-stream" },
  });
  assert.deepEqual([stream.status, stream.headers.get("content-type"), stream.text], [
    200,
    "text/event-stream",
    "",
  ]);
});

Deno.test("methods that a path does not have get 405 with those it has", async () => {
  await using bench = new AdminBench();
  for (
    const [method, path, allow] of [
      ["POST", "/healthz", "GET, HEAD"],
      ["PUT", "/bans", "GET, HEAD, POST"],
      ["GET", "/bans/192.0.2.1", "DELETE"],
      ["HEAD", "/bans/192.0.2.1", "DELETE"],
      ["OPTIONS", "/revocations", "GET, HEAD, POST"],
      ["PATCH", "/sessions/x", "DELETE"],
    ] as const
  ) {
    const { status, headers } = await bench.send({ method, path });
    assert.deepEqual([status, headers.get("allow")], [405, allow], `${method} ${path}`);
  }
});

Deno.test("paths that do not exist get 404, and one that can't be decoded 400", async () => {
  await using bench = new AdminBench();
  for (const path of ["/nowhere", "/bans/", "/bans/a/b", "/sessionsx", "/Metrics", "/metrics/"]) {
    assert.equal((await bench.call("DELETE", path)).status, 404, path);
  }
  assert.equal((await bench.call("DELETE", "/bans/%ff")).status, 400);
});

Deno.test("writes the metrics in the form that was asked for", async () => {
  await using bench = new AdminBench();
  const plain = await bench.send({ path: "/metrics" });
  assert.match(plain.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.match(plain.text, /^wsward_bans_total 4$/m);
  assert.match(
    plain.text,
    /^wsward_handshakes_total\{endpoint="echo",result="refused",reason="origin"\} 2$/m,
  );
  const open = await bench.send({
    path: "/metrics",
    headers: { Accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" },
  });
  assert.match(open.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  assert.match(open.text, /# TYPE wsward_bans counter\nwsward_bans_total 4\n/);
  assert.match(open.text, /# EOF\n$/);
});

Deno.test("the status tells totals, rates and where the endpoints are", async () => {
  await using bench = new AdminBench();
  bench.firewall.counters.opened = 3;
  bench.firewall.counters.closed = 1;
  bench.firewall.counters.closes.set(1000, 1).set(4321, 1).set(4322, 2);
  bench.firewall.counters.messagesIn.observe(10);
  bench.counters.authentication("too many sessions");
  bench.sessions.open();
  const { json } = await bench.call("GET", "/status");
  assert.deepEqual([json.version, json.ready, json.connections_open, json.sessions_open], [
    "1.2.3",
    true,
    2,
    1,
  ]);
  assert.deepEqual(json.closes, { "1000": 1, other: 3 });
  assert.deepEqual(json.refusals, { origin: 2, handshake_rate: 1 });
  assert.deepEqual(json.authentications, { too_many_sessions: 1 });
  const [echo] = json.endpoints;
  assert.deepEqual([echo.name, echo.url, echo.send_queue_bytes], ["echo", "ws://127.0.0.1:8765/", 5]);
  assert.deepEqual([echo.totals.connections, echo.totals.refusals, echo.totals.messages_in], [3, 3, 1]);
  assert.ok(Math.abs(echo.rates.connections * json.rates_window_seconds - 3) < 1e-9);
  assert.ok(json.lag_seconds >= 0);
});

Deno.test("a failure of our own is a 500 that tells nothing, and the next request is answered", async () => {
  await using bench = new AdminBench({
    isRevoked: () => {
      throw new Error("secret detail");
    },
  });
  const { status, text } = await bench.call("GET", "/sessions");
  assert.equal(status, 500);
  assert.doesNotMatch(text, /secret/);
  assert.equal((await bench.send({ path: "/healthz" })).status, 200);
});

Deno.test("an address that is taken is an error that says so", async () => {
  await using bench = new AdminBench();
  assert.throws(
    () => new AdminBench({ listen: `127.0.0.1:${bench.port}` }),
    (error) => error instanceof StartError && /the address is in use/.test(error.message),
  );
});
