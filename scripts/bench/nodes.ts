// What many nodes cost: handshakes with and without Redis, one port with 1, 2 and 4 processes, and 100,000 sessions.

import { parseArgs } from "node:util";
import { SharedSessions } from "../../src/cluster/shared_sessions.ts";
import { Directory } from "../../src/cluster/directory.ts";
import { BEAT } from "../../src/cluster/scripts.ts";
import type { Place } from "../../src/core/shared_state.ts";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import { RedisClient } from "../../src/redis/client.ts";
import { NO_REDIS, privatePort, RedisServer } from "../../tests/redis/redis_server.ts";
import { RawClient } from "../../tests/support/raw_client.ts";
import { readWhole, runScript } from "../run_script.ts";
import { cpuSeconds } from "./cpu.ts";
import { measureHandshakes } from "./handshakes.ts";
import type { LoadOrder, LoadResult } from "./load.ts";
import { parseRow } from "./rows.ts";

const HELP = `Usage: deno run --allow-all scripts/bench/nodes.ts [--rounds N] [--seconds N] [--sessions N]

Handshakes with a token without Redis and with it, in turn; connections and messages a second of 1, 2 and 4 processes
on one port (--reuse-port), with the CPU of all of them, beside a client that needs CPU too; and what N sessions (100000)
take in Redis: memory, registering, a beat, listing them all, and the longest call. Needs redis-server.`;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly sessions: number;
}

async function main({ rounds, seconds, sessions }: Options): Promise<number> {
  await comparePorts(rounds, seconds);
  if (NO_REDIS) {
    console.log("Redis is not installed: the rest is left out");
    return 0;
  }
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

async function comparePorts(rounds: number, seconds: number): Promise<void> {
  const counts = Deno.build.os === "linux" ? [1, 2, 4] : [1];
  const results = new Map(counts.map((count) => [count, [] as Record<string, number>[]]));
  for (let round = 0; round < rounds; round++) {
    for (const count of counts) results.get(count)!.push(await drivePort(count, seconds));
  }
  console.log(
    `\nProcesses on one port (${navigator.hardwareConcurrency} cores, which the client shares), medians`,
  );
  for (const [count, rows] of results) {
    const of = (name: string) => Math.round(median(rows.map((row) => row[name]!)));
    console.log(
      `  ${count}  ${String(of("connections")).padStart(6)} connections/s  ${
        String(of("messages")).padStart(7)
      } messages/s` +
        `  ${(median(rows.map((row) => row["cpu"]!))).toFixed(1)} us of server CPU a message`,
    );
  }
}

async function drivePort(count: number, seconds: number): Promise<Record<string, number>> {
  const port = privatePort();
  const folder = await Deno.makeTempDir();
  const mainFile = new URL("../../main.ts", import.meta.url).pathname;
  const children = Array.from({ length: count }, () =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--v8-flags=--max-semi-space-size=8", "--allow-all", mainFile, "serve", "--no-secure"],
        ...["--echo-port", String(port), "--echo-prefix", "", "--reuse-port", "--log-file", "none"],
        ...["--message-rate", "unlimited", "--byte-rate", "unlimited"],
        ...["--max-connections-per-ip", "unlimited", "--handshake-rate", "unlimited", "--log-level", "error"],
      ],
      cwd: folder,
      stdout: "piped",
      stderr: "null",
    }).spawn());
  try {
    for (const { stdout } of children) await stdout.getReader().read();
    let connections = 0;
    const endMs = performance.now() + seconds * 1000;
    await Promise.all(Array.from({ length: 8 }, async () => {
      while (performance.now() < endMs) {
        using client = await RawClient.connect({ port });
        connections++;
        client.close();
      }
    }));
    const cpu = () => children.reduce((sum, { pid }) => sum + (cpuSeconds(pid) ?? NaN), 0);
    const before = cpu();
    const load = await drive(port, children[0]!.pid, seconds);
    // The warm-up is in it too, so that a message is counted for both.
    const driven = load.messages * (load.seconds + WARM_UP_SECONDS) / load.seconds;
    return {
      connections: connections / seconds,
      messages: load.messages / load.seconds,
      cpu: (cpu() - before) / driven * 1e6,
    };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const child of children) {
      await child.status;
      await child.stdout.cancel().catch(() => {});
    }
    await Deno.remove(folder, { recursive: true });
  }
}

const WARM_UP_SECONDS = 0.3;

async function drive(port: number, serverPid: number, seconds: number): Promise<LoadResult> {
  const order: LoadOrder = {
    port,
    serverPid,
    row: parseRow("200x1x32"),
    seconds,
    warmUpSeconds: WARM_UP_SECONDS,
  };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", new URL("load.ts", import.meta.url).href, JSON.stringify(order)],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measureSessions(count: number): Promise<void> {
  await using redis = await RedisServer.start([
    "--slowlog-log-slower-than",
    "1000",
    "--slowlog-max-len",
    "10000",
  ]);
  const nowMs = Date.now();
  const places = new Map(Array.from({ length: count }, (_, i): [string, Place] => {
    const id = crypto.randomUUID();
    return [id, {
      id,
      user: `user-${i % (count / 2)}@example.com`,
      address: `192.0.2.${i % 256}`,
      connection: crypto.randomUUID(),
      startedAtMs: nowMs + i,
      expiresAtMs: nowMs + 3_600_000,
      jtis: [crypto.randomUUID()],
    }];
  }));
  const shift = { toRedis: (ms: number) => ms, toOwn: (ms: number) => ms };
  const client = new RedisClient({
    address: parseRedisUrl(redis.url)!,
    timeoutMs: 2000,
    readCaCerts: () => [],
    key: "{wsward}:",
    channel: "{wsward}:hints",
    onMessage: () => {},
    join: () => Promise.resolve(),
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
  const shared = new SharedSessions({ client, shift, node, prefix: "{wsward}:", open });
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
