// A process that attacks one port in every way it knows, at a chosen rate, and prints how often it did what.
//
//   deno run --allow-net=127.0.0.1 scripts/soak/attackers.ts PORT SECONDS ATTACKS_PER_SECOND

import { concat, frame, OPCODE } from "../../tests/support/raw_client.ts";
import { HEAD, LoadClient, writeAll } from "../load.ts";

/** How long an attacker that waits for nothing waits, in milliseconds. */
const PATIENCE_MS = 4000;
/** Attacks under way at once: more of them are skipped, so that a slow server is not attacked harder. */
const MOST_AT_ONCE = 60;

const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload: new Uint8Array(65_536) });
const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(65_536) });
const bigMessage = frame({ opcode: OPCODE.binary, payload: new Uint8Array(2 ** 20) });
const pings = concat(...Array.from({ length: 500 }, () => frame({ opcode: OPCODE.ping, payload: "p" })));
const tinyFragments = concat(
  frame({ opcode: OPCODE.text, fin: false }),
  ...Array.from({ length: 1100 }, () => frame({ opcode: OPCODE.continuation, fin: false, payload: "t" })),
);
const broken = [
  frame({ opcode: OPCODE.text, mask: false, payload: "a" }),
  frame({ opcode: OPCODE.text, rsv: 7, payload: "a" }),
  frame({ opcode: 7 }),
  frame({ opcode: OPCODE.ping, payload: new Uint8Array(126) }),
  frame({ opcode: OPCODE.continuation, payload: "a" }),
  frame({ opcode: OPCODE.text, payload: Uint8Array.of(0xff) }),
  frame({ opcode: OPCODE.close, payload: Uint8Array.of(3, 237) }),
];

/** Every attack: what it does with the port until it has given up or been thrown out. */
export const ATTACKS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  "endless fragments": (port) =>
    withClient(port, async (client) => {
      await writeAll(client.conn, frame({ opcode: OPCODE.binary, fin: false }));
      const sending = repeat(client, fragment, 64);
      await readAll(client);
      await sending;
    }),
  "never reads": (port) => withClient(port, (client) => repeat(client, message, 1000)),
  "slow head": async (port) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    try {
      for (let at = 0; at < 40; at++) {
        await writeAll(conn, HEAD.subarray(at, at + 1));
        await sleep(100);
      }
    } finally {
      conn.close();
    }
  },
  "leaves in the handshake": async (port) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(HEAD.subarray(0, 1 + Math.random() * HEAD.length * 1.5));
    if (Math.random() < 0.5) await sleep(Math.random() * 3);
    conn.close();
  },
  "protocol error": (port) =>
    withClient(port, async (client) => {
      await writeAll(client.conn, broken[Math.floor(Math.random() * broken.length)]!);
      await readAll(client);
    }),
  "ping flood": (port) =>
    withClient(port, async (client) => {
      await writeAll(client.conn, pings);
      for (let count = 0; count < 500; count++) if (await client.next() === undefined) return;
    }),
  "tiny fragments": (port) =>
    withClient(port, async (client) => {
      await writeAll(client.conn, tinyFragments);
      await readAll(client);
    }),
  "big message": (port) =>
    withClient(port, async (client) => {
      const sending = writeAll(client.conn, bigMessage);
      await client.next();
      await sending;
    }),
  "never answers a Close": (port) =>
    withClient(port, async (client) => {
      await writeAll(client.conn, broken[2]!);
      await readAll(client);
      await sleep(1000);
    }),
  "connection flood": async (port) => {
    const conns = await Promise.all(
      Array.from({ length: 10 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
    );
    for (const conn of conns) conn.close();
  },
};

/** Attacks for some seconds. Resolves with how often each attack was begun. */
export async function attack(
  port: number,
  seconds: number,
  perSecond: number,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const names = Object.keys(ATTACKS);
  const running = new Set<Promise<void>>();
  const startedMs = performance.now();
  for (let next = 0; performance.now() - startedMs < seconds * 1000;) {
    const due = (performance.now() - startedMs) / 1000 * perSecond;
    for (; next < due; next++) {
      if (running.size >= MOST_AT_ONCE) continue;
      const name = names[next % names.length]!;
      counts[name] = (counts[name] ?? 0) + 1;
      // Being thrown out is what an attacker has to expect.
      const one: Promise<void> = ATTACKS[name]!(port).catch(() => {}).finally(() => running.delete(one));
      running.add(one);
    }
    await sleep(5);
  }
  await Promise.all(running);
  return counts;
}

async function withClient(port: number, use: (client: LoadClient) => Promise<void>): Promise<void> {
  const client = await LoadClient.connect(port);
  const timer = setTimeout(() => client.close(), PATIENCE_MS);
  try {
    await use(client);
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

async function repeat(client: LoadClient, bytes: Uint8Array, times: number): Promise<void> {
  try {
    for (let i = 0; i < times; i++) await writeAll(client.conn, bytes);
  } catch {
    // Thrown out.
  }
}

async function readAll(client: LoadClient): Promise<void> {
  while (await client.next() !== undefined);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) {
  const [port = 0, seconds = 0, perSecond = 0] = Deno.args.map(Number);
  console.log(JSON.stringify(await attack(port, seconds, perSecond)));
}
