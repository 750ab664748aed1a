// One stream, one order: what comes back for what is sent in one write, byte by byte, and in two writes, on every way there is.
import assert from "node:assert/strict";
import type { Identity } from "../../src/auth/token.ts";
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { createSecureEndpoint } from "../../src/endpoints/secure.ts";
import { TlsAcceptor } from "../../src/firewall/tls/tls_acceptor.ts";
import { describeFrame, type Dialect, orderTable } from "../support/order_table.ts";
import { concat, frame, OPCODE, RawClient, requestHead } from "../support/raw_client.ts";
import { startRelay } from "../support/relay_harness.ts";
import { withEndpoint } from "../endpoints/harness.ts";

const ECHO: Dialect = {
  request: (n) => `message \u00e9${n}`,
  reply: (n) => `text message \u00e9${n}`,
  binary: "binary 010203",
};

const RPC: Dialect = {
  request: (n) =>
    JSON.stringify({ jsonrpc: "2.0", method: "echo", params: { message: `\u00e9${n}` }, id: n }),
  reply: (n) => `text ${JSON.stringify({ jsonrpc: "2.0", result: { message: `\u00e9${n}` }, id: n })}`,
  binary:
    'text {"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":{"reason":"a message must be text"}},"id":null}',
};

const TOKEN = frame({ opcode: OPCODE.text, payload: "token" });

/** How the bytes are cut. */
const CUTS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array[]>> = {
  "in one write": (bytes) => [bytes],
  "byte by byte": (bytes) => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
  "in two writes": (bytes) => {
    const middle = bytes.length >> 1;
    return [bytes.subarray(0, middle), bytes.subarray(middle)];
  },
};

/** What an endpoint wants to be sent before a sequence, and what it answers to that. */
interface Preface {
  readonly bytes: Uint8Array;
  readonly answers: readonly string[];
}

const NO_PREFACE: Preface = { bytes: new Uint8Array(0), answers: [] };
const AUTHENTICATION: Preface = { bytes: TOKEN, answers: ["text Authenticated!"] };

/** Runs all sequences, cut in each way, and compares everything that comes back with the table. */
async function checkAll(
  dialect: Dialect,
  connect: () => Promise<RawClient>,
  preface = NO_PREFACE,
): Promise<void> {
  for (const sequence of orderTable(dialect)) {
    for (const [cut, split] of Object.entries(CUTS)) {
      using client = await connect();
      const received: string[] = [];
      try {
        for (const piece of split(concat(preface.bytes, sequence.bytes))) {
          // The server may have ended the connection before all of it has been sent.
          await client.send(piece).catch(() => {});
        }
        if (sequence.fin) await client.closeWrite().catch(() => {});
        // A frame too many would come before the answer to this.
        else if (!sequence.ends) await client.sendFrame({ opcode: OPCODE.ping, payload: "the last" });
        const expected = [
          ...preface.answers,
          ...sequence.expect,
          ...(sequence.ends ? [] : ["pong the last"]),
        ];
        while (received.length < expected.length) {
          received.push(describeFrame(await client.nextFrame(expected[received.length])));
        }
        assert.deepEqual(received, expected);
        if (sequence.ends) assert.equal((await client.eof()).length, 0, "nothing follows");
      } catch (cause) {
        throw new Error(`${sequence.name}, ${cut}: ${(cause as Error).message}\nreceived: ${received}`, {
          cause,
        });
      }
    }
  }
}

const IDENTITY: Identity = {
  user: "alice",
  claims: { user_id: "alice" },
  issuedAtMs: Date.now(),
  expiresAtMs: Date.now() + 3_600_000,
} as Identity;

function createSecure() {
  return createSecureEndpoint({
    // A verification takes some turns of the event loop, as a real one does.
    verifier: {
      verify: () => new Promise((resolve) => setTimeout(() => resolve({ ok: true, identity: IDENTITY }), 1)),
    },
    authTimeoutMs: 10_000,
    prefix: "",
    log: () => {},
  });
}

Deno.test("there are at least forty sequences", () => {
  assert.ok(orderTable(ECHO).length >= 40);
});

Deno.test("order on echo", async () => {
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "" }) }, async ({ port }) => {
    await checkAll(ECHO, () => RawClient.connect({ port }));
  });
});

Deno.test("order on secure, as text, with the token in front", async () => {
  await withEndpoint({ name: "secure", ...createSecure() }, async ({ port }) => {
    await checkAll(ECHO, () => RawClient.connect({ port }), AUTHENTICATION);
  });
});

Deno.test("order on secure, as wsward.v1, with the token in front", async () => {
  await withEndpoint({ name: "secure", ...createSecure() }, async ({ port }) => {
    const headers = { "Sec-WebSocket-Protocol": "wsward.v1" };
    await checkAll(RPC, () => RawClient.connect({ port }, { headers }), AUTHENTICATION);
  });
});

Deno.test("order on echo over TLS", async () => {
  const pem = (name: string) =>
    Deno.readTextFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
  const tls = new TlsAcceptor({ cert: pem("server"), key: pem("server.key") });
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "" }), tls }, async ({ port }) => {
    await checkAll(ECHO, async () => {
      const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts: [pem("server")] });
      const client = new RawClient(conn);
      await client.send(requestHead());
      await client.readHead();
      return client;
    });
  });
});

Deno.test("order through the relay, in front of npm ws", async () => {
  const relay = await startRelay();
  await checkAll(ECHO, () => RawClient.connect({ port: relay.port }));
  await relay.stop();
});
