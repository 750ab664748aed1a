// Several processes on one port: connections and messages a second, and what they cost.
import { privatePort } from "../../tests/redis/redis_server.ts";
import { RawClient } from "../../tests/support/raw_client.ts";
import { cpuSeconds } from "./cpu.ts";
import type { LoadOrder, LoadResult } from "./load.ts";
import { parseRow } from "./rows.ts";

/** The results for a number of processes. */
export interface PortResult {
  readonly processes: number;
  readonly connectionsPerSecond: number;
  readonly messagesPerSecond: number;
  /** The CPU time of all processes for one message; `NaN` where there is no `/proc`. */
  readonly cpuMicroseconds: number;
}

const PROCESSES = Deno.build.os === "linux" ? [1, 2, 4] : [];
const ROW = "200x1x32";
const WARM_UP_SECONDS = 0.3;
const CONNECTING = 8;

/** Drives 1, 2 and 4 processes in turn, `rounds` times; returns medians, or nothing where ports can't be shared. */
export async function measurePorts(rounds: number, seconds: number): Promise<readonly PortResult[]> {
  const results = new Map(PROCESSES.map((count) => [count, [] as PortResult[]]));
  for (let round = 0; round < rounds; round++) {
    for (const count of PROCESSES) results.get(count)!.push(await measurePort(count, seconds));
  }
  return Array.from(results, ([processes, all]) => ({
    processes,
    connectionsPerSecond: median(all.map((one) => one.connectionsPerSecond)),
    messagesPerSecond: median(all.map((one) => one.messagesPerSecond)),
    cpuMicroseconds: median(all.map((one) => one.cpuMicroseconds)),
  }));
}

/** The results as lines for people. */
export function formatPorts(results: readonly PortResult[]): string {
  const cores = navigator.hardwareConcurrency;
  const lines = results.map(({ processes, connectionsPerSecond, messagesPerSecond, cpuMicroseconds }) =>
    `  ${processes}  ${String(Math.round(connectionsPerSecond)).padStart(6)} connections/s` +
    `  ${String(Math.round(messagesPerSecond)).padStart(7)} messages/s` +
    `  ${cpuMicroseconds.toFixed(1)} us of server CPU a message`
  );
  return [`Processes on one port, wsward (${cores} cores, which the client shares)`, ...lines].join("\n");
}

async function measurePort(processes: number, seconds: number): Promise<PortResult> {
  const port = privatePort();
  const folder = await Deno.makeTempDir();
  const children = Array.from({ length: processes }, () => startProcess(port, folder));
  try {
    // Each prints its ready line.
    await Promise.all(children.map(async ({ stdout }) => {
      const reader = stdout.getReader();
      await reader.read();
      await reader.cancel();
    }));
    const connectionsPerSecond = await connectFor(port, seconds) / seconds;
    const cpu = () => children.reduce((sum, { pid }) => sum + (cpuSeconds(pid) ?? NaN), 0);
    const before = cpu();
    const load = await drive(port, children[0]!.pid, seconds);
    // The CPU time includes the warm-up, so the messages must too.
    const driven = load.messages * (load.seconds + WARM_UP_SECONDS) / load.seconds;
    return {
      processes,
      connectionsPerSecond,
      messagesPerSecond: load.messages / load.seconds,
      cpuMicroseconds: (cpu() - before) / driven * 1e6,
    };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const child of children) await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

function startProcess(port: number, folder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      // The same as in the start task and the executable.
      "run",
      "--v8-flags=--max-semi-space-size=8",
      "--allow-all",
      new URL("../../main.ts", import.meta.url).pathname,
      ...["serve", "--no-secure", "--echo-port", String(port), "--echo-prefix", "", "--reuse-port"],
      ...["--message-rate", "unlimited", "--byte-rate", "unlimited", "--handshake-rate", "unlimited"],
      ...["--max-connections-per-ip", "unlimited", "--log-file", "none", "--log-level", "error"],
    ],
    cwd: folder,
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

async function connectFor(port: number, seconds: number): Promise<number> {
  let connections = 0;
  const endMs = performance.now() + seconds * 1000;
  await Promise.all(Array.from({ length: CONNECTING }, async () => {
    while (performance.now() < endMs) {
      using client = await RawClient.connect({ port });
      connections++;
      client.close();
    }
  }));
  return connections;
}

async function drive(port: number, serverPid: number, seconds: number): Promise<LoadResult> {
  const order: LoadOrder = { port, serverPid, row: parseRow(ROW), seconds, warmUpSeconds: WARM_UP_SECONDS };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", new URL("load.ts", import.meta.url).href, JSON.stringify(order)],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return JSON.parse(new TextDecoder().decode(stdout));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
