// The Redis client: scripts, clusters, lost connections and clocks, against a fake server and a real one.

import assert from "node:assert/strict";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import { RedisClient, type RedisClientOptions, RedisRefusal } from "../../src/redis/client.ts";
import { RedisLost } from "../../src/redis/connection.ts";
import { defineScript } from "../../src/redis/script.ts";
import { FakeRedis, type FakeRedisConnection } from "./fake_redis.ts";
import { greet } from "./greeting.ts";
import { NO_REDIS, RedisServer } from "./redis_server.ts";

const ECHO = defineScript(
  "echo",
  `local t = redis.call('TIME')
   local now = t[1] * 1000 + math.floor(t[2] / 1000)
   if now > tonumber(ARGV[1]) then return {'LATE', now} end
   if ARGV[2] == 'set' then redis.call('SET', KEYS[1], ARGV[3]) end
   return {'OK', now, ARGV[2]}`,
);

interface Watched {
  readonly client: RedisClient;
  readonly downs: string[];
  readonly ups: number[];
  readonly messages: string[];
  /** Resolves at the next change. */
  change(): Promise<unknown>;
}

function watch(url: string, options: Partial<RedisClientOptions> = {}): Watched {
  const downs: string[] = [];
  const ups: number[] = [];
  const messages: string[] = [];
  let next = Promise.withResolvers<void>();
  const tell = () => {
    next.resolve();
    next = Promise.withResolvers();
  };
  const client = new RedisClient({
    address: parseRedisUrl(url)!,
    timeoutMs: 250,
    caCerts: () => [],
    key: "{test}:",
    channel: "test:hints",
    onMessage: (text) => (messages.push(text), tell()),
    join: () => Promise.resolve(),
    onSetAhead: () => {},
    onUp: () => (ups.push(performance.now()), tell()),
    onDown: (reason) => (downs.push(reason), tell()),
    onAnswer: () => {},
    ...options,
  });
  return { client, downs, ups, messages, change: () => next.promise };
}

const okay = () => `*3\r\n+OK\r\n:${Date.now()}\r\n$1\r\na\r\n`;

Deno.test("runs a script, and sends its text when Redis does not know it", async () => {
  const names: string[] = [];
  await using fake = new FakeRedis((connection) =>
    greet(connection, ([name]) => {
      names.push(name!);
      return name === "EVALSHA" ? "-NOSCRIPT No matching script. Please use EVAL.\r\n" : okay();
    })
  );
  const { client } = watch(`redis://127.0.0.1:${fake.port}`);
  await client.start();
  assert.deepEqual(await client.run(ECHO, ["a"]), ["OK", "a"]);
  assert.deepEqual(names, ["EVALSHA", "EVAL"]);
  client.stop();
});

Deno.test("answers byte by byte are the answers to their commands, in order", async () => {
  let count = 0;
  await using fake = new FakeRedis((connection) =>
    greet(connection, async () => {
      const answer = `*3\r\n+OK\r\n:${Date.now()}\r\n:${count++}\r\n`;
      for (const letter of answer) await connection.send(letter);
      return undefined;
    })
  );
  const { client } = watch(`redis://127.0.0.1:${fake.port}`, { timeoutMs: 5000 });
  await client.start();
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.run(ECHO, [])));
  assert.deepEqual(answers.map(([, index]) => index), Array.from({ length: 20 }, (_, i) => i));
  client.stop();
});

const HOSTILE: Readonly<Record<string, (connection: FakeRedisConnection) => Promise<unknown>>> = {
  "nothing": () => Promise.resolve(),
  "no RESP": (connection) => connection.send("HTTP/1.1 400 Bad Request\r\n\r\n"),
  "half an answer": (connection) => connection.send("*3\r\n+OK\r\n"),
  "a text without end": async (connection) => {
    if (!await connection.send("$1000000000\r\n")) return;
    while (await connection.send("a".repeat(65_536)));
  },
  "a line without end": async (connection) => {
    while (await connection.send("+aaaaaaaa"));
  },
  "lists in lists without end": async (connection) => {
    while (await connection.send("*1\r\n"));
  },
  "a list of a milliard": (connection) => connection.send("*1000000000\r\n"),
  "a huge answer of small parts": async (connection) => {
    if (!await connection.send("*100000\r\n")) return;
    while (await connection.send(`$1024\r\n${"a".repeat(1024)}\r\n`.repeat(64)));
  },
  "answers to nothing": async (connection) => {
    while (await connection.send(":1\r\n".repeat(1000)));
  },
  "one byte at a time": async (connection) => {
    for (;;) {
      if (!await connection.send("+")) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  "the end": (connection) => Promise.resolve(connection.close()),
  "READONLY": (connection) => connection.send("-READONLY You can't write against a read only replica.\r\n"),
  "LOADING": (connection) => connection.send("-LOADING Redis is loading the dataset in memory\r\n"),
  "OOM": (connection) => connection.send("-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
  "BUSY": (connection) => connection.send("-BUSY Redis is busy running a script.\r\n"),
  "MISCONF": (connection) => connection.send("-MISCONF Redis is configured to save RDB snapshots\r\n"),
};

for (const [name, attack] of Object.entries(HOSTILE)) {
  Deno.test(`a server that answers with ${name} is left within the timeout, and its commands fail`, async () => {
    await using fake = new FakeRedis((connection) =>
      greet(connection, async () => {
        await attack(connection);
        return undefined;
      })
    );
    const { client, downs, change } = watch(`redis://127.0.0.1:${fake.port}`);
    await client.start();
    const startMs = performance.now();
    await Promise.all(
      ["a", "b"].map((text) =>
        assert.rejects(
          client.run(ECHO, [text]),
          (error) => error instanceof RedisLost || error instanceof RedisRefusal,
        )
      ),
    );
    while (downs.length === 0) await change();
    assert.ok(performance.now() - startMs < 10_000, `it took ${performance.now() - startMs} ms`);
    assert.equal(client.isUp, false);
    assert.equal(downs.length, 1);
    // Without a connection it fails at once.
    await assert.rejects(client.run(ECHO, []), RedisLost);
    client.stop();
  });
}

Deno.test("neither reasons nor errors tell the password, whatever the server says", async () => {
  await using fake = new FakeRedis(async (connection) => {
    const command = await connection.command();
    await connection.send(
      `-ERR unknown command 'HELLO', with args beginning with: ${command?.join(" ")}\r\n`,
    );
  });
  const { client, downs } = watch(`redis://me:secret@127.0.0.1:${fake.port}`);
  await client.start();
  assert.equal(downs.length, 1);
  assert.doesNotMatch(downs[0]!, /secret/);
  client.stop();
});

Deno.test("it connects again by itself, with pauses, and tells of one loss once", async () => {
  await using fake = new FakeRedis(async (connection, index) => {
    if (index >= 3) return await greet(connection, okay);
    connection.close();
  });
  const { client, downs, ups, change } = watch(`redis://127.0.0.1:${fake.port}`);
  await client.start();
  assert.equal(downs.length, 1);
  while (ups.length === 0) await change();
  assert.equal(downs.length, 1);
  assert.deepEqual(await client.run(ECHO, []), ["OK", "a"]);
  client.stop();
});

Deno.test("a fault of our own ends the connection, is not called the server's, and reaches who records faults", async () => {
  await using fake = new FakeRedis((connection) => greet(connection, okay));
  let isBroken = false;
  const { client, downs, ups, change } = watch(`redis://127.0.0.1:${fake.port}`, {
    onAnswer: () => {
      if (!isBroken) return;
      isBroken = false;
      throw new TypeError("broken");
    },
  });
  const faults: unknown[] = [];
  const onFault = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    faults.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", onFault);
  await client.start();
  isBroken = true;
  await assert.rejects(client.run(ECHO, []), RedisLost);
  while (ups.length < 2) await change();
  assert.deepEqual(await client.run(ECHO, []), ["OK", "a"]);
  globalThis.removeEventListener("unhandledrejection", onFault);
  assert.deepEqual(downs, ["a fault on this side"]);
  assert.deepEqual(faults.map(String), ["TypeError: broken"]);
  client.stop();
});

Deno.test("it goes where a cluster says that the key is", async () => {
  await using right = new FakeRedis((connection) => greet(connection, okay));
  await using wrong = new FakeRedis((connection) =>
    greet(connection, () => `-MOVED 42 127.0.0.1:${right.port}\r\n`)
  );
  let joins = 0;
  const watched = watch(`redis://127.0.0.1:${wrong.port}`, {
    join: async () => {
      joins++;
      await watched.client.run(ECHO, []);
    },
  });
  const { client, ups, downs, change } = watched;
  const started = client.start();
  while (ups.length === 0) await change();
  await started;
  assert.deepEqual([joins, downs], [2, []]);
  assert.deepEqual(await client.run(ECHO, []), ["OK", "a"]);
  client.stop();
});

Deno.test("a cluster that sends it in circles is a loss", async () => {
  let connections = 0;
  await using fake: FakeRedis = new FakeRedis((connection) => {
    connections++;
    return greet(connection, () => `-MOVED 42 127.0.0.1:${fake.port}\r\n`);
  });
  const watched = watch(`redis://127.0.0.1:${fake.port}`, {
    join: async () => {
      await watched.client.run(ECHO, []);
    },
  });
  const { client, downs, change } = watched;
  await client.start();
  while (downs.length === 0) await change();
  assert.ok(connections <= 7, `${connections} connections`);
  client.stop();
});

Deno.test("an answer that is not one of our scripts' is refused", async () => {
  await using fake = new FakeRedis((connection) => greet(connection, () => "+OK\r\n"));
  const { client } = watch(`redis://127.0.0.1:${fake.port}`);
  await client.start();
  await assert.rejects(client.run(ECHO, []), RedisRefusal);
  assert.equal(client.isUp, true);
  client.stop();
});

Deno.test({
  name: "what was given up while Redis stood still is not done when it goes on",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const { client, ups, change } = watch(redis.url);
    await client.start();
    assert.deepEqual(await client.run(ECHO, ["set", "before"]), ["OK", "set"]);
    redis.signal("SIGSTOP");
    const startMs = performance.now();
    await Promise.all(
      Array.from({ length: 20 }, () => assert.rejects(client.run(ECHO, ["set", "ghost"]), RedisLost)),
    );
    assert.ok(performance.now() - startMs < 2000);
    redis.signal("SIGCONT");
    while (ups.length < 2) await change();
    assert.equal(await redis.call("GET", "{test}:"), "before");
    // Redis did see them.
    assert.match(String(await redis.call("INFO", "commandstats")), /cmdstat_evalsha:calls=2\d,/);
    client.stop();
  },
});

Deno.test({
  name: "SCRIPT FLUSH costs nothing but the text again, and messages of the channel arrive",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const { client, messages, change } = watch(redis.url);
    await client.start();
    assert.deepEqual(await client.run(ECHO, ["a"]), ["OK", "a"]);
    await redis.call("SCRIPT", "FLUSH");
    assert.deepEqual(await client.run(ECHO, ["b"]), ["OK", "b"]);
    await redis.call("PUBLISH", "test:hints", "hello");
    while (messages.length === 0) await change();
    assert.deepEqual(messages, ["hello"]);
    client.stop();
  },
});

Deno.test({
  name: "a name and a password of an ACL, and a Unix socket",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start(["--unixsocket", "redis.sock"]);
    await redis.call("ACL", "SETUSER", "me", "on", ">p@ss:w/rd", "~*", "&*", "+@all");
    const good = watch(`redis://me:p%40ss%3Aw%2Frd@127.0.0.1:${redis.port}`);
    await good.client.start();
    assert.deepEqual(await good.client.run(ECHO, ["a"]), ["OK", "a"]);
    good.client.stop();
    const bad = watch(`redis://me:wrong@127.0.0.1:${redis.port}`);
    await bad.client.start();
    assert.deepEqual(bad.downs, ["it refuses us: WRONGPASS"]);
    bad.client.stop();
    const unix = watch(`unix://${redis.folder}/redis.sock`);
    await unix.client.start();
    assert.deepEqual(await unix.client.run(ECHO, ["a"]), ["OK", "a"]);
    unix.client.stop();
  },
});

Deno.test("a clock of Redis that is set ahead is said once, and everything is begun anew; set back costs nothing", async () => {
  let aheadMs = 0;
  let joins = 0;
  let sets = 0;
  await using fake = new FakeRedis((connection) =>
    greet(connection, () => `*3\r\n+OK\r\n:${Date.now() + aheadMs}\r\n$1\r\na\r\n`)
  );
  const { client, downs, ups, change } = watch(`redis://127.0.0.1:${fake.port}`, {
    timeoutMs: 5000,
    join: () => Promise.resolve(void joins++),
    onSetAhead: () => sets++,
  });
  await client.start();
  for (aheadMs of [0, -3_600_000, -3_600_000]) assert.deepEqual(await client.run(ECHO, []), ["OK", "a"]);
  assert.deepEqual([client.isUp, joins, sets, downs], [true, 1, 0, []]);
  aheadMs = 0;
  // What was asked is answered.
  assert.deepEqual(await client.run(ECHO, []), ["OK", "a"]);
  assert.equal(client.isUp, false);
  assert.match(downs.join(), /^its clock was set ahead by 3(?:599|600) s$/);
  while (ups.length < 2) await change();
  assert.deepEqual([joins, sets, downs.length], [2, 1, 1]);
  client.stop();
});
