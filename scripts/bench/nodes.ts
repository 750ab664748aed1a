// What Redis costs: handshakes with and without it, and many sessions in it.

import { parseArgs } from "node:util";
import { SharedSessions } from "../../src/cluster/shared_sessions.ts";
import { Directory } from "../../src/cluster/directory.ts";
import { BEAT } from "../../src/cluster/scripts.ts";
import type { Place } from "../../src/core/shared_state.ts";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import { RedisClient } from "../../src/redis/client.ts";
import { NO_REDIS, RedisServer } from "../../tests/redis/redis_server.ts";
import { readWhole, runScript } from "../run_script.ts";
import { measureHandshakes } from "./handshakes.ts";

const HELP = `Usage: deno run --allow-all scripts/bench/nodes.ts [--rounds N] [--seconds N] [--sessions N]

Handshakes with a token without Redis and with it, in turn; and what N sessions (100000) take in Redis: memory,
registering, a beat, listing them all, the longest call, and what one more costs. Needs redis-server.`;

/** How many more sessions are asked for, and how many of these at once. */
const ADMISSIONS = 20_000;
const AT_ONCE = 50;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly sessions: number;
}

async function main({ rounds, seconds, sessions }: Options): Promise<number> {
  if (NO_REDIS) throw new Error("Redis is not installed");
  await compareHandshakes(rounds, seconds);
  await measureSessions(sessions);
  return 0;
}

async function compareHandshakes(rounds: number, seconds: number): Promise<void> {
  await using redis = await RedisServer.start();
  const results: Record<string, { perSecond: number; cpu: number }[]> = { alone: [], redis: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [name, wswardFlags] of [["alone", []], ["redis", ["--redis", redis.url]]] as const) {
      const folder = await Deno.makeTempDir();
      const signal = AbortSignal.timeout(60_000);
      const result = await measureHandshakes("HS256", { folder, seconds, signal, wswardFlags });
      results[name]!.push({ perSecond: result.perSecond, cpu: result.cpuMicroseconds ?? NaN });
      await Deno.remove(folder, { recursive: true });
    }
  }
  console.log("\nHandshakes with a token (HS256), medians");
  const rate = (name: string) => median(results[name]!.map(({ perSecond }) => perSecond));
  for (const name of ["alone", "redis"]) {
    const cpu = median(results[name]!.map((result) => result.cpu));
    console.log(`  ${name.padEnd(6)} ${Math.round(rate(name))}/s  ${Math.round(cpu)} us of server CPU each`);
  }
  console.log(`  ratio  ${(rate("redis") / rate("alone")).toFixed(2)}`);
}

async function measureSessions(count: number): Promise<void> {
  await using redis = await RedisServer.start([
    "--slowlog-log-slower-than",
    "1000",
    "--slowlog-max-len",
    "10000",
  ]);
  const nowMs = Date.now();
  const createPlace = (i: number): Place => ({
    id: crypto.randomUUID(),
    user: `user-${i % (count / 2)}@example.com`,
    address: `192.0.2.${i % 256}`,
    connection: crypto.randomUUID(),
    startedAtMs: nowMs + i,
    expiresAtMs: nowMs + 3_600_000,
    jtis: [crypto.randomUUID()],
  });
  const places = new Map(Array.from({ length: count }, (_, i): [string, Place] => {
    const place = createPlace(i);
    return [place.id, place];
  }));
  const shift = { toRedis: (ms: number) => ms, toOwn: (ms: number) => ms };
  const client = new RedisClient({
    address: parseRedisUrl(redis.url)!,
    timeoutMs: 2000,
    caCerts: () => [],
    key: "{wsward}:",
    channel: "{wsward}:hints",
    onMessage: () => {},
    join: () => Promise.resolve(),
    onSetAhead: () => {},
    onUp: () => {},
    onDown: (reason) => console.error(`Redis was lost: ${reason}`),
    onAnswer: () => {},
  });
  await client.start();
  const node = "bench:1";
  const open = {
    size: places.size,
    has: (id: string) => places.has(id),
    place: (id: string) => places.get(id),
    ids: () => places.keys(),
  };
  const shared = new SharedSessions({
    client,
    shift,
    node,
    prefix: "{wsward}:",
    open: { ...open, endForLimit() {}, close() {} },
    settings: { maxSessionsPerUser: 10, onSessionLimit: "refuse-newest" },
    attempt: () => Promise.resolve(),
  });
  const used = async () => Number(/used_memory:(\d+)/.exec(String(await redis.call("INFO", "memory")))?.[1]);
  const before = await used();
  const beat = () => client.run(BEAT, [node, 15_000, "{}", "epoch"]);
  await beat();
  console.log(`\n${count} sessions of one node`);
  console.log(`  registered in ${await timed(() => shared.sync())}`);
  console.log(`  ${((await used() - before) / count).toFixed(0)} bytes of Redis each`);
  console.log(`  compared in ${await timed(() => shared.sync())}, a beat takes ${await timed(beat)}`);
  const directory = new Directory({ client, shift, node });
  let listed = 0;
  const pages = await timed(async () => {
    for (let after: string | undefined = ""; after !== undefined;) {
      const page = await directory.page(after, 1000);
      listed += page.sessions.length;
      after = page.next;
    }
  });
  console.log(
    `  ${listed} listed in ${pages}, a page of 1000 in ${await timed(() => directory.page("", 1000))}`,
  );
  const slow = await redis.call("SLOWLOG", "GET", -1) as [number, number, number][];
  const longest = Math.max(0, ...slow.map(([, , microseconds]) => microseconds));
  console.log(`  calls of Redis above 1 ms: ${slow.length}, the longest ${(longest / 1000).toFixed(1)} ms`);
  const cpu = async () => {
    const text = String(await redis.call("INFO", "cpu"));
    return Number(/used_cpu_sys:([\d.]+)/.exec(text)?.[1]) + Number(/used_cpu_user:([\d.]+)/.exec(text)?.[1]);
  };
  const cpuBefore = await cpu();
  let begun = 0;
  const admitAll = async () => {
    while (begun < ADMISSIONS) {
      const place = createPlace(begun++);
      if (await shared.admit(place, place.id) !== "ok") throw new Error("a session was refused");
    }
  };
  const admitted = await timed(() => Promise.all(Array.from({ length: AT_ONCE }, admitAll)));
  const each = (await cpu() - cpuBefore) / ADMISSIONS * 1e6;
  console.log(`  ${ADMISSIONS} more admitted in ${admitted}, ${Math.round(each)} us of Redis each`);
  client.stop();
}

async function timed(action: () => Promise<unknown>): Promise<string> {
  const startMs = performance.now();
  await action();
  return `${(performance.now() - startMs).toFixed(1)} ms`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      sessions: { type: "string", default: "100000" },
      help: { type: "boolean", default: false },
    },
  });
  return {
    rounds: readWhole("--rounds", values.rounds, { most: 999 }),
    seconds: readWhole("--seconds", values.seconds, { most: 600 }),
    sessions: readWhole("--sessions", values.sessions, { most: 1_000_000 }),
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
