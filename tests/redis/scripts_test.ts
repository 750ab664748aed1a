// The Lua scripts in Redis, one by one.

import assert from "node:assert/strict";
import * as scripts from "../../src/cluster/scripts.ts";
import type { Command } from "../../src/redis/command.ts";
import type { Reply } from "../../src/redis/reply_reader.ts";
import type { Script } from "../../src/redis/script.ts";
import { connect, NO_REDIS, RedisServer } from "./redis_server.ts";

const ROW = `${"0".repeat(16)}${"9".repeat(16)}${"u".repeat(22)}[]`;
const LATER = 9e15;

/** Every script with arguments with which it does all that it can. */
const CALLS: Readonly<Record<string, Command>> = {
  ADMIT: ["n:1", "sid", ROW, 10, "refuse-newest", "jti", 1000],
  USE: ["jti", "sid", 1000],
  REGISTER: ["n:1", "another", ROW],
  RELEASE: ["n:1", "old", "oldjti"],
  BEAT: ["n:1", 15_000, "{}", "epoch"],
  SWEEP: ["dead:1", 0],
  PUT: ["r", 10, "id", 1, LATER, "body"],
  CHANGES: ["r", 0],
  VIOLATE: [1000, 5, "client", 1],
  FORGET: ["other"],
  PAGE: ["", 10],
  FIND: ["old"],
  ORDER: ["n:1", "old", "limit"],
  ORDERS: ["n:1"],
  NODES: [],
  POLICY: [],
};

const ALL = Object.entries(scripts).filter((entry): entry is [string, Script] =>
  typeof entry[1] === "object"
);

Deno.test("every script is called here", () => {
  assert.deepEqual(ALL.map(([name]) => name).sort(), Object.keys(CALLS).sort());
});

Deno.test({
  name: "a script that comes too late says so and does nothing; in time it does",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const connection = await connect(redis.url);
    const run = (script: Script, deadline: number, args: Command) =>
      connection.send(["EVAL", script.source, 1, "{w}:", deadline, ...args]);
    const dump = async () => {
      const keys = (await connection.send(["KEYS", "*"]) as string[]).sort();
      return JSON.stringify(
        await Promise.all(keys.map(async (key) => [key, await connection.send(["DUMP", key])])),
      );
    };
    // Somebody to release, and a dead node to sweep.
    for (const node of ["n:1", "dead:1"]) await run(scripts.REGISTER, LATER, [node, "old", ROW]);
    await connection.send(["SET", "{w}:j:oldjti", "old"]);
    await connection.send(["SET", "{w}:c:other", 1]);
    await connection.send(["ZADD", "{w}:nodes", 1, "dead:1"]);
    const writing: string[] = [];
    for (const [name, script] of ALL) {
      const before = await dump();
      const [status] = await run(script, 1, CALLS[name]!) as Reply[];
      assert.equal(status, "LATE", name);
      assert.equal(await dump(), before, `${name} was late`);
    }
    for (const [name, script] of ALL) {
      const before = await dump();
      const answer = await run(script, LATER, CALLS[name]!);
      assert.ok(
        Array.isArray(answer) && ["OK", "USED"].includes(String(answer[0])),
        `${name}: ${JSON.stringify(answer)}`,
      );
      if (await dump() !== before) writing.push(name);
    }
    assert.deepEqual(
      writing.sort(),
      ["ADMIT", "BEAT", "FORGET", "ORDER", "PUT", "REGISTER", "RELEASE", "SWEEP", "VIOLATE"].sort(),
    );
    connection.close();
  },
});

Deno.test({
  name: "a node whose lease is not over is not swept by others, but by itself",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const connection = await connect(redis.url);
    const run = (script: Script, args: Command) =>
      connection.send(["EVAL", script.source, 1, "{w}:", LATER, ...args]) as Promise<Reply[]>;
    await run(scripts.BEAT, ["n:1", 15_000, "{}", "epoch"]);
    await run(scripts.REGISTER, ["n:1", "sid", ROW]);
    await run(scripts.SWEEP, ["n:1", 0]);
    assert.equal(await connection.send(["HLEN", "{w}:s:n:1"]), 1);
    await run(scripts.SWEEP, ["n:1", 1]);
    assert.deepEqual(await connection.send(["KEYS", "{w}:[nsu]*"]), []);
    connection.close();
  },
});

/** A Redis, and a way to run scripts in it. */
function withScripts(
  name: string,
  fn: (redis: RedisServer, run: (script: Script, args: Command) => Promise<Reply[]>) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: NO_REDIS,
    async fn() {
      await using redis = await RedisServer.start();
      const connection = await connect(redis.url);
      await fn(
        redis,
        (script, args) =>
          connection.send(["EVAL", script.source, 1, "{w}:", LATER, ...args]) as Promise<Reply[]>,
      );
      connection.close();
    },
  });
}

withScripts("a clock that was set back lets no dead node live on", async (redis, run) => {
  const hour = Date.now() + 3_600_000;
  await redis.call("ZADD", "{w}:nodes", hour, "dead:1", hour, "n:1");
  await run(scripts.BEAT, ["n:1", 15_000, "{}", "epoch"]);
  for (const node of ["dead:1", "n:1"]) {
    const leftMs = Number(await redis.call("ZSCORE", "{w}:nodes", node)) - Date.now();
    assert.ok(leftMs > 0 && leftMs <= 15_000, `${node}: ${leftMs} ms`);
  }
});

withScripts(
  "a token that would be forgotten too early lasts as long as who brings it says",
  async (redis, run) => {
    await run(scripts.USE, ["jti", "sid", 1000]);
    assert.equal((await run(scripts.USE, ["jti", "sid", 3_600_000]))[0], "OK");
    assert.ok(Number(await redis.call("PTTL", "{w}:j:jti")) > 3_500_000);
    assert.equal((await run(scripts.USE, ["jti", "other", 1000]))[0], "USED");
    assert.ok(Number(await redis.call("PTTL", "{w}:j:jti")) > 3_500_000);
  },
);

withScripts(
  "violations are counted for no longer than the window, whatever clock was set back",
  async (redis, run) => {
    await run(scripts.VIOLATE, [1000, 5, "client", 1]);
    await redis.call("PEXPIRE", "{w}:c:client", 3_600_000);
    await run(scripts.VIOLATE, [1000, 5, "client", 1]);
    const leftMs = Number(await redis.call("PTTL", "{w}:c:client"));
    assert.ok(leftMs <= 1000, `${leftMs} ms`);
  },
);

withScripts(
  "which keys are thrown away is known if there is a limit, and if it may be known",
  async (redis, run) => {
    const policy = async () => (await run(scripts.POLICY, []))[2];
    await redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    assert.equal(await policy(), "", "without a limit nothing is thrown away");
    await redis.call("CONFIG", "SET", "maxmemory", "100mb");
    assert.equal(await policy(), "allkeys-lru");
    await redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction");
    assert.equal(await policy(), "");
    await redis.call("CONFIG", "SET", "maxmemory-policy", "volatile-ttl");
    assert.equal(await policy(), "volatile-ttl");
    await redis.call("ACL", "SETUSER", "default", "-info");
    assert.equal(await policy(), "");
  },
);
