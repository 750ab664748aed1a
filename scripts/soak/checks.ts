// Checks of the running program without good clients: what many peers can make it hold.

import { frame, OPCODE } from "../../tests/support/raw_client.ts";
import { startServer } from "../../tests/support/process.ts";
import { HEAD, LoadClient, writeAll } from "../load.ts";
import { MEMORY_LIMIT_MIB, stopProgram } from "./target.ts";

const MIB = 2 ** 20;
const KIB = 2 ** 10;

const MEMORY_PEERS = 100;
const MEMORY_SECONDS = 10;
/** What peers may make it hold, plus what it may take besides. */
const MOST_MEMORY_GROWTH = (MEMORY_LIMIT_MIB + 64) * MIB;

const IDLE_CONNECTIONS = 10_000;
const MOST_PER_IDLE_CONNECTION = 64 * KIB;
/** The public socket and both ends of the private hop. */
const DESCRIPTORS_PER_CONNECTION = 3;
const SPARE_DESCRIPTORS = 300;

const LOST_HANDSHAKES = 20_000;

/** All clients of these checks come from one address, which by default may have fewer connections. */
const FROM_ONE_ADDRESS = [
  "--no-secure",
  "--max-connections-per-ip=unlimited",
  "--handshake-rate=unlimited",
  "--ban-after=off",
  "--log-level=fatal",
];

/** Peers that send endless fragments and peers that never read, together. */
export async function checkMemory(): Promise<void> {
  await using program = startServer([...FROM_ONE_ADDRESS, `--max-buffered-memory=${MEMORY_LIMIT_MIB}MiB`]);
  const port = await program.port("echo");
  const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload: new Uint8Array(65_536) });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(65_536) });
  // The first connection makes the runtime compile code, which must not count as lost memory.
  await (await LoadClient.connect({ port })).close();
  const before = await program.usage();
  const untilMs = performance.now() + MEMORY_SECONDS * 1000;
  const open = new Set<LoadClient>();
  let sent = 0;
  const flood = async (isReading: boolean) => {
    while (performance.now() < untilMs) {
      try {
        const client = await LoadClient.connect({ port });
        open.add(client);
        try {
          if (isReading) {
            await writeAll(client.conn, frame({ opcode: OPCODE.binary, fin: false }));
            void client.next().catch(() => {}).then(() => client.close());
          }
          while (performance.now() < untilMs) {
            await writeAll(client.conn, isReading ? fragment : message);
            sent += fragment.length;
          }
        } finally {
          open.delete(client);
          client.close();
        }
      } catch {
        // Thrown out: the next connection takes its place.
      }
    }
  };
  const floods = Promise.all(Array.from({ length: MEMORY_PEERS * 2 }, (_, i) => flood(i % 2 === 0)));
  let most = 0;
  while (performance.now() < untilMs) {
    most = Math.max(most, (await program.usage()).residentBytes);
    await sleep(200);
  }
  for (const client of open) client.close();
  await floods;
  console.log(`  ${mib(sent)} MiB sent; resident: ${mib(before.residentBytes)} -> at most ${mib(most)} MiB`);
  assertAtMost((most - before.residentBytes) / MIB, MOST_MEMORY_GROWTH / MIB, "MiB of growth");
  await stopProgram(program);
}

/** Connections that are idle, and are all answered when they send something. */
export async function checkIdle(): Promise<void> {
  const limit = await descriptorLimit();
  const most = Math.floor((limit - SPARE_DESCRIPTORS) / DESCRIPTORS_PER_CONNECTION);
  const count = Math.min(IDLE_CONNECTIONS, most);
  if (count < IDLE_CONNECTIONS) {
    console.log(
      `  this machine allows ${limit} descriptors, so ${count} connections instead of ${IDLE_CONNECTIONS}`,
    );
  }
  const flags = [...FROM_ONE_ADDRESS, "--ping-interval=off", "--idle-timeout=off"];
  await using program = startServer(flags, {
    maxDescriptors: Math.min(limit, count * DESCRIPTORS_PER_CONNECTION + SPARE_DESCRIPTORS),
  });
  const port = await program.port("echo");
  await (await LoadClient.connect({ port })).close();
  const before = await program.usage();
  const clients: LoadClient[] = [];
  while (clients.length < count) {
    const batch = Array.from(
      { length: Math.min(100, count - clients.length) },
      () => LoadClient.connect({ port }, 256),
    );
    clients.push(...await Promise.all(batch));
  }
  const after = await program.usage();
  for (let at = 0; at < clients.length; at += 100) {
    await Promise.all(
      clients.slice(at, at + 100).map(async (client, index) => {
        await client.sendText(`idle ${at + index}`);
        const answer = await client.next();
        const text = new TextDecoder().decode(answer?.payload);
        if (text !== `Server received: idle ${at + index}`) {
          throw new Error(`An idle connection got ${JSON.stringify(text)}`);
        }
      }),
    );
  }
  for (const client of clients) client.close();
  const perConnection = (after.residentBytes - before.residentBytes) / count / KIB;
  console.log(
    `  ${count} connections, all answered; resident: ${mib(before.residentBytes)} -> ${
      mib(after.residentBytes)
    } MiB`,
  );
  await program.usageUntil("the descriptors", ({ descriptors }) => descriptors <= before.descriptors);
  assertAtMost(perConnection, MOST_PER_IDLE_CONNECTION / KIB, "KiB a connection");
  await stopProgram(program);
}

/** Peers that leave at random moments of the handshake. */
export async function checkHandshakes(): Promise<void> {
  await using program = startServer(FROM_ONE_ADDRESS);
  const port = await program.port("echo");
  await (await LoadClient.connect({ port })).close();
  const before = await program.usage();
  let next = 0;
  let lost = 0;
  await Promise.all(Array.from({ length: 30 }, async () => {
    while (next++ < LOST_HANDSHAKES) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        // Most send the whole head: between that and the 101 there is most that can leak.
        const size = Math.random() < 0.3 ? Math.random() * HEAD.length : HEAD.length;
        await writeAll(conn, HEAD.subarray(0, size));
        for (let turns = Math.random() * 6; turns > 1; turns--) await sleep(0);
      } catch {
        lost++;
      }
      conn.close();
    }
  }));
  const after = await program.usageUntil(
    "the descriptors",
    ({ descriptors }) => descriptors <= before.descriptors,
  );
  console.log(
    `  ${LOST_HANDSHAKES} connections (${lost} refused early); descriptors: ${before.descriptors} -> ` +
      `${after.descriptors}, resident: ${mib(before.residentBytes)} -> ${mib(after.residentBytes)} MiB`,
  );
  await stopProgram(program);
}

function assertAtMost(value: number, most: number, unit: string): void {
  console.log(`  ${value.toFixed(1)} ${unit}, at most ${most}`);
  if (!(value <= most)) throw new Error(`${value.toFixed(1)} ${unit} is more than ${most}`);
}

/** The hard limit of descriptors for a process on this machine. */
async function descriptorLimit(): Promise<number> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -Hn"] }).output();
  const text = new TextDecoder().decode(stdout).trim();
  return text === "unlimited" ? Infinity : Number(text);
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
