// Several upstream servers: which is next, which is left out, and what changes when one dies, hangs and comes back.

import assert from "node:assert/strict";
import { parseUpstreamUrl } from "../../src/core/upstream_text.ts";
import { Pool, type UpstreamServer } from "../../src/firewall/upstream/pool.ts";
import type { LogFields } from "../../src/telemetry/log.ts";
import { RawClient } from "../support/raw_client.ts";
import { startForeign } from "./harness.ts";
import { startInProcess } from "./in_process.ts";

class Clock {
  nowMs = 0;
  readonly events: string[] = [];

  pool(count: number, maxConnections = Infinity): Pool {
    const addresses = Array.from({ length: count }, (_, i) => parseUpstreamUrl(`ws://127.0.0.1:${i + 1}`)!);
    return new Pool(addresses, {
      maxConnections,
      now: () => this.nowMs,
      log: (event, fields: LogFields = {}) => this.events.push(`${event} ${fields.upstream?.at(-1)}`),
    });
  }
}

const NONE: ReadonlySet<UpstreamServer> = new Set();

/** Takes a place and says what became of the attempt. */
function attempt(pool: Pool, result: Parameters<Pool["tried"]>[1]): UpstreamServer | undefined {
  const server = pool.pick(NONE);
  if (server === undefined) return undefined;
  pool.tried(server, result);
  if (result !== "ok") pool.release(server);
  return server;
}

Deno.test("the fewest living connections win, equals in turn, and places are limited", () => {
  const pool = new Clock().pool(3, 2);
  const [a, b, c] = pool.servers;
  assert.deepEqual([attempt(pool, "ok"), attempt(pool, "ok"), attempt(pool, "ok")], [a, b, c]);
  pool.release(b!);
  assert.equal(attempt(pool, "ok"), b);
  for (let i = 0; i < 3; i++) assert.ok(attempt(pool, "ok"));
  assert.equal(attempt(pool, "ok"), undefined, "all are full");
  pool.release(c!);
  assert.equal(attempt(pool, "ok"), c);
});

Deno.test("three failures in a row take a server out: 1 s, doubled to 30 s, one trial at a time", () => {
  const clock = new Clock();
  const pool = clock.pool(2);
  const [a, b] = pool.servers;
  // One is busy, so the other is always the better.
  for (let i = 0; i < 9; i++) b!.open++;
  for (let i = 0; i < 2; i++) assert.equal(attempt(pool, "unreachable"), a);
  assert.equal(attempt(pool, "refused"), a, "a refusal is an answer: the count begins again");
  for (let i = 0; i < 3; i++) assert.equal(attempt(pool, "tls"), a);
  assert.deepEqual(clock.events, ["upstream.down 1"]);
  assert.deepEqual(pool.problems(), []);
  for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
    assert.equal(a!.pauseMs, seconds * 1000);
    clock.nowMs += seconds * 1000 - 1;
    assert.equal(attempt(pool, "ok"), b);
    clock.nowMs += 1;
    const trial = pool.pick(NONE);
    assert.equal(trial, a);
    assert.equal(attempt(pool, "ok"), b, "not while somebody tries it");
    pool.tried(a!, "unreachable");
    pool.release(a!);
  }
  clock.nowMs += 30_000;
  assert.equal(attempt(pool, "ok"), a);
  assert.equal(a!.isUp, true);
  assert.equal(clock.events.at(-1), "upstream.up 1");
});

Deno.test("when all are out nobody is served, but by those that at least accept; a lone server is always tried", () => {
  const clock = new Clock();
  const pool = clock.pool(2);
  for (let i = 0; i < 6; i++) attempt(pool, "unreachable");
  assert.deepEqual(pool.problems(), ["no upstream can be used"]);
  assert.equal(pool.pick(NONE), undefined);

  const slow = clock.pool(2);
  for (let i = 0; i < 6; i++) attempt(slow, "timeout");
  assert.ok(attempt(slow, "timeout"), "one client's slow answers do not lock all others out");

  const lone = clock.pool(1);
  for (let i = 0; i < 9; i++) assert.ok(attempt(lone, "unreachable"));
  assert.equal(lone.problems().length, 1);
});

/** The status of a handshake. */
async function ask(port: number): Promise<number> {
  using client = await RawClient.open({ port }, 15_000);
  return (await client.handshake()).status;
}

/** Has dials to a port fail like this as long as it is not disposed of. */
function lack(port: number, makeError: () => Error, times = Infinity): Disposable {
  const { connect } = Deno;
  let left = times;
  Deno.connect =
    ((options: Deno.ConnectOptions) =>
      options.port === port && left-- > 0 ? Promise.reject(makeError()) : connect(options)) as typeof connect;
  return { [Symbol.dispose]: () => void (Deno.connect = connect) };
}

Deno.test("what this machine lacks for a connection is not held against a server", async () => {
  await using server = await startForeign();
  for (
    const makeError of [
      ...[24, 23, 12, 105].map((code) => () => new Error(`the system's words (os error ${code})`)),
      () => new Deno.errors.AddrNotAvailable("Cannot assign requested address (os error 99)"),
    ]
  ) {
    await using front = startInProcess([server.url], { handshakeRate: "unlimited" });
    {
      using _ = lack(server.port, makeError);
      for (let i = 0; i < 6; i++) assert.equal(await ask(front.port), 503);
    }
    const { pool } = front.upstream;
    assert.deepEqual([pool.servers[0]!.isUp, pool.servers[0]!.connects.size, pool.problems()], [true, 0, []]);
    assert.equal((await front.event("upstream.unreachable")).error, makeError().message);
    assert.ok(!front.events.some(({ event }) => event === "upstream.down"));
    assert.equal(await ask(front.port), 101);
  }
});

Deno.test("a dial without descriptors is tried again when some have been let go", async () => {
  await using server = await startForeign();
  await using front = startInProcess([server.url]);
  let lacks = 0;
  front.admission.lackDescriptors = () => (lacks++, true);
  using _ = lack(server.port, () => new Error("Too many open files (os error 24)"), 1);
  assert.equal(await ask(front.port), 101);
  assert.equal(lacks, 1);
});

Deno.test("a fault of our own in a dial is 500, and not the server's", async () => {
  await using server = await startForeign();
  await using front = startInProcess([server.url]);
  {
    using _ = lack(server.port, () => new TypeError("broken"));
    for (let i = 0; i < 3; i++) assert.equal(await ask(front.port), 500);
  }
  assert.equal((await front.event("connection.fault")).error, "TypeError: broken");
  assert.deepEqual([...front.upstream.pool.servers[0]!.connects], []);
});

Deno.test("one of two dies and comes back: nobody notices, and who is connected stays", async () => {
  const dying = await startForeign();
  await using other = await startForeign();
  await using front = startInProcess([dying.url, other.url], { handshakeRate: "unlimited" });
  using stays = await RawClient.connect({ port: front.port });
  using second = await RawClient.connect({ port: front.port });
  assert.deepEqual([dying.sockets.length, other.sockets.length], [1, 1]);
  const { port } = dying;
  await dying[Symbol.asyncDispose]();
  const [server] = front.upstream.pool.servers;
  for (let i = 0; i < 6; i++) {
    assert.equal(await ask(front.port), 101);
    // No trial yet, however long the rest takes.
    if (!server!.isUp) server!.pausedUntilMs = Infinity;
  }
  assert.equal(front.events.filter(({ event }) => event === "upstream.down").length, 1);
  assert.ok(front.upstream.pool.retries >= 3);
  await second.sendText("x");
  assert.equal(await second.nextText(), "x");
  assert.equal((await stays.nextClose()).code, 1011, "its server is dead");
  await using again = await startForeign({ listen: port });
  server!.pausedUntilMs = 0;
  while (!server!.isUp) assert.equal(await ask(front.port), 101);
  assert.ok(again.requests.length > 0);
  assert.deepEqual(front.upstream.pool.problems(), []);
});

Deno.test("one of two accepts and never answers: 504, then it is left out", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using other = await startForeign();
  await using front = startInProcess([`ws://127.0.0.1:${silent.addr.port}`, other.url], {
    // Half of it must do for a connection, and all of it for the other one, on a busy machine too.
    upstreamTimeout: "4s",
  });
  const dead = front.upstream.pool.servers[0]!;
  const statuses: number[] = [];
  for (let i = 0; dead.isUp && i < 20; i++) statuses.push(await ask(front.port));
  assert.deepEqual([...dead.connects], [["timeout", 3]]);
  dead.pausedUntilMs = Infinity;
  for (let i = 0; i < 3; i++) statuses.push(await ask(front.port));
  assert.deepEqual([...dead.connects], [["timeout", 3]]);
  assert.equal(statuses[0], 504);
  assert.ok(statuses.includes(101), statuses.join());
});

Deno.test("a server that never answers the beginning of TLS is late, too", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using front = startInProcess([`wss://127.0.0.1:${silent.addr.port}`], { upstreamTimeout: "200ms" });
  assert.equal(await ask(front.port), 504);
});

Deno.test("one of two that does not get as far as a connection leaves time for the other", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using other = await startForeign();
  await using front = startInProcess([`wss://127.0.0.1:${silent.addr.port}`, other.url], {
    upstreamTimeout: "4s",
  });
  assert.deepEqual([await ask(front.port), await ask(front.port)], [101, 101]);
  assert.ok(front.upstream.pool.retries > 0);
});

Deno.test("the next one is asked after a 503 only; when all are full it is 503 with Retry-After", async () => {
  const refuse = (status: number) => ({
    verifyClient: (_: unknown, no: (...a: unknown[]) => void) => no(false, status),
  });
  await using busy = await startForeign({ options: refuse(503) });
  await using strict = await startForeign({ options: refuse(403) });
  await using good = await startForeign();
  await using first = startInProcess([busy.url, good.url], { upstreamMaxConnections: "1" });
  using kept = await RawClient.connect({ port: first.port });
  using client = await RawClient.open({ port: first.port });
  const full = await client.handshake();
  assert.equal(full.status, 503);
  using again = startSilent();
  await using crowded = startInProcess([`ws://127.0.0.1:${again.addr.port}`], {
    upstreamMaxConnections: "1",
  });
  using waiting = await RawClient.open({ port: crowded.port });
  const waits = waiting.handshake();
  await again.accept().then((conn) => held.push(conn));
  using refused = await RawClient.open({ port: crowded.port });
  const answer = await refused.handshake();
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
  for (const conn of held) conn.close();
  assert.equal((await waits).status, 502);
  await using second = startInProcess([strict.url, good.url]);
  assert.equal(await ask(second.port), 403);
  kept.close();
});

const held: Deno.Conn[] = [];

function startSilent(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}
