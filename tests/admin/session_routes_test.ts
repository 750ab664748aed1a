// Sessions and revocations as an administrator reaches them.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MAX_REVOCATIONS_SIZE } from "../../src/admin/session_routes.ts";
import type { Revocation } from "../../src/endpoints/sessions/revocation_store.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import { AdminBench } from "./harness.ts";

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
