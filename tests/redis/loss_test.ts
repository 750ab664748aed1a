// What still holds when Redis is down, slow, empty, full, read-only, or busy with somebody else's script.

import assert from "node:assert/strict";
import { NO_REDIS, privatePort, RedisServer } from "./redis_server.ts";
import { Node, token, until } from "./nodes.ts";
import { keyOf } from "../../src/cluster/wire.ts";
import type { RawClient } from "../support/raw_client.ts";

/** A session, and that it goes on. */
async function open(node: Node, claims: Record<string, unknown> = {}): Promise<RawClient> {
  const { client, answer } = await node.login(token(claims));
  assert.equal(answer, "Authenticated!");
  return client;
}

async function goesOn(client: RawClient): Promise<void> {
  await client.sendText("still there");
  assert.equal(await client.nextText(), "Server received: still there");
}

async function answer(node: Node, claims: Record<string, unknown> = {}): Promise<string> {
  const login = await node.login(token(claims));
  login.client.close();
  return login.answer;
}

/** How many sessions Redis has of all nodes. */
async function registered(redis: RedisServer): Promise<number> {
  return Number(await redis.call("ZCARD", "{wsward}:all"));
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_REDIS, fn });
}

test("Redis stands still: the first session waits for the timeout, the next ones do not, and there is no ghost", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, ["--replay-check", "--redis-timeout", "500ms"]);
  await a.joined();
  const alice = await open(a, { jti: "one" });
  redis.signal("SIGSTOP");
  const startMs = performance.now();
  const first = await open(a, { jti: "two" });
  const waitedMs = performance.now() - startMs;
  assert.ok(waitedMs >= 400 && waitedMs < 5000, `it waited ${waitedMs} ms`);
  await a.program.logged(/Redis can't be used.*no answer within 500 ms/);
  const nextMs = performance.now();
  for (let i = 0; i < 5; i++) (await open(a, { jti: `more ${i}`, user_id: "bob" })).close();
  assert.ok(performance.now() - nextMs < 2500, "without Redis nobody waits");
  await goesOn(alice);
  const ready = await fetch(`${await a.adminUrl()}/readyz`);
  assert.equal(ready.status, 200);
  assert.match(await ready.text(), /Redis can't be used/);
  first.close();
  redis.signal("SIGCONT");
  await until("the node is back", () => a.program.logged(/Redis can be used[^]*Redis can be used/), Boolean);
  await until("alice alone is registered", () => registered(redis), (count) => count === 1);
  await goesOn(alice);
  alice.close();
});

test("Redis is killed and starts empty: sessions are registered again, revocations, bans and tokens too", async () => {
  await using redis = await RedisServer.start();
  const flags = ["--replay-check", "--max-sessions-per-user", "2", "--ban-loopback"];
  await using a = new Node(redis.url, flags);
  await using b = new Node(redis.url, flags);
  await a.joined();
  await b.joined();
  const alice = await open(a, { jti: "a1" });
  const other = await open(b, { jti: "a2" });
  assert.equal((await a.admin("POST", "/revocations", { kind: "user", value: "eve" })).status, 201);
  assert.equal((await a.admin("POST", "/bans", { address: "192.0.2.7" })).status, 201);
  await redis.kill();
  await a.program.logged(/Redis can't be used/);
  await b.program.logged(/Redis can't be used/);
  const revoked = await b.admin("POST", "/revocations", { kind: "user", value: "mallory" });
  assert.equal((revoked.json as { everywhere: boolean }).everywhere, false);
  await redis.restart();
  await until("both are registered", () => registered(redis), (count) => count === 2);
  // Nobody was thrown out, and the limit holds over both nodes.
  await goesOn(alice);
  await goesOn(other);
  assert.equal(await answer(a, { jti: "a3" }), "Too Many Sessions");
  // A token that one node saw is used up on the other. Asked twice, that one would only have seen it itself.
  await until(
    "it is in Redis",
    () => redis.call("EXISTS", `{wsward}:j:${keyOf("a1")}`),
    (count) => count === 1,
  );
  assert.equal(await answer(b, { jti: "a1", user_id: "dave" }), "Token Already Used");
  for (const node of [a, b]) {
    for (const user of ["eve", "mallory"]) {
      await until(
        `${user} is revoked`,
        () => answer(node, { user_id: user, jti: crypto.randomUUID(), iat: 1 }),
        (text) => text === "Token Revoked",
      );
    }
    const bans = (await node.admin("GET", "/bans")).json as { bans: { client: string }[] };
    assert.deepEqual(bans.bans.map(({ client }) => client), ["192.0.2.7"]);
  }
  alice.close();
  other.close();
});

test("FLUSHALL: within a beat all is there again", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url);
  await a.joined();
  const alice = await open(a);
  await a.admin("POST", "/revocations", { kind: "user", value: "eve" });
  await redis.call("FLUSHALL");
  await until("alice is registered", () => registered(redis), (count) => count === 1);
  await until("eve is revoked in Redis", () => redis.call("HLEN", "{wsward}:r"), (count) => count === 1);
  assert.equal(await answer(a, { user_id: "eve", iat: 1 }), "Token Revoked");
  await goesOn(alice);
  alice.close();
});

test("SCRIPT FLUSH and CLIENT KILL cost no session", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url);
  await a.joined();
  const alice = await open(a);
  await redis.call("SCRIPT", "FLUSH");
  (await open(a, { user_id: "bob" })).close();
  await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
  await redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await a.program.logged(/Redis can't be used[^]*Redis can be used/);
  await goesOn(alice);
  (await open(a, { user_id: "carol" })).close();
  alice.close();
});

test("start without Redis, which comes later; what was done alone is told then", async () => {
  const port = privatePort();
  await using a = new Node(`redis://127.0.0.1:${port}`);
  await a.program.logged(/Redis can't be used.*connection refused/);
  const alice = await open(a);
  await a.admin("POST", "/revocations", { kind: "user", value: "eve" });
  await using redis = await RedisServer.start([], port);
  await a.joined();
  await until("alice is registered", () => registered(redis), (count) => count === 1);
  await using b = new Node(redis.url);
  await b.joined();
  assert.equal(await answer(b, { user_id: "eve", iat: 1 }), "Token Revoked");
  alice.close();
});

test("--on-redis-loss refuse: new sessions get 1013, or 503 in the handshake; open ones go on", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, ["--on-redis-loss", "refuse"]);
  await a.joined();
  const alice = await open(a);
  await redis.kill();
  await a.program.logged(/Redis can't be used/);
  const { client, answer: text } = await a.login(token());
  assert.equal(text, "Try Again Later");
  assert.equal((await client.nextClose()).code, 1013);
  client.close();
  await goesOn(alice);
  alice.close();
});

test("a Redis that is full, and has room again", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url);
  await a.joined();
  const alice = await open(a);
  await redis.call("CONFIG", "SET", "maxmemory", "1");
  const bob = await open(a, { user_id: "bob" });
  await a.program.logged(/Redis can't be used.*OOM/);
  await redis.call("CONFIG", "SET", "maxmemory", "0");
  await until("both are registered", () => registered(redis), (count) => count === 2);
  await goesOn(alice);
  await goesOn(bob);
  alice.close();
  bob.close();
});

test("an endless script of somebody else", async () => {
  await using redis = await RedisServer.start(["--busy-reply-threshold", "100"]);
  await using a = new Node(redis.url, ["--redis-timeout", "500ms"]);
  await a.joined();
  const alice = await open(a);
  const endless = redis.call("EVAL", "while true do end", 0);
  const bob = await open(a, { user_id: "bob" });
  await a.program.logged(/Redis can't be used/);
  await goesOn(alice);
  await redis.call("SCRIPT", "KILL");
  await endless;
  await until("both are registered", () => registered(redis), (count) => count === 2);
  alice.close();
  bob.close();
});

test("a replica is left alone, and used once it is the primary", async () => {
  await using primary = await RedisServer.start();
  await using replica = await RedisServer.start(["--replicaof", "127.0.0.1", String(primary.port)]);
  await using a = new Node(replica.url);
  await a.program.logged(/Redis can't be used.*(?:READONLY|LOADING|MASTERDOWN)/);
  const alice = await open(a);
  await replica.call("REPLICAOF", "NO", "ONE");
  await a.joined();
  await until("alice is registered", () => registered(replica), (count) => count === 1);
  await goesOn(alice);
  alice.close();
});
