// Lists that every node has in full: what is added, removed or lost on any node, in whatever order others learn of it.

import assert from "node:assert/strict";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import { SharedList } from "../../src/cluster/shared_list.ts";
import type { Entry, TimeShift } from "../../src/cluster/wire.ts";
import type { Reply } from "../../src/redis/reply_reader.ts";
import { RedisClient } from "../../src/redis/client.ts";
import { FakeRedis } from "./fake_redis.ts";
import { greet } from "./greeting.ts";
import { NO_REDIS, RedisServer } from "./redis_server.ts";

const SAME: TimeShift = { toRedis: (ms) => ms, toOwn: (ms) => ms };

class Peer {
  readonly client: RedisClient;
  readonly list: SharedList;
  readonly bodies = new Map<string, string>();
  readonly applied: Entry[] = [];

  constructor(url: string, maxEntries = 1000) {
    this.client = new RedisClient({
      address: parseRedisUrl(url)!,
      timeoutMs: 2000,
      caCerts: () => [],
      key: "{test}:",
      channel: "{test}:hints",
      onMessage: () => {},
      join: () => Promise.resolve(),
      onSetAhead: () => {},
      onUp: () => {},
      onDown: () => {},
      onAnswer: () => {},
    });
    this.list = new SharedList({
      client: this.client,
      shift: SAME,
      key: "r",
      maxEntries,
      bodyOf: (id) => this.bodies.get(id),
      apply: (entries) => {
        for (const entry of entries) {
          this.applied.push(entry);
          if (entry.body === "") this.bodies.delete(entry.id);
          else this.bodies.set(entry.id, entry.body);
        }
      },
    });
  }

  put(id: string, body: string, rank = 1, lastsMs = 600_000): void {
    if (body === "") this.bodies.delete(id);
    else this.bodies.set(id, body);
    this.list.put(id, rank, Date.now() + lastsMs, body === "");
  }

  get ids(): string[] {
    return [...this.bodies.keys()].sort();
  }
}

function test(name: string, fn: (redis: RedisServer, a: Peer, b: Peer) => Promise<void>): void {
  Deno.test({
    name,
    ignore: NO_REDIS,
    async fn() {
      await using redis = await RedisServer.start();
      const [a, b] = [new Peer(redis.url), new Peer(redis.url)];
      await a.client.start();
      await b.client.start();
      try {
        await fn(redis, a, b);
      } finally {
        a.client.stop();
        b.client.stop();
      }
    },
  });
}

test("what one adds and takes back, the other has and has not", async (_redis, a, b) => {
  a.put("x", "one");
  a.put("y", "two");
  await a.list.send();
  await b.list.fetch();
  assert.deepEqual(b.ids, ["x", "y"]);
  b.put("x", "", 2);
  await b.list.send();
  await a.list.fetch();
  assert.deepEqual(a.ids, ["y"]);
  // Nobody brings it back who has not heard of it: it is told with a lower rank.
  a.put("z", "three");
  await a.list.join();
  await b.list.join();
  assert.deepEqual([a.ids, b.ids], [["y", "z"], ["y", "z"]]);
});

test(
  "an empty Redis empties nobody: all that is known is put together, what was taken back stays so",
  async (redis, a, b) => {
    a.put("x", "one");
    a.put("gone", "two");
    await a.list.send();
    await b.list.fetch();
    a.put("gone", "", 2);
    await a.list.send();
    await redis.call("FLUSHALL");
    b.put("y", "three");
    // The one who has not heard of it comes first.
    await b.list.join();
    await a.list.join();
    await b.list.fetch();
    assert.deepEqual([a.ids, b.ids], [["x", "y"], ["x", "y"]]);
  },
);

test("thousands of them, in pieces; a change while they are read is not missed", async (_redis, a, b) => {
  for (let i = 0; i < 990; i++) a.put(`id ${i}`, "x".repeat(2000));
  await a.list.send();
  const reading = b.list.fetch();
  a.put("late", "one more");
  await a.list.send();
  void b.list.fetch();
  await reading;
  assert.equal(b.ids.length, 991);
  assert.deepEqual(b.ids, a.ids);
});

test("there is room for so many, and the rest is not called told", async (redis, a, _b) => {
  const small = new Peer(redis.url, 2);
  await small.client.start();
  a.put("x", "one");
  await a.list.send();
  small.put("y", "two");
  small.put("z", "three");
  await small.list.send();
  assert.equal(await redis.call("HLEN", "{test}:r"), 2);
  assert.equal(small.list.isTold, false);
  small.client.stop();
});

test("what there was no room for is told when there is some", async (redis, a, _b) => {
  const late = new Peer(redis.url, 1);
  await late.client.start();
  a.put("x", "one", 1, 50);
  await a.list.send();
  late.put("y", "two");
  await late.list.send();
  assert.equal(late.list.isTold, false);
  await late.list.follow(0);
  assert.equal(late.list.isTold, false, "not before it may help");
  await new Promise((resolve) => setTimeout(resolve, 80));
  late.list.sweep();
  await late.list.follow(0);
  assert.equal(late.list.isTold, true);
  assert.deepEqual(await redis.call("HKEYS", "{test}:r"), ["y"]);
  late.client.stop();
});

test("what has ended is gone from Redis too, and every key ends by itself", async (redis, a, _b) => {
  a.put("short", "one", 1, 30);
  await a.list.send();
  await new Promise((resolve) => setTimeout(resolve, 60));
  a.put("long", "two");
  await a.list.send();
  assert.deepEqual(await redis.call("HKEYS", "{test}:r"), ["long"]);
  for (const key of await redis.call("KEYS", "*") as string[]) {
    assert.ok(Number(await redis.call("PTTL", key)) > 0, key);
  }
});

Deno.test("a hint that comes while a list is read has it read again", async () => {
  const answers: ((answer: readonly [string, ...Reply[]]) => void)[] = [];
  const list = new SharedList({
    client: { now: () => 0, run: () => new Promise((resolve) => answers.push(resolve)) },
    shift: SAME,
    key: "r",
    maxEntries: 10,
    bodyOf: () => undefined,
    apply: () => {},
  });
  const first = list.fetch();
  const second = list.fetch();
  for (let turn = 0; turn < 100 && answers.length < 1; turn++) await undefined;
  // What is read from now on may be from before the third.
  const third = list.fetch();
  answers[0]!(["OK", 0, 0]);
  for (let turn = 0; turn < 100 && answers.length < 2; turn++) await undefined;
  assert.equal(answers.length, 2);
  answers[1]!(["OK", 0, 0]);
  await Promise.all([first, second, third]);
});

for (
  const [what, answer] of [
    ["versions that go back", [1, -5, 1]],
    ["the same version for ever", [1, 0, 1]],
  ] as const
) {
  Deno.test(`a server that tells of changes with ${what} is not listened to for ever`, async () => {
    await using fake = new FakeRedis((connection) =>
      greet(connection, () => `*4\r\n+OK\r\n:${Date.now()}\r\n:${answer[1]}\r\n:${answer[2]}\r\n`)
    );
    const peer = new Peer(`redis://127.0.0.1:${fake.port}`);
    await peer.client.start();
    await assert.rejects(peer.list.fetch(), /impossible/);
    peer.client.stop();
  });
}

Deno.test("a server that tells of changes without end fills no memory", async () => {
  let version = 0;
  await using fake = new FakeRedis((connection) =>
    greet(connection, () => {
      let text = `*204\r\n+OK\r\n:${Date.now()}\r\n:${version += 100}\r\n:1\r\n`;
      for (let i = 0; i < 100; i++) {
        text += `$8\r\n${String(version + i).padStart(8, "0")}\r\n$33\r\n${"0".repeat(15)}1${
          String(Date.now() + 60_000).padStart(16, "0")
        }x\r\n`;
      }
      return text;
    })
  );
  const peer = new Peer(`redis://127.0.0.1:${fake.port}`);
  await peer.client.start();
  await assert.rejects(peer.list.fetch(), /impossible/);
  assert.ok(peer.ids.length <= 2200, `${peer.ids.length}`);
  peer.client.stop();
});

test(
  "what Redis would forget too early, because its clock was set, is told again; all else is not",
  async (redis, a, b) => {
    for (const id of ["x", "y"]) a.put(id, "one", 1, 7_200_000);
    a.put("gone", "", 1e15, 7_200_000);
    await a.list.send();
    await b.list.fetch();
    for (const id of ["x", "gone"]) {
      const value = String(await redis.call("HGET", "{test}:r", id));
      const earlier = String(Date.now() + 3_600_000).padStart(16, "0");
      await redis.call("HSET", "{test}:r", id, value.slice(0, 16) + earlier + value.slice(32));
      await redis.call("ZADD", "{test}:r:x", earlier, id);
    }
    const version = Number(await redis.call("HGET", "{test}:v", "r"));
    for (const { list } of [a, b]) await list.join();
    assert.equal(await redis.call("HGET", "{test}:v", "r"), String(version + 2), "by one of them");
    for (const id of ["x", "y", "gone"]) {
      const leftMs = Number(await redis.call("ZSCORE", "{test}:r:x", id)) - Date.now();
      assert.ok(leftMs > 7_100_000 && leftMs <= 7_200_000, `${id}: ${leftMs} ms`);
    }
    await a.list.fetch();
    assert.deepEqual([a.ids, b.ids], [["x", "y"], ["x", "y"]]);
  },
);
