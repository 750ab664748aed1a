// Tests of the secure endpoint: authentication, what is held back during it, and the end of a session.
import assert from "node:assert/strict";
import type { Identity, Verification, Verifier } from "../../src/auth/token.ts";
import { MAX_DELAY_MS } from "../../src/endpoints/sessions/clock.ts";
import type { Peer, SocketHandler } from "../../src/endpoints/endpoint.ts";
import { createSecureEndpoint, type SecureOptions } from "../../src/endpoints/secure/secure.ts";
import type { LogFields } from "../../src/telemetry/log.ts";
import { RawClient } from "../support/raw_client.ts";
import { ManualClock, MemoryLog, MemoryPeer, withEndpoint, within } from "./harness.ts";

const FAR_MS = 8e15;

function identity(expiresAtMs: number = FAR_MS): Identity {
  return { user: "alice", expiresAtMs, claims: {} };
}

function verifierOf(verification: Verification): Verifier {
  return { verify: () => Promise.resolve(verification) };
}

const VALID = verifierOf({ ok: true, identity: identity() });

interface Bench {
  readonly memory: MemoryLog;
  readonly clock: ManualClock;
  readonly peer: MemoryPeer;
  readonly handler: SocketHandler;
  /** Sends the token; what it returns lets the verifier say that it is valid. */
  sendToken(): () => Promise<void>;
}

function newHandlers(options: SecureOptions) {
  return createSecureEndpoint(options).createHandler;
}

/** An opened secure handler with everything around it in memory. */
function bench(): Bench {
  const memory = new MemoryLog();
  const clock = new ManualClock();
  const peer = new MemoryPeer();
  const verified = Promise.withResolvers<Verification>();
  const verifier: Verifier = { verify: () => verified.promise };
  const handler = newHandlers({
    verifier,
    authTimeoutMs: 10_000,
    prefix: "",
    log: memory.log,
    clock,
  })(peer);
  handler.open?.();
  return {
    memory,
    clock,
    peer,
    handler,
    sendToken() {
      const authenticated = handler.message("token");
      return async () => {
        verified.resolve({ ok: true, identity: identity(clock.now() + 60_000) });
        await authenticated;
      };
    },
  };
}

async function withSecure(
  options: Partial<SecureOptions>,
  test: (client: RawClient, memory: MemoryLog) => Promise<void>,
): Promise<void> {
  const memory = new MemoryLog();
  const createHandler = (peer: Peer): SocketHandler =>
    newHandlers({ verifier: VALID, authTimeoutMs: 10_000, prefix: "", log: memory.log, ...options })(
      peer,
    );
  await withEndpoint({ name: "secure", createHandler, log: memory.log }, async ({ port }) => {
    const headers = { "X-Connection-Id": "c1", "X-Forwarded-For": "127.0.0.1" };
    using client = await RawClient.connect({ port }, { headers });
    await test(client, memory);
  });
}

Deno.test("a valid token opens a session that answers as the echo does", async () => {
  await withSecure({ prefix: "Server received: " }, async (client, memory) => {
    await client.sendText("token");
    assert.equal(await client.nextText(), "Authenticated!");
    await client.sendText("hello");
    assert.equal(await client.nextText(), "Server received: hello");
    await client.sendBinary(Uint8Array.of(1, 2, 3));
    assert.deepEqual(await client.nextBinary(), Uint8Array.of(1, 2, 3));
    await client.sendClose(1000);
    await client.eof();

    const { session, ...opened } = await memory.first("session.opened");
    assert.deepEqual(opened, { connection: "c1", peer: "127.0.0.1", endpoint: "secure", user: "alice" });
    assert.match(String(session), /^[0-9a-f-]{36}$/);
    const closed = await memory.first("session.closed");
    assert.deepEqual([closed.session, closed.code, closed.messages_in], [session, 1000, 2]);
  });
});

interface Refused {
  readonly name: string;
  readonly options: Partial<SecureOptions>;
  readonly first?: string | Uint8Array;
  readonly text?: string;
  readonly close: { readonly code: number; readonly reason: string };
  readonly fields: LogFields;
}

const REFUSED: readonly Refused[] = [
  {
    name: "an expired token",
    options: { verifier: verifierOf({ ok: false, reason: "expired", detail: "exp 1 is over" }) },
    first: "token",
    text: "Token Expired",
    close: { code: 3000, reason: "token expired" },
    fields: { reason: "expired", detail: "exp 1 is over" },
  },
  {
    name: "a token that expired while it was verified",
    options: { verifier: verifierOf({ ok: true, identity: identity(1) }) },
    first: "token",
    text: "Token Expired",
    close: { code: 3000, reason: "token expired" },
    fields: { reason: "expired", detail: "expired while it was verified" },
  },
  {
    name: "an invalid token",
    options: { verifier: verifierOf({ ok: false, reason: "invalid", detail: "signature" }) },
    first: "token",
    text: "Invalid Token",
    close: { code: 3000, reason: "invalid token" },
    fields: { reason: "invalid", detail: "signature" },
  },
  {
    name: "no token in time",
    options: { authTimeoutMs: 1 },
    text: "Authentication Timeout",
    close: { code: 3008, reason: "authentication timeout" },
    fields: { reason: "timeout", detail: undefined },
  },
  {
    name: "a binary message in place of a token",
    options: {},
    first: Uint8Array.of(1),
    close: { code: 1003, reason: "a token must be text" },
    fields: { reason: "binary", detail: undefined },
  },
];

for (const { name, options, first, text, close, fields } of REFUSED) {
  Deno.test(`refuses ${name} with ${close.code}`, async () => {
    await withSecure(options, async (client, memory) => {
      if (typeof first === "string") await client.sendText(first);
      else if (first !== undefined) await client.sendBinary(first);
      if (text !== undefined) assert.equal(await client.nextText(), text);
      assert.deepEqual(await client.nextClose(), close);
      assert.deepEqual(memory.records, [{
        event: "session.refused",
        fields: { connection: "c1", peer: "127.0.0.1", endpoint: "secure", code: close.code, ...fields },
      }]);
      await client.sendText("let me in");
      await client.sendClose(close.code);
      assert.equal((await client.eof()).length, 0);
    });
  });
}

Deno.test("a token that expires during the session ends it with 3000", async () => {
  const clock = new ManualClock();
  const verifier = verifierOf({ ok: true, identity: identity(clock.now() + 60_000) });
  await withSecure({ verifier, clock }, async (client, memory) => {
    await client.sendText("token");
    assert.equal(await client.nextText(), "Authenticated!");
    clock.advance(59_999);
    await client.sendText("still here");
    assert.equal(await client.nextText(), "still here");
    clock.advance(1);
    assert.equal(await client.nextText(), "Token Expired");
    assert.deepEqual(await client.nextClose(), { code: 3000, reason: "token expired" });
    await client.sendClose(3000);
    await client.eof();
    const { code, messages_in, duration } = await memory.first("session.closed");
    assert.deepEqual({ code, messages_in, duration }, { code: 3000, messages_in: 1, duration: 60 });
    assert.equal(clock.pending, 0);
  });
});

Deno.test("a verifier that breaks its promise is a failure inside the handler", async () => {
  const verifier: Verifier = { verify: () => Promise.reject(new TypeError("broken")) };
  const onFailedAuthentication = () => assert.fail("it is no fault of the peer");
  await withSecure({ verifier, onFailedAuthentication }, async (client, memory) => {
    await client.sendText("token");
    assert.equal(await client.nextText(), "Internal Error");
    assert.equal((await client.nextClose()).code, 1011);
    assert.deepEqual(memory.records.map(({ event }) => event), ["handler.error"]);
    assert.match(String(memory.records[0]?.fields["stack"]), /secure_test\.ts/);
  });
});

Deno.test("messages sent together with the token are answered after it, in order", async () => {
  const started = Promise.withResolvers<void>();
  const verified = Promise.withResolvers<Verification>();
  const verifier: Verifier = {
    verify() {
      started.resolve();
      return verified.promise;
    },
  };
  await withSecure({ verifier }, async (client) => {
    for (const text of ["token", "one", "two"]) await client.sendText(text);
    await within("the verification", started.promise);
    verified.resolve({ ok: true, identity: identity() });
    await client.sendText("three");
    for (const text of ["Authenticated!", "one", "two", "three"]) assert.equal(await client.nextText(), text);
  });
});

Deno.test("nothing is answered before the token is verified, nor after it was refused", async () => {
  const { peer, handler, memory } = bench();
  void handler.message("token");
  void handler.message("hello");
  assert.deepEqual(peer.sent, []);
  const refusing = new MemoryPeer();
  const refused = newHandlers({
    verifier: verifierOf({ ok: false, reason: "invalid", detail: "" }),
    authTimeoutMs: 1000,
    prefix: "",
    log: memory.log,
    clock: new ManualClock(),
  })(refusing);
  const decided = refused.message("token");
  void refused.message("hello");
  await decided;
  assert.deepEqual(refusing.sent, ["Invalid Token"]);
});

Deno.test("the timeout runs until the token is verified, and no further", async () => {
  const { peer, clock, sendToken } = bench();
  const verify = sendToken();
  clock.advance(9_999);
  assert.equal(peer.closed, undefined);
  await verify();
  assert.deepEqual(peer.sent, ["Authenticated!"]);
  clock.advance(2);
  assert.equal(peer.closed, undefined);

  const late = bench();
  const verifyLate = late.sendToken();
  late.clock.advance(10_000);
  await verifyLate();
  assert.deepEqual(late.peer.sent, ["Authentication Timeout"]);
  assert.equal(late.peer.closed?.code, 3008);
  assert.equal(late.memory.of("session.refused").length, 1);
  assert.deepEqual(late.memory.of("session.opened"), []);
});

Deno.test("a connection that ends leaves no timer behind, whatever it was doing", async () => {
  const waiting = bench();
  waiting.handler.close?.(1006, "");
  assert.equal(waiting.clock.pending, 0);

  const verifying = bench();
  const verify = verifying.sendToken();
  verifying.peer.isOpen = false;
  verifying.handler.close?.(1006, "");
  await verify();
  assert.equal(verifying.clock.pending, 0);
  assert.deepEqual(verifying.memory.records, []);

  const inSession = bench();
  await inSession.sendToken()();
  assert.equal(inSession.clock.pending, 1);
  inSession.handler.close?.(1000, "");
  assert.equal(inSession.clock.pending, 0);

  const refused = bench();
  void refused.handler.message(new ArrayBuffer(1));
  assert.equal(refused.clock.pending, 0);
});

Deno.test("a token that is valid for longer than a native timer runs keeps its session", async () => {
  const clock = new ManualClock();
  const peer = new MemoryPeer();
  const expiresAtMs = clock.now() + MAX_DELAY_MS + 1;
  const handler = newHandlers({
    verifier: verifierOf({ ok: true, identity: identity(expiresAtMs) }),
    authTimeoutMs: 1000,
    prefix: "",
    log: () => {},
    clock,
  })(peer);
  handler.open?.();
  await handler.message("token");
  clock.advance(MAX_DELAY_MS);
  assert.ok(peer.isOpen);
  clock.advance(1);
  assert.equal(peer.closed?.code, 3000);
});
