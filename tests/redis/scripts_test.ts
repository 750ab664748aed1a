// What is done in Redis, script by script.

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
