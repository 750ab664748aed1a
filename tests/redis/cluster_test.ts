// What nodes know together, whichever was told first: nodes in this process, and one real Redis.

import assert from "node:assert/strict";
import { Cluster, type ClusterSettings } from "../../src/cluster/cluster.ts";
import type { SharedFirewall } from "../../src/cluster/shared_bans.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import type { Session } from "../../src/endpoints/sessions/session.ts";
import { keyOf } from "../../src/cluster/wire.ts";
import { until } from "./nodes.ts";
import { NO_REDIS, RedisServer } from "./redis_server.ts";

const HOUR_MS = 3_600_000;

/** One node without its listeners. */
class Peer {
  readonly cluster: Cluster;
  readonly sessions: SessionRegistry;
  readonly bans = new Map<string, number>();
  readonly records: string[] = [];

  private constructor(redis: string, settings: Partial<ClusterSettings>) {
    this.cluster = new Cluster({
      settings: {
        redis,
        redisPrefix: "test",
        redisTimeout: 1000,
        redisCa: undefined,
        nodeName: undefined,
        onRedisLoss: "local",
        maxSessionsPerUser: 10,
        onSessionLimit: "refuse-newest",
        replayCheck: false,
        banAfter: 5,
        banWindow: 60_000,
        banTime: 60_000,
        ...settings,
      },
      version: "0",
      log: (event) => this.records.push(event),
    });
    this.sessions = new SessionRegistry({
      shared: this.cluster,
      replayCheck: settings.replayCheck ?? false,
    });
  }

  static async start(redis: string, settings: Partial<ClusterSettings> = {}): Promise<Peer> {
    const peer = new Peer(redis, settings);
    await peer.cluster.start(peer.sessions);
    peer.cluster.guard(firewallOf(peer), []);
    return peer;
  }

  revoke(user: string, ttlMs: number): void {
    this.sessions.revoke({ kind: "user", value: user, ttlMs });
  }

  /** Users and when their revocations end, in hours from now. */
  get revoked(): ReadonlyMap<string, number> {
    return new Map(
      this.sessions.revocations().map((
        { value, expiresAtMs },
      ) => [value, Math.round((expiresAtMs - Date.now()) / HOUR_MS)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
  }
}

function firewallOf({ bans }: Peer): SharedFirewall {
  return {
    followBan: (client, forMs) => forMs > 0 ? bans.set(client, forMs) : bans.delete(client),
    banForViolations() {},
    size: 0,
  };
}

/** A name of Redis behind which another one can be put. */
class Address implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  #port: number;

  constructor(port: number) {
    this.#port = port;
    void this.#accept();
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  move(port: number): void {
    this.#port = port;
    for (const conn of this.#open) closeQuietly(conn);
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.move(0);
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      const redis = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
      for (const [from, to] of [[conn, redis], [redis, conn]] as const) {
        this.#open.add(from);
        from.readable.pipeTo(to.writable).catch(() => {});
      }
    }
  }
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function test(name: string, fn: (redis: RedisServer) => Promise<void>): void {
  Deno.test({
    name,
    ignore: NO_REDIS,
    async fn() {
      await using redis = await RedisServer.start();
      await fn(redis);
    },
  });
}

test("of what two nodes revoke at once the longer time holds, for a node that comes later too", async (redis) => {
  await using a = await Peer.start(redis.url);
  await using b = await Peer.start(redis.url);
  redis.signal("SIGSTOP");
  const users = Array.from({ length: 12 }, (_, i) => `user ${i}`);
  // Which of the two is kept is decided by their ids.
  for (const user of users) {
    a.revoke(user, 3 * HOUR_MS);
    b.revoke(user, HOUR_MS);
  }
  redis.signal("SIGCONT");
  const all = new Map(users.map((user) => [user, 3]));
  const isAll = (peer: Peer) => users.every((user) => peer.revoked.get(user) === 3);
  await until("both know", () => Promise.resolve([a, b]), (peers) => peers.every(isAll));
  await until(
    "all is told",
    () => Promise.all([a.cluster.told(), b.cluster.told()]),
    (told) => told.every(Boolean),
  );
  await using c = await Peer.start(redis.url);
  assert.deepEqual(c.revoked, all);
  // Taken back is taken back, whatever was put together.
  for (const { id } of c.sessions.revocations()) c.sessions.removeRevocation(id);
  for (const peer of [a, b]) {
    await until("it is taken back", () => Promise.resolve(peer.revoked.size), (size) => size === 0);
  }
});

test("a ban from before the clock of Redis was known holds over what was done before it", async (redis) => {
  await using a = await Peer.start(redis.url);
  a.cluster.banned("192.0.2.1", HOUR_MS);
  a.cluster.unbanned("192.0.2.1");
  assert.ok(await a.cluster.told());
  redis.signal("SIGSTOP");
  await using b = await Peer.start(redis.url, { redisTimeout: 20 });
  assert.equal(b.cluster.isUp, false);
  b.cluster.banned("192.0.2.1", HOUR_MS);
  redis.signal("SIGCONT");
  await until("the other one hears of it", () => Promise.resolve(a.bans.has("192.0.2.1")), Boolean);
});

test("of what two nodes do in the same moment one thing holds on both", async (redis) => {
  await using a = await Peer.start(redis.url);
  await using b = await Peer.start(redis.url);
  const clients = Array.from({ length: 50 }, (_, i) => `192.0.2.${i}`);
  // As if the clock of Redis had been set back: then only the order counts, and both are next.
  const later = Date.now() + HOUR_MS;
  const value = `${String(later).padStart(16, "0")}${String(later).padStart(16, "0")}x`;
  for (const [i, client] of clients.entries()) {
    await redis.call("HSET", "{test}:b", client, value);
    await redis.call("ZADD", "{test}:b:v", i + 1, client);
    await redis.call("ZADD", "{test}:b:x", later, client);
  }
  await redis.call("HSET", "{test}:v", "b", clients.length);
  for (const peer of [a, b]) peer.cluster.guard(firewallOf(peer), []);
  await until(
    "both know",
    () => Promise.resolve([a, b]),
    (peers) => peers.every(({ bans }) => bans.size === clients.length),
  );
  for (const client of clients) {
    // `bans` are those of others only.
    a.bans.set(client, HOUR_MS);
    a.cluster.banned(client, HOUR_MS);
    b.bans.delete(client);
    b.cluster.unbanned(client);
  }
  await until(
    "both say the same",
    () => Promise.resolve([[...a.bans.keys()].sort(), [...b.bans.keys()].sort()]),
    ([one, other]) => String(one) === String(other),
  );
});

test("what could not be brought to an empty Redis is brought with the next beat", async (redis) => {
  await using a = await Peer.start(redis.url, { replayCheck: true });
  const identity = { user: "alice", expiresAtMs: Date.now() + HOUR_MS, claims: { jti: "x" } };
  const place = { id: crypto.randomUUID(), address: "192.0.2.1", connection: "c" };
  const begin = await a.sessions.request(identity, place);
  assert.ok(typeof begin === "function");
  assert.equal(begin(), undefined);
  a.cluster.ended(place.id);
  const used = async () => (await redis.call("KEYS", "{test}:j:*") as string[]).length;
  assert.equal(await used(), 1);
  // In one step: a beat between them would bring all.
  await redis.call(
    "EVAL",
    "redis.call('FLUSHALL') redis.call('SET', KEYS[1], 'of somebody else')",
    1,
    "{test}:r:v",
  );
  // The first one may be of a beat that had begun before.
  for (const times of [1, 2, 3]) {
    a.cluster.guard(firewallOf(a), []);
    await until(
      `it is refused with each beat (${times})`,
      () => Promise.resolve(a.records.filter((event) => event === "redis.refused").length),
      (count) => count >= times,
    );
  }
  await redis.call("DEL", "{test}:r:v");
  a.cluster.guard(firewallOf(a), []);
  await until("the token is there", used, (count) => count === 1);
});

test("who changes something waits no longer than two seconds until others know", async (redis) => {
  await using a = await Peer.start(redis.url, { redisTimeout: 30_000 });
  redis.signal("SIGSTOP");
  a.cluster.banned("192.0.2.1", HOUR_MS);
  const startMs = performance.now();
  assert.equal(await a.cluster.told(), false);
  assert.ok(performance.now() - startMs < 15_000);
  redis.signal("SIGCONT");
});

test("a pipe in place of the file of the CA holds nobody up", async (redis) => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/ca.pem`;
    await new Deno.Command("mkfifo", { args: [path] }).output();
    await assert.rejects(
      Peer.start(redis.url.replace("redis:", "rediss:"), { redisCa: path }),
      /Cannot use --redis-ca ".*": it is not a regular file/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a replica that lags takes over: what it has not heard of, and what it has heard of too long ago", async (redis) => {
  await using replica = await RedisServer.start();
  await redis.call("CONFIG", "SET", "repl-diskless-sync-delay", 0);
  await replica.call("REPLICAOF", "127.0.0.1", redis.port);
  using address = new Address(redis.port);
  await using a = await Peer.start(address.url, { replayCheck: true });
  await using b = await Peer.start(address.url, { replayCheck: true });
  a.revoke("before", HOUR_MS);
  b.revoke("taken back", HOUR_MS);
  a.cluster.banned("192.0.2.1", HOUR_MS);
  b.cluster.banned("192.0.2.2", HOUR_MS);
  await until("a has heard", () => Promise.resolve(a.revoked.size), (size) => size === 2);
  await until("b has heard", () => Promise.resolve(b.bans.size), (size) => size === 1);
  assert.ok(await a.cluster.told() && await b.cluster.told());
  const count = async (list: string) => Number(await replica.call("HLEN", `{test}:${list}`));
  await until("so has the replica", async () => await count("r") + await count("b"), (sum) => sum === 4);
  await replica.call("REPLICAOF", "NO", "ONE");

  a.revoke("after", HOUR_MS);
  const old = b.sessions.revocations().find(({ value }) => value === "taken back")!;
  b.sessions.removeRevocation(old.id);
  b.cluster.unbanned("192.0.2.2");
  a.cluster.banned("192.0.2.3", HOUR_MS);
  assert.ok(await a.cluster.told() && await b.cluster.told());
  const identity = { user: "alice", expiresAtMs: Date.now() + HOUR_MS, claims: { jti: "x" } };
  const place = { id: crypto.randomUUID(), address: "192.0.2.1", connection: "c" };
  const begin = await a.sessions.request(identity, place);
  assert.ok(typeof begin === "function" && begin() === undefined);

  address.move(replica.port);
  await until(
    "both are back",
    async () => String(await replica.call("CLIENT", "LIST")).match(/sub=1/g)?.length,
    (nodes) => nodes === 2,
  );
  await until("all is told", async () => await a.cluster.told() && await b.cluster.told(), Boolean);
  await until("a token is used", () => replica.call("KEYS", "{test}:j:*"), (keys) => String(keys) !== "");
  await using c = await Peer.start(replica.url, { replayCheck: true });
  for (const peer of [a, b, c]) {
    await until(
      "all know the same",
      () => Promise.resolve([...peer.revoked.keys()].sort()),
      (users) => String(users) === "after,before",
    );
  }
  assert.deepEqual([...c.bans.keys()].sort(), ["192.0.2.1", "192.0.2.3"]);
  const again = await c.sessions.request(identity, { ...place, id: crypto.randomUUID() });
  assert.equal((again as () => { why: string })().why, "replayed");
});

test("who was banned and is not any more begins with his first violation", async (redis) => {
  await using a = await Peer.start(redis.url);
  await using b = await Peer.start(redis.url);
  const counted = async () => (await redis.call("KEYS", "{test}:c:*") as string[]).length;
  for (const end of ["banned", "unbanned"] as const) {
    a.cluster.violated("192.0.2.1");
    await until("it is counted", counted, (count) => count === 1);
    b.cluster[end]("192.0.2.1", HOUR_MS);
    await until("it is forgotten", counted, (count) => count === 0);
    // What was not told yet, too.
    a.cluster.violated("192.0.2.1");
    a.cluster.violated("192.0.2.2");
    a.cluster[end]("192.0.2.1", HOUR_MS);
    await until("the other is counted", counted, (count) => count > 0);
    assert.equal(await counted(), 1);
    a.cluster[end]("192.0.2.2", HOUR_MS);
    await until("it is forgotten", counted, (count) => count === 0);
  }
});

/** What a session has to be for the registry. */
function openSession(peer: Peer, id: string, user: string, jtis: readonly string[]): { ended: boolean } {
  const place = { id, user, address: "192.0.2.1", connection: "c", startedAtMs: Date.now(), jtis };
  const session = {
    ...place,
    identity: { user, expiresAtMs: Date.now() + HOUR_MS, claims: {} },
    ended: false,
    place: () => ({ ...place, expiresAtMs: Date.now() + HOUR_MS }),
    end() {
      session.ended = true;
      peer.sessions.remove(session as unknown as Session);
    },
  };
  peer.sessions.add(session as unknown as Session);
  return session;
}

test("a session with more tokens than others are told is revoked with all of them, by any node", async (redis) => {
  await using a = await Peer.start(redis.url);
  await using b = await Peer.start(redis.url);
  // 8 KiB of names are told: just as much, and one more.
  for (const [user, count] of [["just", 8], ["over", 9], ["most", 64]] as const) {
    const id = crypto.randomUUID();
    const jtis = Array.from({ length: count }, (_, i) => `${user} ${i} `.padEnd(1024, "x"));
    const session = openSession(b, id, user, jtis);
    b.cluster.guard(firewallOf(b), []);
    const found = (await until(
      "it is listed",
      () => a.cluster.ask((directory) => directory.find(id)),
      (answer) => answer?.value !== undefined,
    ))!.value!;
    assert.deepEqual([found.jtis.length, found.hasMoreJtis], [8, count > 8]);
    a.sessions.revoke({ kind: "session", value: id, ttlMs: HOUR_MS, jtis: found.jtis });
    assert.ok(await a.cluster.told());
    const gone = await a.cluster.ask((directory) => directory.isGone(id));
    assert.deepEqual([gone?.value, session.ended], [true, true]);
    // Also a node that comes later knows them.
    await using c = await Peer.start(redis.url);
    for (const peer of [a, b, c]) {
      await until(
        "all tokens are revoked",
        () => Promise.resolve(peer.sessions.revocations().find(({ value }) => value === id)),
        (revocation) => revocation?.jtis.length === count,
      );
      for (const jti of jtis) {
        const refusal = peer.sessions.check({ user, expiresAtMs: Date.now() + HOUR_MS, claims: { jti } });
        assert.equal(refusal?.why, "revoked");
      }
    }
  }
  // Taken back is taken back, with all that was added.
  for (const { id } of a.sessions.revocations()) a.sessions.removeRevocation(id);
  await until("none is left", () => Promise.resolve(b.sessions.revocations()), ({ length }) => length === 0);
});

test("the clock of Redis is set ahead: what has ended there too early is told again", async (redis) => {
  await using a = await Peer.start(redis.url, { replayCheck: true });
  await using b = await Peer.start(redis.url, { replayCheck: true });
  const identity = { user: "alice", expiresAtMs: Date.now() + HOUR_MS / 2, claims: { jti: "x" } };
  const place = { id: crypto.randomUUID(), address: "192.0.2.1", connection: "c" };
  const begin = await a.sessions.request(identity, place);
  assert.ok(typeof begin === "function" && begin() === undefined);
  openSession(a, place.id, "alice", ["x"]);
  a.revoke("eve", HOUR_MS / 2);
  assert.ok(await a.cluster.told());
  // What Redis does when its clock is an hour further, and what that looks like from here.
  await redis.call(
    "DEL",
    `{test}:j:${keyOf("x")}`,
    `{test}:u:${keyOf("alice")}`,
    "{test}:r",
    "{test}:r:v",
    "{test}:r:x",
  );
  const { now } = performance;
  try {
    performance.now = () => now.call(performance) - HOUR_MS;
    for (const peer of [a, b]) peer.cluster.guard(firewallOf(peer), []);
    await until(
      "both have noticed",
      () => Promise.resolve([a, b]),
      (peers) => peers.every(({ records }) => records.join().endsWith("redis.lost,redis.connected")),
    );
    await until(
      "the token is used up",
      () => redis.call("EXISTS", `{test}:j:${keyOf("x")}`),
      (count) => count === 1,
    );
    await using c = await Peer.start(redis.url, { replayCheck: true, maxSessionsPerUser: 1 });
    assert.deepEqual([...c.revoked.keys()], ["eve"]);
    const again = async (jti: string) => {
      const other = { ...identity, claims: { jti } };
      return (await c.sessions.request(other, { ...place, id: crypto.randomUUID() }) as () => {
        why: string;
      })().why;
    };
    assert.equal(await again("x"), "replayed");
    assert.equal(await again("y"), "too many sessions");
  } finally {
    performance.now = now;
  }
});
