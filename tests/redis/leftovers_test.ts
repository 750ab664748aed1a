// Whatever happens to nodes and clocks, Redis keeps one row for each session and none without one.

import assert from "node:assert/strict";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import type { Place } from "../../src/core/shared_state.ts";
import { Directory } from "../../src/cluster/directory.ts";
import { ADMIT, BEAT } from "../../src/cluster/scripts.ts";
import { MAX_UNUSED_TOKENS, SharedSessions } from "../../src/cluster/shared_sessions.ts";
import { keyOf, type TimeShift, writeRow } from "../../src/cluster/wire.ts";
import { RedisClient, RedisRefusal } from "../../src/redis/client.ts";
import { NO_REDIS, RedisServer } from "./redis_server.ts";

const P = "{test}:";
const NODE = "node:1";

function placeOf(id: string, user = "alice"): Place {
  return {
    id,
    user,
    address: "192.0.2.1",
    connection: "c",
    startedAtMs: Date.now(),
    expiresAtMs: Date.now() + 600_000,
    jtis: [],
  };
}

interface Parts {
  readonly redis: RedisServer;
  readonly client: RedisClient;
  /** By how much the clock of Redis is believed to be ahead. */
  readonly shift: TimeShift & { aheadMs: number };
  readonly open: Map<string, Place>;
  readonly sessions: SharedSessions;
  readonly directory: Directory;
}

function test(name: string, fn: (parts: Parts) => Promise<void>): void {
  Deno.test({
    name,
    ignore: NO_REDIS,
    async fn() {
      await using redis = await RedisServer.start();
      const client = new RedisClient({
        address: parseRedisUrl(redis.url)!,
        timeoutMs: 5000,
        caCerts: () => [],
        key: P,
        channel: `${P}hints`,
        onMessage: () => {},
        join: () => Promise.resolve(),
        onSetAhead: () => {},
        onUp: () => {},
        onDown: () => {},
        onAnswer: () => {},
      });
      await client.start();
      const shift = {
        aheadMs: 0,
        toRedis: (ms: number) => ms + shift.aheadMs,
        toOwn: (ms: number) => ms - shift.aheadMs,
      };
      const open = new Map<string, Place>();
      const sessions = new SharedSessions({
        client,
        shift,
        node: NODE,
        prefix: P,
        open: {
          get size() {
            return open.size;
          },
          has: (id) => open.has(id),
          place: (id) => open.get(id),
          ids: () => open.keys(),
          endForLimit() {},
          close() {},
        },
        settings: { maxSessionsPerUser: Infinity, onSessionLimit: "refuse-newest" },
        // The cases tell by themselves.
        attempt: () => Promise.resolve(),
      });
      const directory = new Directory({ client, shift, node: NODE });
      try {
        await fn({ redis, client, shift, open, sessions, directory });
      } finally {
        sessions.stop();
        client.stop();
      }
    },
  });
}

function beat(client: RedisClient, node = NODE): Promise<unknown> {
  return client.run(BEAT, [node, 15_000, "{}", "epoch"]);
}

test("a session that is extended after the clocks have drifted stays one session", async (parts) => {
  const { redis, client, shift, open, sessions, directory } = parts;
  await beat(client);
  const id = crypto.randomUUID();
  open.set(id, placeOf(id));
  await sessions.registerMissing();
  shift.aheadMs = 3;
  sessions.changed(id);
  await sessions.flush();
  assert.deepEqual((await directory.page("", 10)).sessions.map((session) => session.id), [id]);
  open.delete(id);
  sessions.ended(id);
  await sessions.flush();
  assert.equal(await redis.call("ZCARD", `${P}all`), 0);
});

test("rows that were thrown away leave no places behind, once somebody looks", async (parts) => {
  const { redis, client, open, sessions, directory } = parts;
  await beat(client);
  for (let i = 0; i < 5; i++) open.set(`${i}`, placeOf(`${i}`));
  await sessions.registerMissing();
  await redis.call("DEL", `${P}s:${NODE}`);
  assert.deepEqual((await directory.page("", 2)).sessions, []);
  assert.equal(await redis.call("ZCARD", `${P}all`), 0);
});

test("rows last as long as the places that name them, and as the node that had them is known", async (parts) => {
  const { redis, client, open, sessions } = parts;
  await beat(client);
  open.set("1", placeOf("1"));
  await sessions.registerMissing();
  const left = async (key: string) => Number(await redis.call("PTTL", P + key));
  for (const key of ["all", "nodes"]) assert.ok(await left(`s:${NODE}`) >= await left(key) - 1000, key);
});

test("a node that registers a session is known, whatever happens to it before it says that it is there", async (parts) => {
  const { redis, client, shift } = parts;
  const row = writeRow(placeOf("1"), shift);
  await client.run(ADMIT, [NODE, "1", row, 10, "refuse-newest", "", 60_000]);
  assert.deepEqual(await redis.call("ZRANGE", `${P}nodes`, 0, -1), [NODE]);
});

for (
  const [whose, asking, expected] of [
    ["a node's own", NODE, ["FULL", 1]],
    ["another node's", "other:1", ["OK", 0]],
  ] as const
) {
  test(`${whose} sessions of before a lease that is over: counted, or gone so that the node notices`, async (parts) => {
    const { redis, client, shift, open, sessions } = parts;
    await beat(client);
    await beat(client, "other:1");
    open.set("1", placeOf("1"));
    await sessions.registerMissing();
    await redis.call("ZADD", `${P}nodes`, 1, NODE);
    const row = writeRow(placeOf("2"), shift);
    const [status] = await client.run(ADMIT, [asking, "2", row, 1, "refuse-newest", "", 60_000]);
    assert.deepEqual([status, await redis.call("HLEN", `${P}s:${NODE}`)], expected);
  });
}

test("what Redis refused is told later: that a session was extended, and that it is over", async (parts) => {
  const { redis, client, open, sessions, directory } = parts;
  await beat(client);
  const place = placeOf("1");
  open.set("1", place);
  await sessions.registerMissing();
  const refused = async () => {
    await redis.call("RENAME", `${P}all`, "aside");
    await redis.call("SET", `${P}all`, "of somebody else");
    await assert.rejects(sessions.flush(), /WRONGTYPE/);
    await redis.call("RENAME", "aside", `${P}all`);
  };
  open.set("1", { ...place, expiresAtMs: place.expiresAtMs + 3_600_000 });
  sessions.changed("1");
  await refused();
  await sessions.flush();
  assert.equal((await directory.find("1"))?.expiresAtMs, place.expiresAtMs + 3_600_000);
  open.delete("1");
  sessions.ended("1");
  await refused();
  await sessions.flush();
  for (const key of ["all", `s:${NODE}`]) assert.equal(await redis.call("EXISTS", P + key), 0, key);
});

Deno.test("who begins sessions in vain while Redis is lost fills no memory", async () => {
  for (const more of [0, 1]) {
    let released = 0;
    const client = {
      isUp: false,
      read: () => Promise.reject(new Error("nobody reads")),
      run(_script: unknown, [, ...ended]: readonly (string | number)[]): Promise<readonly [string]> {
        released += ended.length / 2;
        return Promise.resolve(["OK"]);
      },
    };
    const open = {
      size: 0,
      has: () => false,
      place: () => undefined,
      ids: () => [],
      endForLimit() {},
      close() {},
    };
    const sessions = new SharedSessions({
      client,
      shift: { toRedis: (ms) => ms, toOwn: (ms) => ms },
      node: NODE,
      prefix: P,
      open,
      settings: { maxSessionsPerUser: Infinity, onSessionLimit: "refuse-newest" },
      attempt: () => Promise.resolve(),
    });
    for (let i = 0; i < MAX_UNUSED_TOKENS + more; i++) sessions.ended(`session${i}`, "token");
    client.isUp = true;
    await sessions.flush();
    assert.equal(released, MAX_UNUSED_TOKENS);
  }
});

test("whatever a node says of itself, the others are listed", async ({ redis, client, directory }) => {
  await beat(client);
  for (
    const info of [
      '{"version":{"toString":1,"valueOf":1},"addresses":[{"toString":1}],"since":{"valueOf":1}}',
      '{"version":1,"addresses":"x","since":1e300,"connections":[],"lag":"y"}',
      "[",
      "null",
    ]
  ) {
    await redis.call("HSET", `${P}info`, NODE, info);
    const [node] = await directory.nodes();
    assert.deepEqual([node!.version, node!.addresses, node!.connections, node!.lagMs], ["unknown", [], 0, 0]);
    assert.ok(Number.isFinite(new Date(node!.sinceMs).getTime()), info);
  }
});

test("after a clock was set, of what Redis has of a session nothing is missing", async (parts) => {
  const { redis, client, open, sessions, directory } = parts;
  await beat(client);
  for (const id of ["1", "2"]) open.set(id, placeOf(id));
  await sessions.registerMissing();
  await redis.call("DEL", `${P}all`, `${P}u:${keyOf("alice")}`);
  open.delete("2");
  sessions.doubt();
  await sessions.sync();
  assert.deepEqual((await directory.page("", 10)).sessions.map(({ id }) => id), ["1"]);
  assert.deepEqual(await redis.call("ZRANGE", `${P}u:${keyOf("alice")}`, 0, -1), [`1@${NODE}`]);
  assert.deepEqual([await redis.call("HLEN", `${P}s:${NODE}`), sessions.registered], [1, 1]);
});

/** A list of which the first calls find nothing that is still there. */
function emptyAtFirst(calls: number, nextOf: (call: number) => string) {
  let call = 0;
  return new Directory({
    client: {
      run() {
        call++;
        const place = `${nextOf(call)}-session@node:1`;
        const row = `${"0".repeat(16)}${"9".repeat(16)}${"u".repeat(22)}["alice","192.0.2.1","c",[]]`;
        return Promise.resolve(call <= calls ? ["OK", nextOf(call)] : ["OK", "", place, row]);
      },
    },
    shift: { toRedis: (ms) => ms, toOwn: (ms) => ms },
    node: NODE,
  });
}

Deno.test("a list that goes on behind thousands of places of nobody goes on: no page of it looks like the last", async () => {
  const digits = (call: number) => String(call).padStart(16, "0");
  for (const calls of [999, 1000, 2500]) {
    const directory = emptyAtFirst(calls, digits);
    const found: string[] = [];
    let pages = 0;
    for (let after: string | undefined = ""; after !== undefined; pages++) {
      const page = await directory.page(after, 10);
      found.push(...page.sessions.map(({ user }) => user));
      after = page.next;
    }
    assert.deepEqual(found, ["alice"], `${calls} calls`);
    assert.equal(pages, Math.floor(calls / 1000) + 1);
  }
});

Deno.test("a list that goes nowhere is refused", async () => {
  await assert.rejects(emptyAtFirst(Infinity, () => "0").page("", 10), RedisRefusal);
});
