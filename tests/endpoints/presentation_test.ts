// Tests of the ways to present a token, and of the subprotocols, over real handshakes.
import assert from "node:assert/strict";
import { WebSocket as ForeignWebSocket } from "ws";
import type { Verification, Verifier } from "../../src/auth/token.ts";
import { createSecureEndpoint, type SecureOptions } from "../../src/endpoints/secure/secure.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import { type Handshake, RawClient } from "../support/raw_client.ts";
import { ManualClock, MemoryLog, type Running, withEndpoint, within } from "./harness.ts";
import { identityOf, TEST_VERIFIER, tokenOf } from "./session_harness.ts";

const TOKEN = tokenOf();

async function withSecure(
  options: Partial<SecureOptions>,
  test: (running: Running) => Promise<void>,
): Promise<void> {
  const memory = new MemoryLog();
  const secure = createSecureEndpoint({
    verifier: TEST_VERIFIER,
    authTimeoutMs: 10_000,
    prefix: "",
    log: memory.log,
    ...options,
  });
  await withEndpoint(
    { name: "secure", log: memory.log, ...secure },
    (running) => test({ ...running, memory }),
  );
}

function bearer(token: string): Record<string, string> {
  return { "Authorization": `Bearer ${token}` };
}

function offer(...names: string[]): Record<string, string> {
  return { "Sec-WebSocket-Protocol": names.join(", ") };
}

/** The rest of a response. The endpoint keeps the connection for more requests, so our own end comes first. */
async function readBody(client: RawClient): Promise<string> {
  await client.closeWrite();
  return new TextDecoder().decode(await client.eof());
}

interface Accepted extends Handshake {
  readonly name: string;
  readonly options?: Partial<SecureOptions>;
  /** The subprotocol of the response. */
  readonly selected?: string;
}

const INSECURE = { insecureTokenInQuery: true };

const ACCEPTED: readonly Accepted[] = [
  { name: "a header", headers: bearer(TOKEN) },
  { name: "a header in lower case", headers: { "authorization": `bearer   ${TOKEN}` } },
  {
    name: "a header, for JSON-RPC",
    headers: { ...bearer(TOKEN), ...offer("wsward.v1") },
    selected: "wsward.v1",
  },
  { name: "a header, with a subprotocol of others", headers: { ...bearer(TOKEN), ...offer("chat") } },
  { name: "a subprotocol alone", headers: offer(`bearer.${TOKEN}`), selected: `bearer.${TOKEN}` },
  {
    name: "a subprotocol among others that are not ours",
    headers: offer("chat", `bearer.${TOKEN}`),
    selected: `bearer.${TOKEN}`,
  },
  {
    name: "a subprotocol, for JSON-RPC",
    headers: offer(`bearer.${TOKEN}`, "wsward.v1"),
    selected: "wsward.v1",
  },
  {
    name: "a subprotocol in a list without spaces",
    headers: { "Sec-WebSocket-Protocol": `wsward.text,bearer.${TOKEN}` },
    selected: "wsward.text",
  },
  {
    name: "a subprotocol, with both of ours, of which the first is preferred",
    headers: offer("wsward.text", "wsward.v1", `bearer.${TOKEN}`),
    selected: "wsward.text",
  },
  { name: "the query token", target: `/?token=${TOKEN}`, options: INSECURE },
  { name: "the query access_token", target: `/?a=b&access_token=${TOKEN}`, options: INSECURE },
  { name: "the query jwt", target: `/?jwt=${TOKEN}`, options: INSECURE },
];

for (const { name, options = {}, selected = null, ...handshake } of ACCEPTED) {
  Deno.test(`takes a token from ${name}`, async () => {
    await withSecure(options, async ({ port, memory }) => {
      using client = await RawClient.connect({ port }, handshake);
      assert.equal(client.response?.headers.get("sec-websocket-protocol"), selected);
      // It goes back only where the client could not connect otherwise.
      assert.equal(client.response.text.includes(TOKEN), selected?.startsWith("bearer.") ?? false);
      assert.equal(await client.nextText(), "Authenticated!");
      const request = '{"jsonrpc":"2.0","method":"echo","params":{"message":"hi"},"id":1}';
      await client.sendText(request);
      const answer = selected === "wsward.v1"
        ? '{"jsonrpc":"2.0","result":{"message":"hi"},"id":1}'
        : request;
      assert.equal(await client.nextText(), answer);
      assert.equal((await memory.first("session.opened"))["user"], "alice");
    });
  });
}

Deno.test("the first message is the token in every subprotocol, and plain text", async () => {
  await withSecure({}, async ({ port }) => {
    using client = await RawClient.connect({ port }, { headers: offer("wsward.v1") });
    await client.sendText(TOKEN);
    assert.equal(await client.nextText(), "Authenticated!");
    await client.sendText("{");
    assert.equal(JSON.parse(await client.nextText()).error.code, -32700);
    using other = await RawClient.connect({ port }, { headers: offer("wsward.v1") });
    await other.sendText("nonsense");
    assert.equal(await other.nextText(), "Invalid Token");
    assert.deepEqual(await other.nextClose(), { code: 3000, reason: "invalid token" });
  });
});

Deno.test("a query without a token, and names that only look like one of ours, change nothing", async () => {
  await withSecure({}, async ({ port }) => {
    const headers = offer("wsward.v1x", "WSWARD.V1", "bearer");
    using client = await RawClient.connect({ port }, { target: "/?x=token&tokens=1", headers });
    assert.equal(client.response?.headers.get("sec-websocket-protocol"), null);
    await client.sendText(TOKEN);
    assert.equal(await client.nextText(), "Authenticated!");
  });
});

interface RefusedBefore extends Handshake {
  readonly name: string;
  readonly options?: Partial<SecureOptions>;
  readonly status: number;
  readonly challenge?: string;
  readonly body: string | RegExp;
}

const INVALID = 'Bearer error="invalid_token"';
const TWICE = "a token must be presented once and in one way only\n";

const REFUSED_BEFORE: readonly RefusedBefore[] = [
  {
    name: "nonsense in a header",
    headers: bearer("x"),
    status: 401,
    challenge: INVALID,
    body: "Invalid Token\n",
  },
  { name: "an empty header", headers: bearer(""), status: 401, challenge: INVALID, body: "Invalid Token\n" },
  {
    name: "two in a header",
    headers: bearer("a b"),
    status: 401,
    challenge: INVALID,
    body: "Invalid Token\n",
  },
  {
    name: "an expired one in a header",
    headers: bearer("expired"),
    status: 401,
    challenge: INVALID,
    body: "Token Expired\n",
  },
  { name: "one there is no time for", headers: bearer("busy"), status: 503, body: "Try Again Later\n" },
  {
    name: "another scheme",
    headers: { "Authorization": "Basic YWxpY2U6c2VjcmV0" },
    status: 401,
    challenge: "Bearer",
    body: "the scheme of the header Authorization must be Bearer\n",
  },
  { name: "one in the query", target: `/?token=${TOKEN}`, status: 400, body: /must not be in the query/ },
  {
    name: "one in the query in capitals",
    target: `/?TOKEN=${TOKEN}`,
    status: 400,
    body: /must not be in the query/,
  },
  { name: "an escaped query", target: `/?%74oken=${TOKEN}`, status: 400, body: /must not be in the query/ },
  {
    name: "one in the query besides a good one",
    target: `/?jwt=${TOKEN}`,
    headers: bearer(TOKEN),
    status: 400,
    body: /must not be in the query/,
  },
  { name: "two in the query", target: "/?token=a&jwt=b", options: INSECURE, status: 400, body: TWICE },
  {
    name: "header and query",
    target: `/?token=${TOKEN}`,
    headers: bearer(TOKEN),
    options: INSECURE,
    status: 400,
    body: TWICE,
  },
  {
    name: "header and subprotocol",
    headers: { ...bearer(TOKEN), ...offer(`bearer.${TOKEN}`) },
    status: 400,
    body: TWICE,
  },
  { name: "two subprotocols", headers: offer("bearer.a", "bearer.b"), status: 400, body: TWICE },
];

for (const { name, options = {}, status, challenge = null, body, ...handshake } of REFUSED_BEFORE) {
  Deno.test(`refuses ${name} with ${status} before the upgrade`, async () => {
    await withSecure(options, async ({ endpoint, port, memory }) => {
      using client = await RawClient.open({ port });
      const { status: answered, headers, text } = await client.handshake(handshake);
      assert.equal(answered, status);
      assert.equal(headers.get("www-authenticate"), challenge);
      assert.equal(headers.get("retry-after"), status === 503 ? "1" : null);
      const received = await readBody(client);
      if (typeof body === "string") assert.equal(received, body);
      else assert.match(received, body);
      assert.equal(headers.get("content-length"), String(received.length));
      assert.ok(!(text + received).includes(TOKEN));
      assert.deepEqual(memory.of("session.refused").map((fields) => fields["status"]), [status]);
      assert.ok(!JSON.stringify(memory.records).includes(TOKEN));
      assert.equal(endpoint.connections, 0);
    });
  });
}

for (
  const [name, handshake, options] of [
    ["a subprotocol", { headers: offer("bearer.expired", "wsward.v1") }, {}],
    ["the query", { target: "/?token=expired" }, INSECURE],
  ] as const
) {
  Deno.test(`lets a bad token from ${name} in, to say why and close`, async () => {
    await withSecure(options, async ({ port, memory }) => {
      using client = await RawClient.connect({ port }, handshake);
      assert.equal(await client.nextText(), "Token Expired");
      assert.deepEqual(await client.nextClose(), { code: 3000, reason: "token expired" });
      assert.deepEqual(memory.of("session.opened"), []);
    });
  });
}

Deno.test("what is sent together with a token in the handshake is answered after it", async () => {
  await withSecure({}, async ({ port }) => {
    for (const headers of [bearer(TOKEN), offer(`bearer.${TOKEN}`)]) {
      using client = await RawClient.connect({ port }, { headers });
      await client.sendText("one");
      await client.sendText("two");
      for (const text of ["Authenticated!", "one", "two"]) assert.equal(await client.nextText(), text);
    }
  });
});

Deno.test("revoked and used tokens in a header are refused before the upgrade", async () => {
  const sessions = new SessionRegistry({ replayCheck: true });
  sessions.revoke({ kind: "user", value: "bob", ttlMs: 60_000 });
  assert.equal(sessions.admit(identityOf({ jti: "used" })), undefined);
  await withSecure({ sessions }, async ({ port }) => {
    for (
      const [claims, body] of [
        [{ user: "bob", jti: "a" }, "Token Revoked\n"],
        [{ jti: "used" }, "Token Already Used\n"],
        [{}, "Invalid Token\n"],
      ] as const
    ) {
      using client = await RawClient.open({ port });
      const { status, headers } = await client.handshake({ headers: bearer(tokenOf(claims)) });
      assert.deepEqual([status, headers.get("www-authenticate")], [401, INVALID]);
      assert.equal(await readBody(client), body);
    }
  });
});

Deno.test("one session too many is refused with 3003, however its token came", async () => {
  const sessions = new SessionRegistry({ maxSessionsPerUser: 1 });
  await withSecure({ sessions }, async ({ port, memory }) => {
    using first = await RawClient.connect({ port }, { headers: bearer(TOKEN) });
    assert.equal(await first.nextText(), "Authenticated!");
    for (const headers of [bearer(TOKEN), offer(`bearer.${TOKEN}`)]) {
      using second = await RawClient.connect({ port }, { headers });
      assert.equal(await second.nextText(), "Too Many Sessions");
      assert.deepEqual(await second.nextClose(), { code: 3003, reason: "too many sessions" });
    }
    await first.sendClose(1000);
    await first.eof();
    await memory.first("session.closed");
    using third = await RawClient.connect({ port }, { headers: bearer(TOKEN) });
    assert.equal(await third.nextText(), "Authenticated!");
  });
});

Deno.test("a revocation reaches open sessions at once, in their own words", async () => {
  const sessions = new SessionRegistry();
  await withSecure({ sessions }, async ({ port }) => {
    using plain = await RawClient.connect({ port }, { headers: bearer(TOKEN) });
    using rpc = await RawClient.connect({ port }, { headers: offer("wsward.v1", `bearer.${TOKEN}`) });
    for (const client of [plain, rpc]) assert.equal(await client.nextText(), "Authenticated!");
    sessions.revoke({ kind: "user", value: "alice", ttlMs: 60_000 });
    assert.equal(await plain.nextText(), "Token Revoked");
    assert.equal(
      await rpc.nextText(),
      '{"jsonrpc":"2.0","method":"session_ended","params":{"reason":"Token Revoked"}}',
    );
    for (const client of [plain, rpc]) {
      assert.deepEqual(await client.nextClose(), { code: 3000, reason: "token revoked" });
    }
  });
});

Deno.test("a token in a header that can't be verified in time is answered with 503", async () => {
  const clock = new ManualClock();
  const started = Promise.withResolvers<void>();
  const verified = Promise.withResolvers<Verification>();
  const verifier: Verifier = {
    verify() {
      started.resolve();
      return verified.promise;
    },
  };
  await withSecure({ clock, verifier }, async ({ port, memory }) => {
    using client = await RawClient.open({ port });
    const answered = client.handshake({ headers: bearer(TOKEN) });
    await within("the verification", started.promise);
    clock.advance(9999);
    assert.deepEqual(memory.records, []);
    clock.advance(1);
    assert.equal((await answered).status, 503);
    verified.resolve({ ok: true, identity: identityOf() });
    assert.equal(await readBody(client), "Authentication Timeout\n");
    assert.equal(clock.pending, 0);
    assert.deepEqual(memory.of("session.opened"), []);
  });
});

Deno.test("a token in a subprotocol that can't be verified in time is refused with 3008", async () => {
  const clock = new ManualClock();
  const started = Promise.withResolvers<void>();
  const verifier: Verifier = {
    verify() {
      started.resolve();
      return new Promise(() => {});
    },
  };
  await withSecure({ clock, verifier }, async ({ port }) => {
    using client = await RawClient.connect({ port }, { headers: offer(`bearer.${TOKEN}`) });
    await within("the verification", started.promise);
    clock.advance(10_000);
    assert.equal(await client.nextText(), "Authentication Timeout");
    assert.equal((await client.nextClose()).code, 3008);
  });
});

Deno.test("a token in a header that expires or is revoked before the connection is open opens nothing", async () => {
  const clock = new ManualClock();
  const sessions = new SessionRegistry({ clock });
  // What the verifier does last happens after its answer and before the connection opens.
  const expires = clock.now() + 1000;
  for (
    const [claims, change, text] of [
      [{ expires }, () => clock.advance(1000), "Token Expired"],
      [{ jti: "a" }, () => sessions.revoke({ kind: "jti", value: "a", ttlMs: 1000 }), "Token Revoked"],
    ] as const
  ) {
    const { admit } = createSecureEndpoint({
      verifier: TEST_VERIFIER,
      authTimeoutMs: 10_000,
      prefix: "",
      log: () => {},
      sessions,
      clock,
    });
    await withEndpoint({
      createHandler: () => assert.fail("not this one"),
      admit: async (request) => {
        const admission = await admit(request);
        change();
        return admission;
      },
    }, async ({ port }) => {
      using client = await RawClient.connect({ port }, { headers: bearer(tokenOf(claims)) });
      assert.equal(await client.nextText(), text);
      assert.equal((await client.nextClose()).code, 3000);
      assert.equal(sessions.size, 0);
    });
  }
});

Deno.test("a verifier that breaks its promise costs the handshake 500 and nothing else", async () => {
  const verifier: Verifier = {
    verify: (token) => token === "broken" ? Promise.reject(new Error("broken")) : TEST_VERIFIER.verify(token),
  };
  await withSecure({ verifier }, async ({ port, memory }) => {
    using client = await RawClient.open({ port });
    const { status } = await client.handshake({ headers: bearer("broken") });
    assert.equal(status, 500);
    assert.equal((await memory.first("handler.error")).detail, "broken");
    using lost = await RawClient.connect({ port }, { headers: offer("bearer.broken") });
    assert.equal(await lost.nextText(), "Internal Error");
    assert.equal((await lost.nextClose()).code, 1011);
    using other = await RawClient.connect({ port }, { headers: bearer(TOKEN) });
    assert.equal(await other.nextText(), "Authenticated!");
  });
});

Deno.test("what is not a WebSocket handshake is refused although its token is good", async () => {
  await withSecure({}, async ({ port }) => {
    using client = await RawClient.open({ port });
    const head = `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`;
    assert.equal((await client.handshake({ head })).status, 426);
  });
});

Deno.test("a foreign client presents its token as a subprotocol and speaks JSON-RPC", async () => {
  await withSecure({}, async ({ port }) => {
    const client = new ForeignWebSocket(`ws://127.0.0.1:${port}/`, [`bearer.${TOKEN}`, "wsward.v1"]);
    const received: string[] = [];
    const closed = new Promise<number>((resolve, reject) => {
      client.on("close", resolve).on("error", reject).on("message", (data: unknown) => {
        received.push(String(data));
        const method = received.length === 1 ? "whoami" : "logout";
        if (received.length < 3) client.send(JSON.stringify({ jsonrpc: "2.0", method, id: received.length }));
      });
    });
    assert.equal(await within("the close", closed), 1000);
    assert.equal(client.protocol, "wsward.v1");
    assert.equal(received[0], "Authenticated!");
    assert.equal(JSON.parse(received[1] ?? "").result.user, "alice");
    assert.deepEqual(JSON.parse(received[2] ?? ""), { jsonrpc: "2.0", result: {}, id: 2 });
  });
});

Deno.test("a foreign client that offers nothing but its token is let in", async () => {
  await withSecure({}, async ({ port }) => {
    const client = new ForeignWebSocket(`ws://127.0.0.1:${port}/`, [`bearer.${TOKEN}`]);
    const received = new Promise<string>((resolve, reject) => {
      client.on("error", reject).on("message", (data: unknown) => resolve(String(data)));
    });
    assert.equal(await within("the first message", received), "Authenticated!");
    const closed = new Promise<number>((resolve) => client.on("close", resolve));
    client.close(1000);
    assert.equal(await within("the close", closed), 1000);
  });
});
