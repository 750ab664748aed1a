// How nodes come and go, and the ways to reach Redis.

import assert from "node:assert/strict";
import { EXECUTABLE, run } from "../support/process.ts";
import { NO_REDIS, RedisServer } from "./redis_server.ts";
import { Node, token, until } from "./nodes.ts";
import { expectLoss } from "../../src/firewall/byte_socket.ts";
import { RawClient } from "../support/raw_client.ts";

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_REDIS, fn });
}

async function answer(node: Node, claims: Record<string, unknown> = {}): Promise<string> {
  const login = await node.login(token(claims));
  login.client.close();
  return login.answer;
}

/** Lets the leases of all nodes but one end now: nobody waits for that in a test. */
async function endLeases(redis: RedisServer, besides: string): Promise<void> {
  const nodes = await redis.call("ZRANGE", "{wsward}:nodes", 0, -1) as string[];
  for (const node of nodes) {
    if (!node.startsWith(`${besides}:`)) await redis.call("ZADD", "{wsward}:nodes", 1, node);
  }
}

const ONE = ["--max-sessions-per-user", "1"];

/** Two nodes that have joined, with one session a user. */
async function startPair(redis: RedisServer) {
  await using stack = new AsyncDisposableStack();
  const a = stack.use(new Node(redis.url, [...ONE, "--node-name", "a"]));
  const b = stack.use(new Node(redis.url, [...ONE, "--node-name", "b"]));
  await a.joined();
  await b.joined();
  const ending = stack.move();
  return { a, b, [Symbol.asyncDispose]: () => ending.disposeAsync() };
}

test("a node that is killed: its users log in elsewhere once its lease is over, and it is swept", async () => {
  await using redis = await RedisServer.start();
  await using pair = await startPair(redis);
  const { a, b } = pair;
  const { client } = await a.login(token());
  const others = [];
  for (let i = 0; i < 20; i++) others.push(await a.login(token({ user_id: `user ${i}` })));
  assert.equal(await answer(b), "Too Many Sessions");
  a.program.signal("SIGKILL");
  await a.program.result();
  assert.equal(await answer(b), "Too Many Sessions", "it may be busy, not dead");
  await endLeases(redis, "b");
  assert.equal(await answer(b), "Authenticated!");
  await until("it is swept", () => redis.call("ZCARD", "{wsward}:nodes"), (count) => count === 1);
  await until("so are its sessions", () => redis.call("ZCARD", "{wsward}:all"), (count) => count === 0);
  assert.deepEqual(await redis.call("KEYS", "{wsward}:u:*"), []);
  for (const login of [{ client }, ...others]) login.client.close();
});

test("a node that stops properly is gone at once", async () => {
  await using redis = await RedisServer.start();
  await using pair = await startPair(redis);
  const { a, b } = pair;
  const { client } = await a.login(token());
  assert.equal(await answer(b), "Too Many Sessions");
  a.program.signal("SIGTERM");
  assert.equal((await client.nextClose()).code, 1001);
  client.close();
  assert.equal((await a.program.result()).code, 0);
  const nodes = await redis.call("ZRANGE", "{wsward}:nodes", 0, -1) as string[];
  assert.deepEqual(nodes.map((node) => node.split(":")[0]), ["b"]);
  assert.equal(await answer(b), "Authenticated!");
});

test("a node that stood still for longer than its lease registers again, and nobody is thrown out", async () => {
  await using redis = await RedisServer.start();
  await using pair = await startPair(redis);
  const { a, b } = pair;
  const { client } = await a.login(token());
  a.program.signal("SIGSTOP");
  await endLeases(redis, "b");
  const second = await b.login(token());
  assert.equal(second.answer, "Authenticated!");
  await until("it is swept", () => redis.call("ZCARD", "{wsward}:nodes"), (count) => count === 1);
  a.program.signal("SIGCONT");
  await until("both are registered", () => redis.call("ZCARD", "{wsward}:all"), (count) => count === 2);
  await client.sendText("x");
  assert.equal(await client.nextText(), "Server received: x");
  assert.equal(await answer(b), "Too Many Sessions");
  client.close();
  second.client.close();
});

test("close-oldest ends the oldest session, on whichever node it is", async () => {
  await using redis = await RedisServer.start();
  const flags = ["--max-sessions-per-user", "2", "--on-session-limit", "close-oldest"];
  await using a = new Node(redis.url, flags);
  await using b = new Node(redis.url, flags);
  await a.joined();
  await b.joined();
  const first = await a.login(token());
  const second = await b.login(token());
  const third = await b.login(token());
  assert.equal(third.answer, "Authenticated!");
  assert.equal(await first.client.nextText(), "Too Many Sessions");
  assert.equal((await first.client.nextClose()).code, 3003);
  for (const { client } of [second, third]) {
    await client.sendText("x");
    assert.equal(await client.nextText(), "Server received: x");
    client.close();
  }
  first.client.close();
});

test("who closes his first session and comes back at once is not refused for it, on any node", async () => {
  await using redis = await RedisServer.start();
  const flags = ["--max-sessions-per-user", "4"];
  await using a = new Node(redis.url, flags);
  await using b = new Node(redis.url, flags);
  for (const node of [a, b]) await node.joined();
  for (const [user, node] of [["alice", a], ["bob", b]] as const) {
    const logins = [];
    for (let i = 0; i < 4; i++) logins.push(await a.login(token({ user_id: user })));
    assert.equal(await answer(node, { user_id: user }), "Too Many Sessions");
    const { client } = logins[0]!;
    await client.sendClose(1000);
    assert.equal((await client.nextClose()).code, 1000);
    assert.equal(await answer(node, { user_id: user }), "Authenticated!");
    for (const login of logins) login.client.close();
  }
});

test("a session that ends makes room on every node, and one whose client left while it was asked for too", async () => {
  await using redis = await RedisServer.start();
  const flags = [...ONE, "--replay-check"];
  await using a = new Node(redis.url, flags);
  await using b = new Node(redis.url, flags);
  await a.joined();
  await b.joined();
  for (let i = 0; i < 10; i++) {
    const { client, answer: text } = await [a, b][i % 2]!.login(token({ jti: `t${i}` }));
    assert.equal(text, "Authenticated!", `round ${i}`);
    client.close();
    await until("it is gone", () => redis.call("ZCARD", "{wsward}:all"), (count) => count === 0);
  }
});

test("a user of an ACL who may do only what is needed; the password is in no record and no list", async () => {
  await using redis = await RedisServer.start();
  const guide = await Deno.readTextFile(new URL("../../src/guide.md", import.meta.url));
  const line = /ACL (SETUSER wsward .*)/.exec(guide)?.[1];
  assert.ok(line !== undefined, "the guide must tell the line");
  await redis.call("ACL", ...line.replace("PASSWORD", "s3cret").split(" "));
  const url = redis.url.replace("://", "://wsward:s3cret@");
  await using a = new Node(url, [
    "--replay-check",
    "--node-name",
    "a",
    "--on-session-limit",
    "close-oldest",
    ...ONE,
  ]);
  await using b = new Node(url, ["--replay-check", "--node-name", "b"]);
  await a.joined();
  await b.joined();
  const { client } = await a.login(token({ jti: "x" }));
  assert.equal(await answer(b, { jti: "x" }), "Token Already Used");
  assert.equal(await answer(a, { jti: "y" }), "Authenticated!");
  assert.equal((await a.admin("POST", "/revocations", { kind: "user", value: "eve" })).status, 201);
  assert.equal((await b.admin("POST", "/bans", { address: "192.0.2.1" })).status, 201);
  assert.equal((await b.admin("GET", "/sessions")).status, 200);
  assert.equal((await b.admin("GET", "/nodes")).status, 200);
  await a.login("no token").then((login) => login.client.close());
  a.program.signal("SIGKILL");
  await a.program.result();
  await endLeases(redis, "b");
  await until("it is swept", () => redis.call("ZCARD", "{wsward}:nodes"), (count) => count === 1);
  const log = await redis.call("ACL", "LOG") as unknown[];
  assert.deepEqual(log, []);
  client.close();
  b.program.signal("SIGTERM");
  const { stdout, stderr } = await b.program.result();
  assert.doesNotMatch(stdout + stderr + a.program.stderr.text, /s3cret|redis\.refused/);
});

test("over a Unix socket", async () => {
  const folder = Deno.makeTempDirSync();
  await using redis = await RedisServer.start(["--unixsocket", `${folder}/redis.sock`]);
  await using a = new Node(`unix://${folder}/redis.sock`, [], undefined, [
    `--allow-net=unix:${folder}/redis.sock`,
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
  ]);
  await a.joined();
  const { client } = await a.login(token());
  assert.equal(await redis.call("ZCARD", "{wsward}:all"), 1);
  client.close();
  await Deno.remove(folder, { recursive: true });
});

test("in a cluster of two shards: the keys are where the cluster says", async () => {
  await using one = await RedisServer.start(["--cluster-enabled", "yes"]);
  await using two = await RedisServer.start(["--cluster-enabled", "yes"]);
  await one.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191);
  await two.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16383);
  await one.call("CLUSTER", "MEET", "127.0.0.1", two.port);
  for (const shard of [one, two]) {
    await until(
      "the cluster is whole",
      () => shard.call("CLUSTER", "INFO"),
      (text) => String(text).includes("cluster_state:ok"),
    );
  }
  const slot = Number(await one.call("CLUSTER", "KEYSLOT", "{wsward}:nodes"));
  const [right, wrong] = slot <= 8191 ? [one, two] : [two, one];
  await using a = new Node(wrong.url);
  await using b = new Node(right.url);
  await a.joined();
  await b.joined();
  const logins = [await a.login(token()), await b.login(token({ user_id: "bob" }))];
  assert.equal(await right.call("ZCARD", "{wsward}:all"), 2);
  // Channels reach all shards.
  assert.equal((await b.admin("POST", "/revocations", { kind: "user", value: "alice" })).status, 201);
  assert.equal(await logins[0]!.client.nextText(), "Token Revoked");
  for (const { client } of logins) client.close();
});

for (const where of ["ahead", "behind"]) {
  Deno.test({
    name: `a node whose clock is an hour ${where}`,
    ignore: NO_REDIS || EXECUTABLE !== undefined,
    async fn() {
      await using redis = await RedisServer.start();
      const flags = ["--replay-check", ...ONE];
      await using a = new Node(redis.url, [...flags, "--node-name", "a"]);
      const main = new URL(`${where}_main.ts`, import.meta.url).pathname;
      await using b = new Node(redis.url, [...flags, "--node-name", "b"], main);
      await a.joined();
      await b.joined();
      // Good for both clocks.
      const exp = Math.floor(Date.now() / 1000) + 2 * 3600;
      const { client } = await a.login(token({ exp, jti: "x" }));
      assert.equal(await answer(b, { exp, jti: "y" }), "Too Many Sessions");
      assert.equal(await answer(b, { exp, jti: "x", user_id: "bob" }), "Token Already Used");
      const alice = (await until(
        "both see alice",
        async () => (await a.admin("GET", "/sessions")).json as { sessions: { started_at: string }[] },
        ({ sessions }) => sessions.length === 1,
      )).sessions[0]!;
      assert.ok(Math.abs(Date.parse(alice.started_at) - Date.now()) < 60_000);
      const list = (await a.admin("GET", "/nodes")).json as { nodes: { since: string }[] };
      for (const { since } of list.nodes) assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000);
      // A user is revoked on the node whose clock is ahead, and what was issued before is not valid on the other.
      const iat = Math.floor(Date.now() / 1000) - 60;
      const revoked = await b.admin("POST", "/revocations", {
        kind: "user",
        value: "carol",
        ttl_seconds: 600,
      });
      assert.equal(revoked.status, 201, JSON.stringify(revoked.json));
      await until(
        "it is known",
        () => answer(a, { exp, user_id: "carol", jti: crypto.randomUUID(), iat }),
        (text) => text === "Token Revoked",
      );
      // And the other way round, for tokens that do not say when they were issued.
      const other = await a.admin("POST", "/revocations", { kind: "user", value: "dave", ttl_seconds: 600 });
      assert.deepEqual([other.status, (other.json as { everywhere: boolean }).everywhere], [201, true]);
      await until(
        "it is known",
        () => answer(b, { exp, user_id: "dave", jti: crypto.randomUUID() }),
        (text) => text === "Token Revoked",
      );
      client.close();
    },
  });
}

test("nodes with another --redis-prefix belong to others, and keys hold no names", async () => {
  await using redis = await RedisServer.start();
  await using a = new Node(redis.url, [...ONE, "--replay-check"]);
  await using b = new Node(redis.url, [...ONE, "--replay-check", "--redis-prefix", "other"]);
  await a.joined();
  await b.joined();
  const one = await a.login(token({ user_id: "somebody-long", jti: "a-secret-jti" }));
  const two = await b.login(token({ user_id: "somebody-long", jti: "a-secret-jti" }));
  assert.deepEqual([one.answer, two.answer], ["Authenticated!", "Authenticated!"]);
  const keys = await redis.call("KEYS", "*") as string[];
  assert.ok(
    keys.every((key) => /^\{(wsward|other)\}:/.test(key) && !/somebody|secret/.test(key)),
    keys.join(" "),
  );
  for (const key of keys) assert.ok(Number(await redis.call("PTTL", key)) > 0, `${key} has to end by itself`);
  one.client.close();
  two.client.close();
});

Deno.test("a password in a flag is refused, and told nowhere", async () => {
  await using node = new Node(undefined, ["--redis", "redis://me:s3cret@127.0.0.1:1"]);
  const { code, stderr } = await node.program.result();
  assert.equal(code, 2);
  assert.match(stderr, /Cannot use --redis .*everybody on this machine sees the password/);
  assert.doesNotMatch(stderr, /s3cret/);
});

test("the doctor looks whether Redis is there and takes what is written", async () => {
  await using redis = await RedisServer.start();
  const look = async (url: string) => {
    const { stdout } = await run(["doctor", "--no-secure", "--echo-port", "0", "--log-file", "none"], {
      env: { WSWARD_REDIS: url },
    });
    return stdout.split("\n").find((line) => line.includes("Redis"));
  };
  assert.match(await look(redis.url) ?? "", /^ok .*it answers within \d+ ms$/);
  await redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
  await redis.call("CONFIG", "SET", "maxmemory", "100mb");
  assert.match(await look(redis.url) ?? "", /^warning .*evicts keys .*allkeys-lru/);
  await redis.call("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+hello", "+get");
  const reader = await look(redis.url.replace("://", "://reader:secret@"));
  assert.match(reader ?? "", /^warning .*NOPERM/);
  assert.doesNotMatch(reader ?? "", /secret/);
  await redis.kill();
  assert.match(await look(redis.url) ?? "", /^warning .*connection refused/);
});

test("config show tells where Redis is, and not the password", async () => {
  const env = { WSWARD_REDIS: "redis://me:s3cret@10.0.0.5" };
  for (const args of [["config", "show"], ["config", "show", "--json"]]) {
    const { stdout } = await run(args, { env });
    assert.match(stdout, /redis:\/\/\.\.\.@10\.0\.0\.5/);
    assert.doesNotMatch(stdout, /s3cret/);
  }
  const { stdout } = await run(["serve", "--print-permissions", "--runtime-dir", "run"], { env });
  assert.match(stdout, /--allow-net=\S*10\.0\.0\.5:6379/);
  assert.doesNotMatch(stdout, /s3cret/);
});

/** Passes on what comes, each part so much later, until there is nothing more. */
async function pass(from: Deno.Conn, to: Deno.Conn, delayMs: number): Promise<void> {
  const writer = to.writable.getWriter();
  let passed: Promise<unknown> = Promise.resolve();
  try {
    for await (const part of from.readable) {
      // From when it came: what comes meanwhile waits beside it, not behind it.
      const late = new Promise((resolve) => setTimeout(resolve, delayMs));
      passed = Promise.all([passed, late]).then(() => writer.write(part));
      passed.catch(() => {});
    }
    await passed;
    await writer.close();
  } catch (error) {
    expectLoss(error);
    // Neither side is there any more for the other.
    await writer.abort().catch(() => {});
  }
}

/** A way to Redis that can be cut, and be slow to it. */
class Line implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Deno.Conn>();
  readonly #ended: Promise<void>;
  isCut = false;

  constructor(port: number, delayMs = 0) {
    this.#ended = (async () => {
      for await (const near of this.#listener) {
        if (this.isCut) {
          near.close();
          continue;
        }
        const far = await Deno.connect({ hostname: "127.0.0.1", port });
        for (const conn of [near, far]) this.#conns.add(conn);
        for (const [from, to] of [[near, far], [far, near]] as const) {
          void pass(from, to, from === near ? delayMs : 0).finally(() => this.#conns.delete(from));
        }
      }
    })();
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#listener.addr.port}`;
  }

  cut(): void {
    this.isCut = true;
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch (error) {
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listener.close();
    await this.#ended;
  }
}

test("a node that is cut off goes on, and does what was decided meanwhile when it is back", async () => {
  await using redis = await RedisServer.start();
  await using line = new Line(redis.port);
  await using a = new Node(line.url, ["--node-name", "a"]);
  await using b = new Node(redis.url, ["--node-name", "b"]);
  await a.joined();
  await b.joined();
  const alice = await a.login(token());
  const bob = await a.login(token({ user_id: "bob" }));
  line.cut();
  await a.program.logged(/Redis can't be used/);
  assert.equal((await b.admin("POST", "/revocations", { kind: "user", value: "alice" })).status, 201);
  assert.equal((await b.admin("POST", "/bans", { address: "192.0.2.9" })).status, 201);
  assert.equal((await a.admin("POST", "/revocations", { kind: "user", value: "carol" })).status, 201);
  const banned = (await a.admin("POST", "/bans", { address: "192.0.2.10" })).json as { everywhere: boolean };
  assert.equal(banned.everywhere, false);
  await alice.client.sendText("x");
  assert.equal(await alice.client.nextText(), "Server received: x");
  line.isCut = false;
  assert.equal(await alice.client.nextText(), "Token Revoked");
  await bob.client.sendText("x");
  assert.equal(await bob.client.nextText(), "Server received: x");
  for (const node of [a, b]) {
    await until(
      "both know all of it",
      async () =>
        [
          (await node.admin("GET", "/revocations")).json as { revocations: { value: string }[] },
          (await node.admin("GET", "/bans")).json as { bans: { client: string }[] },
        ] as const,
      ([{ revocations }, { bans }]) =>
        revocations.map(({ value }) => value).sort().join() === "alice,carol" &&
        bans.map(({ client }) => client).sort().join() === "192.0.2.10,192.0.2.9",
    );
  }
  alice.client.close();
  bob.client.close();
});

test("what others revoked is in the state file of this node too: it holds after a start without Redis", async () => {
  await using redis = await RedisServer.start();
  const folder = await Deno.makeTempDir();
  const flags = ["--state-file", `${folder}/state`, "--node-name", "a"];
  const permissions = [`--allow-read=${folder}`, `--allow-write=${folder}`];
  await using b = new Node(redis.url, ["--node-name", "b"]);
  await b.joined();
  {
    await using a = new Node(redis.url, flags, undefined, permissions);
    await a.joined();
    await b.admin("POST", "/revocations", { kind: "user", value: "eve" });
    await until(
      "it is known",
      () => answer(a, { user_id: "eve", iat: 1 }),
      (text) => text === "Token Revoked",
    );
    a.program.signal("SIGKILL");
    await a.program.result();
  }
  await using again = new Node(undefined, flags, undefined, permissions);
  assert.equal(await answer(again, { user_id: "eve", iat: 1 }), "Token Revoked");
  again.program.signal("SIGTERM");
  await again.program.result();
  await Deno.remove(folder, { recursive: true });
});

test("sessions in front of somebody else's server are shared too", async () => {
  await using redis = await RedisServer.start();
  await using server = new Node(undefined, ["--no-admin"]);
  const upstream = ["--upstream", `ws://127.0.0.1:${await server.program.port("echo")}`, ...ONE];
  await using a = new Node(redis.url, upstream);
  await using b = new Node(redis.url, upstream);
  await a.joined();
  await b.joined();
  const open = async (node: Node) => {
    const client = await RawClient.open({ port: await node.program.port("upstream") });
    const { status } = await client.handshake({ headers: { Authorization: `Bearer ${token()}` } });
    return { client, status };
  };
  const first = await open(a);
  assert.equal(first.status, 101);
  const second = await open(b);
  assert.equal(second.status, 403);
  second.client.close();
  first.client.close();
  await until("there is room again", async () => {
    const third = await open(b);
    third.client.close();
    return third.status;
  }, (status) => status === 101);
});

Deno.test("a password is told nowhere, however the rest of the URL is wrong", async () => {
  for (
    const url of [
      "redis://me:s3cret",
      "me:s3cret@127.0.0.1",
      "redis:me:s3cret@h",
      "redis://h/?password=s3cret",
    ]
  ) {
    await using node = new Node(url);
    const { code, stderr } = await node.program.result();
    assert.equal(code, 2);
    assert.match(stderr, /Cannot use WSWARD_REDIS "\.\.\.": it must be redis:\/\//);
    assert.doesNotMatch(stderr, /s3cret/);
  }
});

test("a node that stops: who is told to go can be elsewhere at once, however long it takes to tell Redis", async () => {
  await using redis = await RedisServer.start();
  await using line = new Line(redis.port, 200);
  await using a = new Node(line.url, ONE);
  await using b = new Node(redis.url, ONE);
  await a.joined();
  await b.joined();
  const { client } = await a.login(token());
  a.program.signal("SIGTERM");
  assert.equal((await client.nextClose()).code, 1001);
  assert.equal(await answer(b), "Authenticated!");
  client.close();
  assert.equal((await a.program.result()).code, 0);
});

test("a Redis that throws keys away is told of at the start", async () => {
  await using redis = await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
  await using a = new Node(redis.url);
  await a.program.logged(/redis\.evicts .*maxmemory-policy allkeys-lru/);
});
