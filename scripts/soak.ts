// Holds the running program under attack and measures that it does not suffer.

import { parseArgs } from "node:util";
import { frame, OPCODE } from "../tests/support/raw_client.ts";
import { type Program, startServer } from "../tests/support/process.ts";
import { HEAD, LoadClient, writeAll } from "./load.ts";
import { assertRan, messageOf, readWhole, readWord, runScript } from "./run_script.ts";
import { GoodClients, Histogram } from "./soak/good_clients.ts";

const CHECKS = ["mix", "memory", "idle", "handshakes"] as const;

const HELP = `Usage: deno task soak [options]

Holds the running program under attack and measures that it does not suffer.

  --only CHECK      ${CHECKS.join(", ")}
  --seconds N       how long the mix takes: a third quiet, the rest under attack (30)
  --attack-rate N   its attacks a second; on two cores many more than these leave the good clients no time (40)

Prints a PASS or a FAIL for each check, and ends with
  0   all have passed
  1   one has not
  2   the command line can't be used`;

interface Options {
  readonly only: typeof CHECKS[number] | undefined;
  readonly seconds: number;
  readonly attackRate: number;
}

const MIB = 2 ** 20;
const KIB = 2 ** 10;
const ATTACKERS = new URL("./soak/attackers.ts", import.meta.url).pathname;

const GOOD_CLIENTS = 10;
/** How much slower the slowest hundredth of the good clients' messages may become. */
const MOST_TIMES_SLOWER = 3;

const MEMORY_PEERS = 100;
const MEMORY_SECONDS = 10;
const MOST_MEMORY_GROWTH = 64 * MIB;

const IDLE_CONNECTIONS = 10_000;
const MOST_PER_IDLE_CONNECTION = 64 * KIB;
/** The public socket and both ends of the private hop. */
const DESCRIPTORS_PER_CONNECTION = 3;
const SPARE_DESCRIPTORS = 300;

const LOST_HANDSHAKES = 20_000;

/** All clients of these checks come from one address, which by default may not have so many. */
const FROM_ONE_ADDRESS = [
  "--no-secure",
  "--max-connections-per-ip=unlimited",
  "--handshake-rate=unlimited",
  "--ban-after=off",
  "--log-level=fatal",
];

/** Good clients and every kind of attacker: nothing is lost, and little time. */
async function checkMix(seconds: number, attackRate: number): Promise<void> {
  const timeouts = ["--handshake-timeout=2s", "--close-timeout=500ms", "--send-timeout=1s"];
  await using program = startServer([...FROM_ONE_ADDRESS, ...timeouts]);
  const port = await program.port("echo");
  const good = await GoodClients.start(port, GOOD_CLIENTS);
  await sleep(1000);
  const quiet = good.histogram = new Histogram();
  await sleep(seconds * 1000 / 3);
  const before = await program.usage();
  const attacked = good.histogram = new Histogram();
  const attackers = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      ATTACKERS,
      String(port),
      String(seconds * 2 / 3),
      String(attackRate),
    ],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  good.histogram = new Histogram();
  await good.stop();
  const attacks = new TextDecoder().decode(attackers.stdout).trim();
  console.log(`  attacks: ${attacks}`);
  assertRan(Object.keys(attackers.success ? JSON.parse(attacks) : {}).length, "attacks");
  for (const { count } of [quiet, attacked]) assertRan(count, "messages of good clients");
  for (const [name, histogram] of [["quiet", quiet], ["attacked", attacked]] as const) {
    const [p50, p99] = [histogram.quantile(0.5), histogram.quantile(0.99)];
    console.log(`  ${name}: ${histogram.count} messages, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
  }
  const after = await program.usageUntil(
    "the attackers' descriptors",
    ({ descriptors }) => descriptors <= before.descriptors - GOOD_CLIENTS * DESCRIPTORS_PER_CONNECTION,
  );
  console.log(`  resident: ${mib(before.residentBytes)} -> ${mib(after.residentBytes)} MiB`);
  assertAtMost(attacked.quantile(0.99) / quiet.quantile(0.99), MOST_TIMES_SLOWER, "times the quiet p99");
  await stop(program);
}

/** Peers that send endless fragments and peers that never read, together. */
async function checkMemory(): Promise<void> {
  await using program = startServer(FROM_ONE_ADDRESS);
  const port = await program.port("echo");
  const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload: new Uint8Array(65_536) });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(65_536) });
  // The first connection is what code is compiled by, and is not what memory is lost by.
  await (await LoadClient.connect(port)).close();
  const before = await program.usage();
  const untilMs = performance.now() + MEMORY_SECONDS * 1000;
  const open = new Set<LoadClient>();
  let sent = 0;
  const flood = async (isReading: boolean) => {
    while (performance.now() < untilMs) {
      try {
        const client = await LoadClient.connect(port);
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
        // Thrown out: the next one takes its place.
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
  await stop(program);
}

/** Connections that do nothing, and are all answered when they do something. */
async function checkIdle(): Promise<void> {
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
  await (await LoadClient.connect(port)).close();
  const before = await program.usage();
  const clients: LoadClient[] = [];
  while (clients.length < count) {
    const batch = Array.from(
      { length: Math.min(100, count - clients.length) },
      () => LoadClient.connect(port, 256),
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
  await stop(program);
}

/** Peers that leave at random moments of the handshake. */
async function checkHandshakes(): Promise<void> {
  await using program = startServer(FROM_ONE_ADDRESS);
  const port = await program.port("echo");
  await (await LoadClient.connect(port)).close();
  const before = await program.usage();
  let next = 0;
  let lost = 0;
  await Promise.all(Array.from({ length: 30 }, async () => {
    while (next++ < LOST_HANDSHAKES) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        // Most send all of it: between the whole head and the 101 there is most to lose.
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
  await stop(program);
}

async function stop(program: Program): Promise<void> {
  program.signal("SIGTERM");
  const { code } = await program.result();
  if (code !== 0) throw new Error(`The program ended with ${code}`);
  const own = /.*(process\.unhandled|endpoint\.\w+|handler\.error).*/.exec(
    program.read("websocket_errors.log"),
  );
  if (own !== null) throw new Error(`The program has logged an error of its own: ${own[0]}`);
}

function assertAtMost(value: number, most: number, unit: string): void {
  console.log(`  ${value.toFixed(1)} ${unit}, at most ${most}`);
  if (!(value <= most)) throw new Error(`${value.toFixed(1)} ${unit} is more than ${most}`);
}

/** The most descriptors that a process may be given here. */
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

async function main({ only, seconds, attackRate }: Options): Promise<number> {
  const checks: Readonly<Record<typeof CHECKS[number], () => Promise<void>>> = {
    mix: () => checkMix(seconds, attackRate),
    memory: checkMemory,
    idle: checkIdle,
    handshakes: checkHandshakes,
  };
  let failed = 0;
  for (const name of only === undefined ? CHECKS : [only]) {
    console.log(`${name}:`);
    try {
      await checks[name]();
      console.log(`PASS ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}: ${messageOf(error)}`);
    }
  }
  return failed === 0 ? 0 : 1;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "30" },
      "attack-rate": { type: "string", default: "40" },
      only: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  return {
    seconds: readWhole("--seconds", values.seconds, { most: 1e6 }),
    attackRate: readWhole("--attack-rate", values["attack-rate"], { most: 1e6 }),
    only: values.only === undefined ? undefined : readWord("--only", values.only, CHECKS),
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
