// Tests of the methods of wsward.v1 with good and hostile parameters.
import assert from "node:assert/strict";
import { METHODS } from "../../../src/endpoints/secure/methods/list.ts";
import { parseStrictJson } from "../../../src/core/strict_json.ts";
import type { Authentication } from "../../../src/endpoints/sessions/authenticate.ts";
import { identityOf, type OpenSession, SessionBench, type TestClaims, tokenOf } from "../session_harness.ts";

function open(claims: TestClaims = {}): { bench: SessionBench; alice: OpenSession } {
  const bench = new SessionBench();
  return { bench, alice: bench.open(claims, {}) };
}

async function resultOf(method: string, params?: unknown): Promise<unknown> {
  const { result, error } = await open().alice.call(method, params);
  assert.equal(error, undefined);
  return result;
}

Deno.test("no two methods share a name", () => {
  assert.deepEqual(METHODS.map(({ name }) => name), [
    "echo",
    "whoami",
    "digest",
    "validate_email",
    "refresh",
    "logout",
  ]);
});

const WRONG_PARAMS: readonly [method: string, params: unknown, path: string][] = [
  ["echo", undefined, "params.message"],
  ["echo", {}, "params.message"],
  ["echo", ["hello"], "params"],
  ["echo", { message: 1 }, "params.message"],
  ["echo", { message: null }, "params.message"],
  ["echo", { message: "a", extra: "b" }, "params.extra"],
  ["echo", JSON.parse('{"message":"a","__proto__":{}}'), "params.__proto__"],
  ["whoami", { user: "bob" }, "params.user"],
  ["whoami", [], "params"],
  ["digest", {}, "params.data"],
  ["digest", { data: 1 }, "params.data"],
  ["digest", { data: "", algorithm: "SHA-1" }, "params.algorithm"],
  ["digest", { data: "", algorithm: "sha256" }, "params.algorithm"],
  ["digest", { data: "", algorithm: "__proto__" }, "params.algorithm"],
  ["digest", { data: "", encoding: "hex" }, "params.encoding"],
  ["digest", { data: "\ud800" }, "params.data"],
  ["digest", { data: "YQ", encoding: "base64" }, "params.data"],
  ["digest", { data: "YR==", encoding: "base64" }, "params.data"],
  ["digest", { data: "YQ==\n", encoding: "base64" }, "params.data"],
  ["digest", { data: "_-==", encoding: "base64" }, "params.data"],
  ["digest", { data: "not base64!", encoding: "base64" }, "params.data"],
  ["validate_email", {}, "params.address"],
  ["validate_email", { address: { toString: "x" } }, "params.address"],
  ["refresh", {}, "params.token"],
  ["refresh", { token: 5 }, "params.token"],
  ["logout", { now: true }, "params.now"],
];

for (const [method, params, path] of WRONG_PARAMS) {
  Deno.test(`${method} refuses ${JSON.stringify(params)} and names ${path}`, async () => {
    const { alice } = open();
    assert.deepEqual(await alice.callWrongly(method, params), [-32602, path]);
    assert.ok(alice.session.isOpen);
  });
}

Deno.test("what is wrong is named but never repeated", async () => {
  const { alice } = open();
  await alice.call("echo", { message: { secret: "hunter2" } });
  assert.ok(!String(alice.peer.sent[0]).includes("hunter2"));
  await alice.call("echo", { message: "", ["x".repeat(5000)]: 1 });
  assert.ok(String(alice.peer.sent[1]).length < 300);
});

Deno.test("echo answers with the prefix in front, whatever the text holds", async () => {
  const alice = new SessionBench().open({}, { prefix: "Server received: " });
  for (const text of ["", "hello", '"\\\n\u0000', "\ud800", "😀"]) {
    assert.deepEqual((await alice.call("echo", { message: text })).result, {
      message: `Server received: ${text}`,
    });
  }
});

Deno.test("whoami tells user, session, times and claims, but no claim that is named like a secret", async () => {
  const { bench, alice } = open({
    user: "bob",
    expires: 1_800_000_000_000,
    role: "admin",
    api_key: "k",
    id_token: "t",
    nested: [{ password: "p", depth: { client_secret: "s", left: 1 } }],
  });
  assert.deepEqual((await alice.call("whoami")).result, {
    user: "bob",
    session: alice.session.id,
    started_at: new Date(bench.clock.now()).toISOString(),
    expires_at: "2027-01-15T08:00:00.000Z",
    claims: { role: "admin", nested: [{ depth: { left: 1 } }] },
  });
});

Deno.test("whoami answers for claims that are nested as deep as a token allows", async () => {
  const depth = 3000;
  const claims = { deep: JSON.parse("[".repeat(depth) + "]".repeat(depth)) };
  assert.ok("result" in await open(claims).alice.call("whoami", {}));
});

// FIPS 180-4 vectors for "abc" and for nothing.
const ABC = {
  "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  "SHA-384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
    "8086072ba1e7cc2358baeca134c825a7",
  "SHA-512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
};

for (const [algorithm, digest] of Object.entries(ABC)) {
  Deno.test(`digest computes ${algorithm} of text and of base64`, async () => {
    assert.deepEqual(await resultOf("digest", { data: "abc", algorithm }), { algorithm, digest });
    assert.deepEqual(await resultOf("digest", { data: "YWJj", algorithm, encoding: "base64" }), {
      algorithm,
      digest,
    });
  });
}

Deno.test("digest takes SHA-256 of UTF-8 unless told otherwise, also of nothing", async () => {
  assert.deepEqual(await resultOf("digest", { data: "abc" }), {
    algorithm: "SHA-256",
    digest: ABC["SHA-256"],
  });
  const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  assert.deepEqual(await resultOf("digest", { data: "" }), { algorithm: "SHA-256", digest: nothing });
  assert.deepEqual(await resultOf("digest", { data: "", encoding: "base64" }), {
    algorithm: "SHA-256",
    digest: nothing,
  });
});

const GOOD_ADDRESSES = [
  "alice@example.com",
  "a.b+tag@sub.example.co.uk",
  "用户@例子.广告",
  `${"a".repeat(64)}@example.com`,
  `a@${`${"b".repeat(59)}.`.repeat(4)}${"c".repeat(12)}`,
];

for (const address of GOOD_ADDRESSES) {
  Deno.test(`validate_email accepts ${address.slice(0, 80)}`, async () => {
    assert.deepEqual(await resultOf("validate_email", { address }), { valid: true });
  });
}

const WRONG_ADDRESSES: readonly [address: string, reason: string][] = [
  ["", "the address is empty"],
  ["alice", "there is no @"],
  ["@example.com", "there is nothing before the @"],
  ["alice@", "there is nothing after the @"],
  ["al ice@example.com", "there is a space in it"],
  [" alice@example.com", "there is a space in it"],
  [`${"a".repeat(65)}@example.com`, "the part before the @ is longer than 64 bytes"],
  ["a..b@example.com", "there is a misplaced dot before the @"],
  [".a@example.com", "there is a misplaced dot before the @"],
  ["a@example..com", "there is a misplaced dot after the @"],
  ["a@localhost", "the domain has no dot"],
  ["a@-example.com", "the domain is not well formed"],
  ["a@[127.0.0.1]", "the domain is not well formed"],
  ["a@b@example.com", "the part before the @ is not well formed"],
  ["alice@example.com\n", "the address has a control character or an invisible one"],
  ["al\u0000ice@example.com", "the address has a control character or an invisible one"],
  ["al\u200bice@example.com", "the address has a control character or an invisible one"],
  ["al\u202eice@example.com", "the address has a control character or an invisible one"],
  ["\ud800@example.com", "the address has a control character or an invisible one"],
  [`a@${"b.".repeat(126)}c`, "the address is longer than 254 bytes"],
  [`${"ü".repeat(122)}@example.com`, "the address is longer than 254 bytes"],
  ["@".repeat(60_000), "the address is longer than 254 bytes"],
];

for (const [address, reason] of WRONG_ADDRESSES) {
  Deno.test(`validate_email refuses ${JSON.stringify(address.slice(0, 80))}`, async () => {
    assert.deepEqual(await resultOf("validate_email", { address }), { valid: false, reason });
  });
}

Deno.test("refresh extends the session to the end of the new token and warns before that one", async () => {
  const { bench, alice } = open();
  const start = bench.clock.now();
  const bob = bench.open({ user: "bob", expires: start + 60_000 }, {});
  const token = tokenOf({ user: "bob", expires: start + 120_000, role: "new" });
  assert.deepEqual((await bob.call("refresh", { token })).result, {
    expires_at: new Date(start + 120_000).toISOString(),
  });
  bench.clock.advance(89_999);
  assert.equal(bob.peer.sent.length, 1);
  bench.clock.advance(1);
  assert.deepEqual(JSON.parse(String(bob.peer.sent[1])), {
    jsonrpc: "2.0",
    method: "token_expiring",
    params: { expires_at: new Date(start + 120_000).toISOString(), expires_in: 30 },
  });
  const { claims } = (await bob.call("whoami")).result as { claims: unknown };
  assert.deepEqual(claims, { role: "new" });
  bench.clock.advance(30_000);
  assert.deepEqual(bob.peer.closed, { code: 3000, reason: "token expired" });
  assert.ok(alice.session.isOpen);
});

const REFUSED_TOKENS: readonly [name: string, token: (nowMs: number) => string, code: number, why: string][] =
  [
    ["nonsense", () => "x.y.z", -32001, "Invalid Token"],
    ["an expired one", () => "expired", -32001, "Token Expired"],
    ["one that expired meanwhile", (nowMs) => tokenOf({ expires: nowMs }), -32001, "Token Expired"],
    ["another user's", () => tokenOf({ user: "mallory" }), -32001, "Token Of Another User"],
    [
      "one that lasts as long",
      (nowMs) => tokenOf({ expires: nowMs + 60_000 }),
      -32001,
      "Token Does Not Last Longer",
    ],
    ["a revoked one", () => tokenOf({ jti: "gone" }), -32001, "Token Revoked"],
    ["one that there is no time for", () => "busy", -32002, "Try Again Later"],
  ];

for (const [name, makeToken, code, message] of REFUSED_TOKENS) {
  Deno.test(`refresh refuses ${name}, and the session goes on`, async () => {
    const bench = new SessionBench();
    const expires = bench.clock.now() + 60_000;
    const alice = bench.open({ expires }, {});
    bench.sessions.revoke({ kind: "jti", value: "gone", ttlMs: 1000 });
    const { error } = await alice.call("refresh", { token: makeToken(bench.clock.now()) });
    assert.deepEqual(error, { code, message });
    assert.equal(alice.session.identity.expiresAtMs, expires);
    assert.ok(alice.session.isOpen);
    assert.equal(bench.memory.of("session.refresh_refused").length, 1);
  });
}

Deno.test("a token that is verified after the end of the session extends nothing, and is not used up", async () => {
  const bench = new SessionBench({ replayCheck: true });
  const expires = bench.clock.now() + 60_000;
  const alice = bench.open({ jti: "one", expires }, {});
  const token = tokenOf({ jti: "two", expires: expires + 60_000 });
  const refreshed = alice.session.message(
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "refresh", params: { token } }),
  );
  bench.sessions.close(alice.session.id, 1000, "over");
  await refreshed;
  assert.equal(alice.session.identity.expiresAtMs, expires);
  assert.deepEqual(bench.memory.of("session.refreshed"), []);
  assert.equal(bench.sessions.check(identityOf({ jti: "two" })), undefined, "it may open another session");
  assert.equal(bench.clock.pending, 0);
});

Deno.test("only one token of a session is verified at a time", async () => {
  const { alice } = open({ expires: 1_800_000_000_000 });
  const requests = ["a", "b"].map((token) => ({
    jsonrpc: "2.0",
    id: token,
    method: "refresh",
    params: { token },
  }));
  await Promise.all(requests.map((request) => alice.session.message(JSON.stringify(request))));
  const replies = alice.peer.sent.map((sent) => JSON.parse(String(sent)));
  assert.deepEqual(Object.fromEntries(replies.map(({ id, error }) => [id, error.code])), {
    a: -32001,
    b: -32002,
  });
});

/** Asks for a refresh whose token takes its time, does something meanwhile, and returns the session. */
async function refreshDuring(act: (bench: SessionBench, alice: OpenSession) => void): Promise<OpenSession> {
  const bench = new SessionBench({ replayCheck: true });
  const verified = Promise.withResolvers<Authentication>();
  const expires = bench.clock.now() + 60_000;
  const alice = bench.open({ jti: "one", expires }, { authenticate: () => verified.promise });
  const answered = alice.session.message(
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "refresh", params: { token: "any" } }),
  );
  act(bench, alice);
  const identity = identityOf({ jti: "two", expires: expires + 60_000 });
  verified.resolve({ ok: true, identity });
  await answered;
  // A token that was not taken can open a session still.
  assert.equal(bench.sessions.check(identity), undefined);
  return alice;
}

const ENDS: Readonly<Record<string, (bench: SessionBench, alice: OpenSession) => void>> = {
  "it was revoked": ({ sessions }) => void sessions.revoke({ kind: "jti", value: "one", ttlMs: 1000 }),
  "the server closed the connection": (_bench, { peer }) => peer.close(1008, "banned"),
  "its token expired": ({ clock }) => clock.advance(60_000),
};

for (const [what, end] of Object.entries(ENDS)) {
  Deno.test(`refresh does not go on after the session's end: ${what}`, async () => {
    const { session, peer } = await refreshDuring(end);
    assert.ok(!session.isOpen);
    assert.deepEqual(session.jtis, ["one"]);
    assert.ok(peer.sent.every((sent) => !String(sent).includes(`"result"`)));
  });
}

Deno.test("revoking an earlier token of a refreshed session ends it", async () => {
  const bench = new SessionBench();
  const expires = bench.clock.now() + 60_000;
  const alice = bench.open({ jti: "one", expires }, {});
  for (const [index, jti] of ["two", "three"].entries()) {
    const token = tokenOf({ jti, expires: expires + (index + 1) * 1000 });
    assert.ok("result" in await alice.call("refresh", { token }));
  }
  bench.sessions.revoke({ kind: "jti", value: "two", ttlMs: 1000 });
  assert.deepEqual(alice.peer.closed, { code: 3000, reason: "token revoked" });
  assert.deepEqual(await alice.exchange(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "whoami" })), []);
});

Deno.test("whoami shows a number digit by digit as it was signed", async () => {
  const claims = parseStrictJson(new TextEncoder().encode('{"n":[9007199254740993,{"m":1e-999}],"x":1.5}'));
  assert.ok(claims.ok);
  const { alice } = open(claims.value);
  await alice.call("whoami");
  assert.match(String(alice.peer.sent[0]), /"claims":\{"n":\[9007199254740993,\{"m":1e-999\}\],"x":1.5\}/);
});

Deno.test("a token can extend one session only when replays are checked", async () => {
  const bench = new SessionBench({ replayCheck: true });
  const alice = bench.open({ jti: "one", expires: 1_800_000_000_000 }, {});
  const again = bench.open({ jti: "two", expires: 1_800_000_000_000 }, {});
  const token = tokenOf({ jti: "three", expires: 1_900_000_000_000 });
  assert.ok("result" in await alice.call("refresh", { token }));
  assert.equal((await again.call("refresh", { token })).error?.message, "Token Already Used");
});

Deno.test("logout answers, then closes with 1000, and what comes later is dropped", async () => {
  const { bench, alice } = open();
  assert.deepEqual((await alice.call("logout")).result, {});
  assert.deepEqual(alice.peer.closed, { code: 1000, reason: "logged out" });
  assert.equal(bench.sessions.size, 0);
  assert.deepEqual(await alice.exchange('{"jsonrpc":"2.0","id":1,"method":"whoami"}'), []);
});
