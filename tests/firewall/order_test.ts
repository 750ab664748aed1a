// One stream, one order: what comes back for one write, for single bytes and for two writes, at every kind of endpoint.
import assert from "node:assert/strict";
import type { Identity } from "../../src/auth/token.ts";
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { createSecureEndpoint } from "../../src/endpoints/secure/secure.ts";
import { TlsAcceptor } from "../../src/firewall/tls/tls_acceptor.ts";
import { checkOrder, ECHO_DIALECT, type Preface } from "../support/order_check.ts";
import { type Dialect, orderTable } from "../support/order_table.ts";
import { frame, OPCODE, RawClient, requestHead } from "../support/raw_client.ts";
import { startRelay } from "../support/relay_harness.ts";
import { withEndpoint } from "../endpoints/harness.ts";

const RPC: Dialect = {
  request: (n) =>
    JSON.stringify({ jsonrpc: "2.0", method: "echo", params: { message: `\u00e9${n}` }, id: n }),
  reply: (n) => `text ${JSON.stringify({ jsonrpc: "2.0", result: { message: `\u00e9${n}` }, id: n })}`,
  binary:
    'text {"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":{"reason":"a message must be text"}},"id":null}',
};

const TOKEN = frame({ opcode: OPCODE.text, payload: "token" });

const AUTHENTICATION: Preface = { bytes: TOKEN, answers: ["text Authenticated!"] };

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
  assert.ok(orderTable(ECHO_DIALECT).length >= 40);
});

Deno.test("order on echo", async () => {
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "" }) }, async ({ port }) => {
    await checkOrder(ECHO_DIALECT, () => RawClient.connect({ port }));
  });
});

Deno.test("order on secure, as text, with the token in front", async () => {
  await withEndpoint({ name: "secure", ...createSecure() }, async ({ port }) => {
    await checkOrder(ECHO_DIALECT, () => RawClient.connect({ port }), AUTHENTICATION);
  });
});

Deno.test("order on secure, as wsward.v1, with the token in front", async () => {
  await withEndpoint({ name: "secure", ...createSecure() }, async ({ port }) => {
    const headers = { "Sec-WebSocket-Protocol": "wsward.v1" };
    await checkOrder(RPC, () => RawClient.connect({ port }, { headers }), AUTHENTICATION);
  });
});

Deno.test("order on echo over TLS", async () => {
  const pem = (name: string) =>
    Deno.readTextFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
  const tls = new TlsAcceptor({ cert: pem("server"), key: pem("server.key") });
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "" }), tls }, async ({ port }) => {
    await checkOrder(ECHO_DIALECT, async () => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      conn.setNoDelay(true);
      const caCerts = [pem("server")];
      const client = new RawClient(await Deno.startTls(conn, { hostname: "localhost", caCerts }));
      await client.send(requestHead());
      await client.readHead();
      return client;
    });
  });
});

Deno.test("order through the relay, in front of npm ws", async () => {
  const relay = await startRelay();
  await checkOrder(ECHO_DIALECT, () => RawClient.connect({ port: relay.port }));
  await relay.stop();
});
