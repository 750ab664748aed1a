// The admin listener: who is let in, what is refused and how, and what the routes do.

import assert from "node:assert/strict";
import { MAX_RECORDS } from "../../src/admin/event_feed.ts";
import { MAX_STREAMS } from "../../src/admin/event_stream.ts";
import { MAX_BODY_SIZE } from "../../src/admin/request_guard.ts";
import { MAX_REVOCATIONS_SIZE } from "../../src/admin/session_routes.ts";
import { StartError } from "../../src/core/errors.ts";
import { DatabaseSync } from "node:sqlite";
import type { Revocation } from "../../src/endpoints/sessions/revocation_store.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import { AdminBench, bearer } from "./harness.ts";

const ADMIN = { scope: "wsward:admin" };
const JSON_TYPE = { "Content-Type": "application/json" };

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

for (
  const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "192.0.2.1",
    "[::2]:1",
    "localhost:99999",
    "localhost:65536",
    "127.0.0.1:1:1",
    "127.0.0.256",
    "127.0.0.09",
    "[127.0.0.1]",
    "[::1",
    "",
    "localhost:1, a",
    "x@127.0.0.1",
  ]
) {
  Deno.test(`answers 421 to the Host ${JSON.stringify(host)}`, async () => {
    await using bench = new AdminBench();
    for (const path of ["/healthz", "/metrics", "/status", "/nowhere"]) {
      const { status, headers } = await bench.send({ path, host, headers: bearer(ADMIN) });
      assert.equal(status, 421, path);
      assert.equal(headers.has("access-control-allow-origin"), false);
    }
  });
}

for (const host of ["localhost", "localhost:", "LOCALHOST:65535", "127.9.9.9:1", "[::1]:9090", "[::1]"]) {
  Deno.test(`answers to the Host ${host}`, async () => {
    await using bench = new AdminBench();
    assert.equal((await bench.send({ path: "/metrics", host })).status, 200);
    assert.equal((await bench.send({ path: "/", host })).status, 200);
  });
}

Deno.test("refuses every other origin, except for the health, and shares nothing with it", async () => {
  await using bench = new AdminBench();
  const own = `http://127.0.0.1:${bench.port}`;
  for (
    const origin of [
      "null",
      "http://evil.example",
      `https://127.0.0.1:${bench.port}`,
      "http://127.0.0.1",
      own + "/",
    ]
  ) {
    for (const path of ["/", "/metrics", "/readyz", "/status"]) {
      const { status, headers } = await bench.send({ path, headers: { ...bearer(ADMIN), Origin: origin } });
      assert.equal(status, 403, `${path} from ${origin}`);
      assert.equal(headers.has("access-control-allow-origin"), false);
    }
    assert.equal((await bench.send({ path: "/healthz", headers: { Origin: origin } })).status, 200);
    assert.equal(
      (await bench.send({ method: "POST", path: "/healthz", headers: { Origin: origin } })).status,
      403,
    );
    assert.equal(
      (await bench.send({ method: "OPTIONS", path: "/bans", headers: { Origin: origin } })).status,
      403,
    );
  }
  assert.equal(
    (await bench.send({ path: "/status", headers: { ...bearer(ADMIN), Origin: own } })).status,
    200,
  );
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

const GUARDED = [
  ["GET", "/status"],
  ["GET", "/events"],
  ["GET", "/history"],
  ["GET", "/connections"],
  ["DELETE", "/connections/x"],
  ["GET", "/sessions"],
  ["DELETE", "/sessions/x"],
  ["GET", "/revocations"],
  ["POST", "/revocations"],
  ["DELETE", "/revocations/x"],
  ["GET", "/bans"],
  ["POST", "/bans"],
  ["DELETE", "/bans/192.0.2.1"],
] as const;

for (const [method, path] of GUARDED) {
  Deno.test(`${method} ${path} needs the token of an administrator`, async () => {
    await using bench = new AdminBench();
    const refusal = async (headers: Record<string, string>) => {
      const response = await bench.send({ method, path, headers });
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.json.status, response.status);
      return [response.status, response.headers.get("www-authenticate")];
    };
    const invalid = [401, 'Bearer error="invalid_token"'];
    const insufficient = [403, 'Bearer error="insufficient_scope", scope="wsward:admin"'];
    assert.deepEqual(await refusal({}), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Basic YTpi" }), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Bearer" }), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Bearer %%%" }), invalid);
    assert.deepEqual(await refusal({ Authorization: "Bearer expired" }), invalid);
    assert.equal((await refusal({ Authorization: "Bearer busy" }))[0], 503);
    for (
      const claims of [{}, { scope: "wsward" }, { scope: "xwsward:admin" }, { scope: { "wsward:admin": 1 } }]
    ) {
      assert.deepEqual(await refusal(bearer(claims)), insufficient);
    }
    bench.revokedUser = "alice";
    assert.deepEqual(await refusal(bearer(ADMIN)), invalid);
  });
}

for (
  const claims of [
    { scope: "wsward:admin" },
    { scope: "read wsward:admin write" },
    { scp: "wsward:admin" },
    { scp: ["read", "wsward:admin"] },
    { scope: ["wsward:admin"] },
    { scope: "read", scp: ["wsward:admin"] },
  ]
) {
  Deno.test(`the claims ${JSON.stringify(claims)} have the scope`, async () => {
    await using bench = new AdminBench();
    assert.equal((await bench.send({ path: "/sessions", headers: bearer(claims) })).status, 200);
  });
}

Deno.test("bodies are refused where none belongs, and where they are not JSON", async () => {
  await using bench = new AdminBench();
  const status = async (method: string, path: string, headers: Record<string, string>, body?: string) =>
    (await bench.send({
      method,
      path,
      headers: { ...bearer(ADMIN), ...headers },
      ...(body === undefined ? {} : { body }),
    })).status;
  assert.equal(await status("DELETE", "/bans/192.0.2.1", {}, "{}"), 400);
  assert.equal(await status("GET", "/healthz", {}, "x"), 400);
  assert.equal(await status("POST", "/bans", {}, "{}"), 415);
  assert.equal(await status("POST", "/bans", { "Content-Type": "text/plain" }, "{}"), 415);
  for (const body of ["", "{", "[]", "null", '{"address":"192.0.2.1","address":"192.0.2.2"}', "\ufeff{}"]) {
    assert.equal(await status("POST", "/bans", JSON_TYPE, body), 400, body);
  }
  const type = { "Content-Type": "Application/JSON; charset=utf-8" };
  assert.equal(await status("POST", "/bans", type, '{"address":"192.0.2.1"}'), 201);
});

Deno.test("a body is read up to its limit and not beyond, announced or not", async () => {
  await using bench = new AdminBench();
  const bodyOf = (size: number) => {
    const text = JSON.stringify({ address: "192.0.2.1" });
    return text.slice(0, -1) + " ".repeat(size - text.length) + "}";
  };
  assert.equal((await bench.call("POST", "/bans", bodyOf(MAX_BODY_SIZE))).status, 201);
  assert.equal((await bench.call("POST", "/bans", bodyOf(MAX_BODY_SIZE + 1))).status, 413);
  const unannounced = await bench.send({
    method: "POST",
    path: "/bans",
    headers: { ...bearer(ADMIN), ...JSON_TYPE, "Transfer-Encoding": "chunked" },
  });
  assert.equal(unannounced.status, 411);
});

Deno.test("lists sessions and closes one, which its peer sees", async () => {
  await using bench = new AdminBench();
  const alice = bench.sessions.open({ user: "alice", expires: 1_900_000_000_000 });
  const { json } = await bench.call("GET", "/sessions");
  assert.deepEqual(json.sessions, [{
    id: alice.session.id,
    user: "alice",
    address: "192.0.2.1",
    connection: "c1",
    started_at: new Date(bench.sessions.clock.now()).toISOString(),
    expires_at: "2030-03-17T17:46:40.000Z",
    messages_in: 0,
    messages_out: 0,
  }]);
  assert.equal((await bench.call("DELETE", `/sessions/${alice.session.id}`)).status, 204);
  assert.deepEqual(alice.peer.closed, { code: 1008, reason: "closed by an administrator" });
  assert.equal((await bench.call("DELETE", `/sessions/${alice.session.id}`)).status, 404);
  assert.deepEqual((await bench.call("GET", "/sessions")).json, { sessions: [] });
});

Deno.test("revokes a user in the form that sessions have the name in", async () => {
  await using bench = new AdminBench();
  const zoe = bench.sessions.open({ user: "Zo\u00eb" });
  const { status, json } = await bench.call("POST", "/revocations", { kind: "user", value: "Zoe\u0308" });
  assert.deepEqual([status, json.value], [201, "Zo\u00eb"]);
  assert.equal(zoe.peer.closed?.code, 3000);
});

Deno.test("revokes by all three kinds, lists and takes back", async () => {
  await using bench = new AdminBench();
  const byJti = bench.sessions.open({ jti: "a" });
  const byUser = bench.sessions.open({ user: "bob" });
  const bySession = bench.sessions.open({ user: "carol", jti: "c" });
  const ids: string[] = [];
  for (
    const [kind, value, { peer }] of [
      ["jti", "a", byJti],
      ["user", "bob", byUser],
      ["session", bySession.session.id, bySession],
    ] as const
  ) {
    const { status, headers, json } = await bench.call("POST", "/revocations", {
      kind,
      value,
      ttl_seconds: 60,
    });
    assert.deepEqual([status, headers.get("location")], [201, `/revocations/${json.id}`]);
    assert.deepEqual([json.kind, json.value], [kind, value]);
    assert.equal(Date.parse(json.expires_at) - Date.parse(json.revoked_at), 60_000);
    assert.deepEqual(peer.closed, { code: 3000, reason: "token revoked" });
    ids.push(json.id);
  }
  const { json } = await bench.call("GET", "/revocations");
  // Those of the same millisecond are in no particular order.
  assert.deepEqual(json.revocations.map(({ id }: { id: string }) => id).sort(), ids.toSorted());
  for (const id of ids) assert.equal((await bench.call("DELETE", `/revocations/${id}`)).status, 204);
  assert.equal((await bench.call("DELETE", `/revocations/${ids[0]}`)).status, 404);
  assert.deepEqual((await bench.call("GET", "/revocations")).json, { revocations: [] });
});

for (
  const [body, field] of [
    [{}, "kind"],
    [{ kind: "role", value: "x" }, "kind"],
    [{ kind: "user" }, "value"],
    [{ kind: "user", value: "" }, "value"],
    [{ kind: "user", value: 5 }, "value"],
    [{ kind: "user", value: "x", ttl_seconds: 0 }, "ttl_seconds"],
    [{ kind: "user", value: "x", ttl_seconds: 315_360_001 }, "ttl_seconds"],
    [{ kind: "user", value: "x", ttl_seconds: 1.5 }, "ttl_seconds"],
    [{ kind: "user", value: "x", ttl_seconds: "60" }, "ttl_seconds"],
    [{ kind: "user", value: "x", more: 1 }, "more"],
  ] as const
) {
  Deno.test(`refuses to revoke ${JSON.stringify(body)}`, async () => {
    await using bench = new AdminBench();
    const { status, json } = await bench.call("POST", "/revocations", body);
    assert.deepEqual([status, json.field], [400, field]);
    assert.deepEqual(bench.sessions.sessions.revocations(), []);
  });
}

Deno.test("a revocation lasts from a second to ten years, and a year if nothing is said", async () => {
  await using bench = new AdminBench();
  for (const [ttl, seconds] of [[1, 1], [315_360_000, 315_360_000], [undefined, 31_536_000]] as const) {
    const { status, json } = await bench.call("POST", "/revocations", {
      kind: "user",
      value: `x${seconds}`,
      ttl_seconds: ttl,
    });
    assert.deepEqual(
      [status, (Date.parse(json.expires_at) - Date.parse(json.revoked_at)) / 1000],
      [201, seconds],
    );
  }
  const closed = await bench.call("POST", "/revocations", { kind: "session", value: crypto.randomUUID() });
  assert.equal(closed.status, 404);
});

Deno.test("bans, lists and unbans addresses, in any spelling", async () => {
  await using bench = new AdminBench();
  assert.equal((await bench.call("POST", "/bans", { address: "192.0.2.1", ttl_seconds: 60 })).status, 201);
  assert.equal((await bench.call("POST", "/bans", { address: "2001:DB8::0:1" })).status, 201);
  assert.deepEqual([...bench.firewall.banned], [["192.0.2.1", 60_000], ["2001:db8::1", 600_000]]);
  const { json } = await bench.call("GET", "/bans");
  assert.deepEqual(json.bans.map(({ client }: { client: string }) => client), ["192.0.2.1", "2001:db8::1"]);
  assert.equal((await bench.call("DELETE", "/bans/192.0.2.1")).status, 204);
  assert.equal((await bench.call("DELETE", "/bans/192.0.2.1")).status, 404);
  assert.equal((await bench.call("DELETE", "/bans/2001%3adb8::1%2F64")).status, 204);
  assert.equal((await bench.call("DELETE", "/bans/example.com")).status, 400);
  assert.equal((await bench.call("POST", "/bans", { address: "127.0.0.1" })).status, 409);
  for (
    const body of [{ address: "example.com" }, { address: "192.0.2.0/24" }, {
      address: "192.0.2.1",
      ttl_seconds: 2_592_001,
    }]
  ) {
    assert.equal((await bench.call("POST", "/bans", body)).status, 400);
  }
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

Deno.test("shows the last records, without tokens and with everything escaped", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i <= MAX_RECORDS; i++) bench.feed.record("connection.closed", { code: i });
  bench.feed.record("handler.error", { error: "eyJabc.def.ghi \u202e\n" });
  const { json, text } = await bench.call("GET", "/events");
  assert.equal(json.events.length, MAX_RECORDS);
  assert.equal(json.events[0].code, 2);
  assert.equal(json.events.at(-1).error, "[token] \u202e\n");
  assert.doesNotMatch(text, /\u202e|eyJ/);
});

/** Reads a stream until the text matches. */
async function readUntil(reader: ReadableStreamDefaultReader<string>, pattern: RegExp): Promise<string> {
  let text = "";
  while (!pattern.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Ended without ${pattern}: ${text}`);
    text += value;
  }
  return text;
}

function openStream(bench: AdminBench, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${bench.server.url}events`, {
    headers: { ...bearer(ADMIN), Accept: "text/event-stream", ...headers },
  });
}

Deno.test("streams the records that are kept and then those to come, from where a reader left off", async () => {
  await using bench = new AdminBench();
  bench.feed.record("connection.opened", { connection: "one" });
  bench.feed.record("connection.opened", { connection: "two" });
  const response = await openStream(bench, { "Last-Event-ID": "1" });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const kept = await readUntil(reader, /two/);
  assert.doesNotMatch(kept, /one/);
  bench.feed.record("connection.opened", { connection: "three" });
  assert.match(await readUntil(reader, /three.*\n\n/), /^id: 3\ndata: \{.*"connection":"three"\}\n\n$/);
  await reader.cancel();
});

Deno.test("a stream ends with its token, before the next record", async () => {
  await using bench = new AdminBench();
  const expires = Date.now() + 300;
  const response = await openStream(bench, bearer({ ...ADMIN, expires }));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  bench.feed.record("connection.opened", { connection: "before" });
  await readUntil(reader, /before/);
  while (Date.now() <= expires) await new Promise((resolve) => setTimeout(resolve, 10));
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("a stream ends when its token is revoked, before the next record", async () => {
  await using bench = new AdminBench();
  const response = await openStream(bench);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  bench.feed.record("connection.opened", { connection: "before" });
  await readUntil(reader, /before/);
  bench.revokedUser = "alice";
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("a fault in the question whether a stream may go on ends the stream, and not who wrote the record", async () => {
  let isBroken = false;
  await using bench = new AdminBench({
    isRevoked() {
      if (isBroken) throw new TypeError("planted");
      return false;
    },
  });
  const response = await openStream(bench);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  await readUntil(reader, /:/);
  isBroken = true;
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("the place of a reader that leaves is free again at once", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i < 3 * MAX_STREAMS; i++) {
    const response = await openStream(bench);
    assert.equal(response.status, 200, `after ${i} readers`);
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    // A connection that is made later is accepted later, and so sees what the end of this one did.
    await bench.send({ path: "/healthz" });
  }
});

Deno.test("streams are bounded in number, and all of them end with the listener", async () => {
  const bench = new AdminBench();
  const responses: Response[] = [];
  for (let i = 0; i < MAX_STREAMS; i++) responses.push(await openStream(bench));
  const more = await openStream(bench);
  assert.equal(more.status, 503);
  await more.body?.cancel();
  const texts = responses.map((response) => response.text());
  await bench.server.stop();
  for (const text of await Promise.all(texts)) assert.match(text, /^:\n\n/);
});

Deno.test("records its refusals, a few of them a second, and every change with who made it", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i < 30; i++) await bench.send({ path: "/status" });
  const refused = bench.feed.recent().filter(({ json }) => json.includes("admin.refused")).length;
  assert.ok(refused >= 5 && refused < 30, String(refused));
  await bench.call("POST", "/bans", { address: "192.0.2.1" });
  await bench.call("DELETE", "/bans/192.0.2.1");
  const changes = bench.feed.recent().map(({ json }) => JSON.parse(json)).filter(({ event }) =>
    event === "admin.changed"
  );
  assert.deepEqual(changes.map(({ user, detail }) => [user, detail]), [
    ["alice", "POST /bans"],
    ["alice", "DELETE /bans/192.0.2.1"],
  ]);
});

Deno.test("refusals and faults beyond a few a second are summed up", async () => {
  const bench = new AdminBench({
    isRevoked: () => {
      throw new TypeError("planted");
    },
  });
  for (let i = 0; i < 40; i++) {
    assert.equal((await bench.send({ path: "/", host: "localhost:99999" })).status, 421);
    assert.equal((await bench.call("GET", "/sessions")).status, 500);
  }
  await bench.server.stop();
  const records = bench.feed.recent().map(({ json }) => JSON.parse(json));
  for (const [event, kind] of [["admin.refused", "refusals"], ["process.unhandled", "faults"]]) {
    const single = records.filter((record) => record.event === event);
    const sums = records.filter((record) =>
      record.event === "admin.records_left_out" && record.kind === kind
    );
    const left = sums.reduce((sum, { count }) => sum + count, 0);
    assert.ok(single.length < 40 && sums.length > 0, `${single.length} records, ${sums.length} sums`);
    assert.equal(single.length + left, 40);
  }
  assert.match(records.find(({ event }) => event === "process.unhandled").error, /planted\n +at /);
});

Deno.test("a revocation that can't be stored, or taken back, is a 500 and a record", async () => {
  const database = new DatabaseSync(":memory:");
  class FailingRegistry extends SessionRegistry {
    override revoke(): undefined {
      database.exec("COMMIT");
    }
    override removeRevocation(): boolean {
      database.exec("COMMIT");
      return true;
    }
  }
  await using bench = new AdminBench({ sessions: new FailingRegistry() });
  assert.equal((await bench.call("POST", "/revocations", { kind: "user", value: "bob" })).status, 500);
  assert.equal((await bench.call("DELETE", "/revocations/one")).status, 500);
  const records = bench.feed.recent().map(({ json }) => JSON.parse(json));
  assert.deepEqual(records.map(({ event, kind, target, revocation }) => [event, kind, target, revocation]), [
    ["revocation.not_stored", "user", "bob", undefined],
    ["revocation.not_stored", undefined, undefined, "one"],
  ]);
  database.close();
});

Deno.test("revocations are refused when they take too much memory", async () => {
  const value = "v".repeat(8192);
  const held: Revocation[] = [];
  class FullRegistry extends SessionRegistry {
    override revocations(): Revocation[] {
      return held;
    }
  }
  const one: Revocation = { id: "1", kind: "user", value, jtis: [], revokedAtMs: 0, expiresAtMs: 1 };
  const room = Math.floor(MAX_REVOCATIONS_SIZE / (8192 + 256));
  for (let i = 1; i < room; i++) held.push(one);
  await using bench = new AdminBench({ sessions: new FullRegistry() });
  assert.equal((await bench.call("POST", "/revocations", { kind: "user", value })).status, 201);
  held.push(one);
  assert.equal((await bench.call("POST", "/revocations", { kind: "user", value })).status, 503);
});

Deno.test("sessions, revocations and bans come in pages", async () => {
  await using bench = new AdminBench();
  for (const name of ["a", "b", "c"]) {
    bench.sessions.open({ user: name });
    bench.sessions.sessions.revoke({ kind: "user", value: `x${name}`, ttlMs: 60_000 });
    bench.firewall.ban(`192.0.2.${name.charCodeAt(0)}`, 60_000);
  }
  for (const list of ["sessions", "revocations", "bans"]) {
    const first = (await bench.call("GET", `/${list}?limit=2`)).json;
    const rest = (await bench.call("GET", `/${list}?limit=2&after=${encodeURIComponent(first.next)}`)).json;
    assert.deepEqual([first[list].length, rest[list].length, rest.next], [2, 1, undefined], list);
    const names = (items: { id?: string; client?: string }[]) => items.map(({ id, client }) => id ?? client);
    const all = (await bench.call("GET", `/${list}`)).json;
    assert.deepEqual(names([...first[list], ...rest[list]]), names(all[list]));
    assert.equal((await bench.call("GET", `/${list}?limit=0`)).status, 400);
  }
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
