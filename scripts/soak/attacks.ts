// Every attack that good clients have to live with, as data: its name, the server it meets, and what one attacker does.

import { closePayload, concat, frame, OPCODE, requestHead } from "../../tests/support/raw_client.ts";
import { dial, HEAD, LoadClient, type LoadConn, readResponse, writeAll } from "../load.ts";

/** Where attackers find what they attack. */
export interface Targets {
  readonly echo: number;
  readonly secure: number;
  readonly admin: number;
  /** The certificate of a server with TLS. */
  readonly certificate?: string | undefined;
  /** Tokens of hostile users, each with a claim of 5.7 KB. */
  readonly tokens: readonly string[];
}

/** How the server for an attack is started; `plain` is with the defaults. */
export type ServerKind =
  | "plain"
  | "tls"
  | "unread-log"
  | "few-descriptors"
  | "slow-issuer"
  | "drip-issuer"
  | "hint-issuer";

/** One kind of attack. */
export interface Attack {
  readonly name: string;
  /** What an attacker does, in a few words. */
  readonly what: string;
  readonly server?: ServerKind;
  /** Whether it needs an endpoint with tokens and sessions. */
  readonly needsTokens?: boolean;
  /** How many attackers there are; each begins again as soon as its attack has ended. */
  readonly atOnce: number;
  /** Attacks until it gives up or is thrown out. */
  readonly run: (targets: Targets, index: number) => Promise<void>;
}

/** How long an attacker stays if it is not thrown out, in milliseconds. */
const PATIENCE_MS = 4000;

const encoder = new TextEncoder();
const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload: new Uint8Array(65_536) });
const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(65_536) });
const bigMessage = frame({ opcode: OPCODE.binary, payload: new Uint8Array(2 ** 20) });
const pings = repeated(500, frame({ opcode: OPCODE.ping, payload: "p" }));
const bytes = repeated(1000, frame({ opcode: OPCODE.text, payload: "b" }));
const emptyFragments = concat(
  frame({ opcode: OPCODE.text, fin: false }),
  repeated(1000, frame({ opcode: OPCODE.continuation, fin: false })),
  frame({ opcode: OPCODE.continuation }),
);
const tinyFragments = concat(
  frame({ opcode: OPCODE.text, fin: false }),
  repeated(1100, frame({ opcode: OPCODE.continuation, fin: false, payload: "t" })),
);
const broken = [
  frame({ opcode: OPCODE.text, mask: false, payload: "a" }),
  frame({ opcode: OPCODE.text, rsv: 7, payload: "a" }),
  frame({ opcode: 7 }),
  frame({ opcode: OPCODE.ping, payload: new Uint8Array(126) }),
  frame({ opcode: OPCODE.continuation, payload: "a" }),
  frame({ opcode: OPCODE.text, payload: Uint8Array.of(0xff) }),
  frame({ opcode: OPCODE.close, payload: closePayload(1005) }),
];
const unfinished = frame({
  opcode: OPCODE.binary,
  claimedLength: 1_000_000,
  payload: new Uint8Array(940_000),
});
const oneByte = new Uint8Array(1);
const blankHead = encoder.encode(`GET / HTTP/1.1\r\nHost: localhost\r\nA: a${" ".repeat(16_250)}b\r\n\r\n`);
const malformedHead = encoder.encode("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n");
const plainAdminHead = encoder.encode("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");

/** Texts that look like integers and get the same hash from a V8 that does not mix the hashes of those. */
function collisions(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(7000 + 32_768 * index));
}

const collidingCall = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "echo", params: collisions(70_000) });
const whoami = JSON.stringify(
  Array.from({ length: 64 }, (_, id) => ({ jsonrpc: "2.0", id, method: "whoami" })),
);
const collidingToken = tokenOf({ alg: "HS256", x: collisions(440) });

/** All attacks. */
export const ATTACKS: readonly Attack[] = [
  {
    name: "endless-fragments",
    what: "one message in endless fragments",
    atOnce: 10,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, frame({ opcode: OPCODE.binary, fin: false }));
        await Promise.all([repeat(client.conn, fragment, 64), readAll(client.conn)]);
      }),
  },
  {
    name: "unread-echoes",
    what: "messages whose echoes are never read",
    atOnce: 20,
    run: ({ echo }) => withClient({ port: echo }, (client) => repeat(client.conn, message, 1000)),
  },
  {
    name: "slow-heads",
    what: "a request head, a byte each 100 ms",
    atOnce: 50,
    run: ({ echo }) =>
      withConn(echo, async (conn) => {
        for (let at = 0; at < 40; at++) {
          await writeAll(conn, HEAD.subarray(at, at + 1));
          await sleep(100);
        }
      }),
  },
  {
    name: "lost-handshakes",
    what: "connections that end anywhere in the handshake",
    atOnce: 4,
    run: ({ echo }) =>
      withConn(echo, async (conn) => {
        await conn.write(HEAD.subarray(0, 1 + Math.random() * HEAD.length * 1.5));
        if (Math.random() < 0.5) await sleep(Math.random() * 3);
      }),
  },
  {
    name: "protocol-errors",
    what: "frames that break a rule",
    atOnce: 4,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, broken[Math.floor(Math.random() * broken.length)]!);
        await client.next();
      }),
  },
  {
    name: "ping-flood",
    what: "Pings, 500 at a time",
    atOnce: 10,
    run: ({ echo }) => withClient({ port: echo }, (client) => flood(client.conn, pings)),
  },
  {
    name: "tiny-fragments",
    what: "one message in fragments of a byte, more than allowed",
    atOnce: 10,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, tinyFragments);
        await readAll(client.conn);
      }),
  },
  {
    name: "big-messages",
    what: "messages of 1 MiB",
    atOnce: 4,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        const sending = writeAll(client.conn, bigMessage);
        await Promise.all([sending, client.next()]);
      }),
  },
  {
    name: "unanswered-close",
    what: "a violation, and no answer to the Close",
    atOnce: 20,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, broken[2]!);
        await sleep(PATIENCE_MS);
      }),
  },
  {
    name: "connection-flood",
    what: "connections that say nothing and end",
    atOnce: 8,
    run: ({ echo }) => withConn(echo, () => Promise.resolve()),
  },
  {
    name: "blank-heads",
    what: "request heads of 16 KB of blanks",
    atOnce: 8,
    run: ({ echo }) => sendHead(echo, blankHead),
  },
  {
    name: "malformed-heads",
    what: "request heads that are refused with 400",
    atOnce: 16,
    run: ({ echo }) => sendHead(echo, malformedHead),
  },
  {
    name: "tls-handshakes",
    what: "full TLS handshakes, and nothing after them",
    server: "tls",
    atOnce: 8,
    run: async ({ echo, certificate }) => (await dial({ port: echo, certificate })).close(),
  },
  {
    name: "held-memory",
    what: "94 % of a message of 1 MB, then a byte each 100 ms",
    atOnce: 3,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, unfinished);
        for (let sent = 0; sent < 60_000; sent++) {
          await writeAll(client.conn, oneByte);
          await sleep(100);
        }
      }, Infinity),
  },
  {
    name: "unread-replies",
    what: "batches of whoami with a large token, whose replies are never read",
    needsTokens: true,
    atOnce: 60,
    run: ({ secure, tokens }, index) =>
      withSession(
        secure,
        tokens[index % tokens.length]!,
        (conn) => repeat(conn, frame({ opcode: OPCODE.text, payload: whoami }), 1000),
      ),
  },
  {
    name: "json-collisions",
    what: "JSON-RPC of 876 KB whose strings collide when they are parsed",
    needsTokens: true,
    atOnce: 2,
    run: ({ secure, tokens }, index) =>
      withSession(secure, tokens[index % tokens.length]!, async (conn) => {
        const call = frame({ opcode: OPCODE.text, payload: collidingCall });
        await Promise.all([repeat(conn, call, 100), readAll(conn)]);
      }),
  },
  {
    name: "token-collisions",
    what: "tokens whose header collides when it is parsed",
    needsTokens: true,
    atOnce: 4,
    run: ({ secure }) => presentToken(secure, collidingToken),
  },
  {
    name: "empty-fragments",
    what: "messages of 1000 empty fragments",
    atOnce: 5,
    run: ({ echo }) => withClient({ port: echo }, (client) => flood(client.conn, emptyFragments)),
  },
  {
    name: "one-byte-messages",
    what: "messages of a byte",
    atOnce: 30,
    run: ({ echo }) => withClient({ port: echo }, (client) => flood(client.conn, bytes)),
  },
  {
    name: "unread-log",
    what: "connections, each with records for a log on a terminal that nobody reads",
    server: "unread-log",
    atOnce: 4,
    run: ({ echo }) =>
      withClient({ port: echo }, async (client) => {
        await writeAll(client.conn, broken[0]!);
        await client.next();
      }),
  },
  {
    name: "half-heads",
    what: "half heads on the public and the admin port, more than there are descriptors",
    server: "few-descriptors",
    atOnce: 250,
    run: ({ echo, admin }, index) =>
      withConn(index % 2 === 0 ? admin : echo, async (conn) => {
        await writeAll(conn, index % 2 === 0 ? plainAdminHead : HEAD.subarray(0, 40));
        await sleep(PATIENCE_MS);
      }),
  },
  ...(["slow", "drip", "hint"] as const).map((kind): Attack => ({
    name: `unknown-keys-${kind}`,
    what: "tokens of unknown keys, with an issuer that " +
      { slow: "does not answer", drip: "answers a byte at a time", hint: "sends hints without end" }[kind],
    server: `${kind}-issuer`,
    needsTokens: true,
    atOnce: 8,
    run: ({ secure }) => presentToken(secure, tokenOf({ alg: "EdDSA", kid: crypto.randomUUID() })),
  })),
];

function tokenOf(header: Record<string, unknown>): string {
  const encode = (part: unknown) => btoa(JSON.stringify(part)).replace(/=+$/, "");
  return [encode(header), encode({ user_id: "mallory", exp: 4e9 }), "AAAA"].join(".")
    .replaceAll("+", "-").replaceAll("/", "_");
}

async function sendHead(port: number, head: Uint8Array): Promise<void> {
  await withConn(port, async (conn) => {
    await writeAll(conn, head);
    await readAll(conn);
  });
}

/** Connects and sends a token as the first message. */
async function presentToken(port: number, token: string): Promise<void> {
  await withClient({ port }, async (client) => {
    await client.sendText(token);
    await client.next();
  });
}

/** A session that speaks JSON-RPC. */
async function withSession(
  port: number,
  token: string,
  use: (conn: LoadConn) => Promise<void>,
): Promise<void> {
  const headers = { "Authorization": `Bearer ${token}`, "Sec-WebSocket-Protocol": "wsward.v1" };
  const head = encoder.encode(requestHead({ headers }));
  await withConn(port, async (conn) => {
    await writeAll(conn, head);
    const { status } = await readResponse(conn);
    if (status !== 101) throw new Error(`The server answered ${status}`);
    await use(conn);
  });
}

async function withClient(
  target: Parameters<typeof LoadClient.connect>[0],
  use: (client: LoadClient) => Promise<void>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const client = await LoadClient.connect(target);
  const timer = patienceMs === Infinity ? undefined : setTimeout(() => client.close(), patienceMs);
  try {
    await use(client);
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

async function withConn(port: number, use: (conn: LoadConn) => Promise<void>): Promise<void> {
  const conn = await dial({ port });
  let isOpen = true;
  const close = () => {
    if (isOpen) conn.close();
    isOpen = false;
  };
  const timer = setTimeout(close, PATIENCE_MS);
  try {
    await use(conn);
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** Writes the same bytes `times` times. */
async function repeat(conn: LoadConn, part: Uint8Array, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await writeAll(conn, part);
}

/** Writes without end, and reads the answers. */
async function flood(conn: LoadConn, part: Uint8Array): Promise<void> {
  await Promise.all([repeat(conn, part, Infinity), readAll(conn)]);
}

async function readAll(conn: LoadConn): Promise<void> {
  const chunk = new Uint8Array(65_536);
  while (await conn.read(chunk) !== null);
}

function repeated(times: number, part: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(...Array.from({ length: times }, () => part));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
