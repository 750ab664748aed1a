// Tests of the registry of sessions: the list, the limit for a user, replays, and what a revocation ends.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MAX_REVOCATION_TTL_MS, RevocationStore } from "../../src/endpoints/sessions/revocation_store.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import { MAX_USED_TOKENS } from "../../src/endpoints/sessions/state_file.ts";
import { ManualClock, MemoryLog } from "./harness.ts";
import { identityOf, SessionBench, tokenOf } from "./session_harness.ts";

const REVOKED = { code: 3000, reason: "token revoked" };
const TTL = { ttlMs: 60_000 };

Deno.test("lists open sessions with their counters and forgets those that ended", async () => {
  const bench = new SessionBench();
  const alice = bench.open({ expires: 1_800_000_000_000 });
  bench.clock.advance(5);
  const bob = bench.open({ user: "bob" });
  await alice.session.message("one");
  await alice.session.message("two");
  const [first, second] = bench.sessions.list();
  assert.deepEqual(first, {
    id: alice.session.id,
    user: "alice",
    address: "192.0.2.1",
    connection: "c1",
    startedAtMs: bench.clock.now() - 5,
    expiresAtMs: 1_800_000_000_000,
    messagesIn: 2,
    messagesOut: 2,
  });
  assert.deepEqual([second?.user, bench.sessions.size], ["bob", 2]);
  alice.session.close(1000);
  alice.session.close(1000);
  assert.deepEqual(bench.sessions.list().map(({ id }) => id), [bob.session.id]);
});

Deno.test("closes a session by its id, once", () => {
  const bench = new SessionBench();
  const alice = bench.open();
  assert.equal(bench.sessions.close(crypto.randomUUID(), 1008, ""), false);
  assert.equal(bench.sessions.close(alice.session.id, 1008, "go away"), true);
  assert.deepEqual(alice.peer.closed, { code: 1008, reason: "go away" });
  assert.equal(bench.sessions.close(alice.session.id, 1008, "go away"), false);
});

Deno.test("a message that comes after the end is neither counted nor answered", async () => {
  const bench = new SessionBench();
  const alice = bench.open({}, {});
  assert.equal((await alice.call("echo", { message: "in time" })).error, undefined);
  const before = alice.session.info();
  bench.sessions.close(alice.session.id, 1008, "");
  assert.deepEqual(
    await alice.exchange('{"jsonrpc":"2.0","id":2,"method":"echo","params":{"message":"x"}}'),
    [],
  );
  const { messagesIn, messagesOut } = alice.session.info();
  assert.deepEqual([messagesIn, messagesOut], [before.messagesIn, before.messagesOut]);
});

Deno.test("refuses to close with what can't be in a Close frame", () => {
  const { sessions } = new SessionBench();
  for (const code of [999, 1005, 1006, 70_000, NaN]) {
    assert.throws(() => sessions.close("x", code, ""), RangeError);
  }
  assert.throws(() => sessions.close("x", 1000, "é".repeat(62)), RangeError);
  assert.equal(sessions.close("x", 1000, `${"é".repeat(61)}e`), false);
});

Deno.test("the newest session over the limit is refused, and each user has a limit of their own", () => {
  const bench = new SessionBench({ maxSessionsPerUser: 2 });
  const first = bench.open();
  bench.open();
  bench.open({ user: "bob" });
  const { why: _, ...refusal } = bench.sessions.admit(identityOf())!;
  assert.deepEqual(refusal, { text: "Too Many Sessions", code: 3003, reason: "too many sessions" });
  first.session.close(1000);
  assert.equal(bench.sessions.admit(identityOf()), undefined);
});

Deno.test("the oldest session over the limit is closed if that is what was asked for", () => {
  const bench = new SessionBench({ maxSessionsPerUser: 2, onSessionLimit: "close-oldest" });
  const [first, second, third] = [bench.open(), bench.open(), bench.open()];
  assert.deepEqual(first.peer.sent, ["Too Many Sessions"]);
  assert.deepEqual(first.peer.closed, { code: 3003, reason: "too many sessions" });
  assert.ok(second.session.isOpen && third.session.isOpen);
  bench.open();
  assert.equal(second.peer.closed?.code, 3003);
  assert.equal(bench.sessions.size, 2);
});

Deno.test("a limit of any number has no end", () => {
  const bench = new SessionBench({ maxSessionsPerUser: Infinity });
  for (let count = 0; count < 100; count++) bench.open();
  assert.equal(bench.sessions.size, 100);
});

Deno.test("without the replay check a token opens as many sessions as it likes", () => {
  const bench = new SessionBench();
  bench.open({ jti: "one" });
  bench.open({ jti: "one" });
  bench.open({});
});

Deno.test("with the replay check a jti opens one session while its token lives", () => {
  const bench = new SessionBench({ replayCheck: true });
  const claims = { jti: "one", expires: bench.clock.now() + 1000 };
  bench.open(claims).session.close(1000);
  assert.equal(bench.sessions.admit(identityOf(claims))?.reason, "token already used");
  bench.clock.advance(999);
  assert.equal(bench.sessions.check(identityOf(claims))?.reason, "token already used");
  bench.clock.advance(1);
  assert.equal(bench.sessions.check(identityOf(claims)), undefined);
});

for (const jti of [undefined, 5, null, ["a"]]) {
  Deno.test(`with the replay check a token whose jti is ${JSON.stringify(jti)} is not valid`, () => {
    const { sessions } = new SessionBench({ replayCheck: true });
    assert.equal(sessions.check(identityOf({ jti }))?.reason, "invalid token");
  });
}

Deno.test("a token that was refused at the limit of its user is not used up", () => {
  const bench = new SessionBench({ replayCheck: true, maxSessionsPerUser: 1 });
  const first = bench.open({ jti: "one" });
  assert.equal(bench.sessions.admit(identityOf({ jti: "two" }))?.code, 3003);
  first.session.close(1000);
  assert.equal(bench.sessions.admit(identityOf({ jti: "two" })), undefined);
});

Deno.test("a full memory of used tokens lets nobody in until some have expired", () => {
  const bench = new SessionBench({ replayCheck: true });
  const expires = bench.clock.now() + 1000;
  const late = identityOf({ jti: "late", expires: expires + 9000 });
  for (let count = 0; count < MAX_USED_TOKENS; count++) {
    assert.equal(bench.sessions.admit(identityOf({ jti: `${count}`, expires })), undefined);
  }
  assert.equal(bench.sessions.admit(late)?.code, 1013);
  bench.clock.advance(1000);
  assert.equal(bench.sessions.admit(late), undefined);
});

Deno.test("with a state file a used token is known after a restart, until it expires", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/state.db`;
  const clock = new ManualClock();
  const open = () => {
    const revocations = new RevocationStore({ path, clock });
    return { revocations, sessions: new SessionRegistry({ revocations, clock, replayCheck: true }) };
  };
  const odd = "'; DROP TABLE used_tokens; -- \u0000\ud800";
  const used = identityOf({ jti: odd, expires: clock.now() + 120_000 });
  const before = open();
  assert.equal(before.sessions.admit(used), undefined);
  before.revocations.close();

  clock.advance(119_999);
  const after = open();
  assert.equal(after.sessions.admit(used)?.reason, "token already used");
  clock.advance(1);
  assert.equal(after.sessions.check(used), undefined);
  assert.equal(after.sessions.admit(identityOf({ jti: "next" })), undefined);
  after.revocations.close();
  const last = open();
  assert.deepEqual(last.revocations.file?.usedTokens.map(({ jti }) => jti), ["next"]);
  last.revocations.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what has expired leaves the state file although a full memory is looked through more often", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/state.db`;
  const clock = new ManualClock();
  new RevocationStore({ path, clock }).close();
  const database = new DatabaseSync(path);
  // As many as there may be, but for one.
  database.exec(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MAX_USED_TOKENS - 1})
     INSERT INTO used_tokens SELECT '"' || i || '"', ${clock.now() + 30_000} FROM n`,
  );
  database.close();
  const revocations = new RevocationStore({ path, clock });
  const sessions = new SessionRegistry({ revocations, clock, replayCheck: true });
  const use = (jti: string) => sessions.admit(identityOf({ jti, expires: clock.now() + 30_000 }));
  assert.equal(use("last"), undefined);
  assert.equal(use("one too many")?.code, 1013);
  clock.advance(30_000);
  // The memory is looked through for this, and again for a token in the last moment of the minute.
  assert.equal(use("early"), undefined);
  clock.advance(30_000);
  assert.equal(use("late"), undefined);
  revocations.close();
  const after = new DatabaseSync(path, { readOnly: true });
  assert.equal(after.prepare("SELECT count(*) AS count FROM used_tokens").get()?.["count"], 1);
  after.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a used token that can't be stored is said, remembered in memory, and keeps nobody out", async () => {
  const folder = await Deno.makeTempDir();
  const memory = new MemoryLog();
  const revocations = new RevocationStore({ path: `${folder}/state.db` });
  const sessions = new SessionRegistry({ revocations, replayCheck: true, log: memory.log });
  await Deno.remove(folder, { recursive: true });
  assert.equal(sessions.admit(identityOf({ jti: "one" })), undefined);
  assert.equal(sessions.admit(identityOf({ jti: "one" }))?.reason, "token already used");
  assert.equal(memory.of("token.not_stored").length, 1);
  revocations.close();
});

Deno.test("a revoked jti ends the sessions it opened or extended, and opens no other", async () => {
  const bench = new SessionBench();
  const opened = bench.open({ jti: "a" });
  const extended = bench.open({ jti: "b", expires: 1_800_000_000_000 }, {});
  const other = bench.open({ jti: "c" });
  await extended.call("refresh", { token: tokenOf({ jti: "a", expires: 1_900_000_000_000 }) });
  bench.sessions.revoke({ kind: "jti", value: "a", ...TTL });
  assert.deepEqual(opened.peer.sent, ["Token Revoked"]);
  assert.deepEqual([opened.peer.closed, extended.peer.closed], [REVOKED, REVOKED]);
  assert.ok(other.session.isOpen);
  assert.equal(bench.sessions.admit(identityOf({ jti: "a" }))?.reason, "token revoked");
  assert.equal(bench.sessions.admit(identityOf({ jti: "c" })), undefined);
});

Deno.test("a revoked jti ends the session that it opened, though another token has extended it since", async () => {
  const bench = new SessionBench();
  const alice = bench.open({ jti: "a", expires: 1_800_000_000_000 }, {});
  await alice.call("refresh", { token: tokenOf({ jti: "b", expires: 1_900_000_000_000 }) });
  await alice.call("refresh", { token: tokenOf({ jti: "c", expires: 2_000_000_000_000 }) });
  bench.sessions.revoke({ kind: "jti", value: "a", ...TTL });
  assert.deepEqual(alice.peer.closed, REVOKED);
});

Deno.test("a revoked session ends, and none of its tokens opens another", async () => {
  const bench = new SessionBench();
  const alice = bench.open({ jti: "a", expires: 1_800_000_000_000 }, {});
  const twin = bench.open({ jti: "a" });
  const other = bench.open({ jti: "c" });
  await alice.call("refresh", { token: tokenOf({ jti: "b", expires: 1_900_000_000_000 }) });
  const revocation = bench.sessions.revoke({ kind: "session", value: alice.session.id, ...TTL });
  assert.deepEqual(revocation?.jtis, ["a", "b"]);
  assert.deepEqual([alice.peer.closed, twin.peer.closed, other.peer.closed], [REVOKED, REVOKED, undefined]);
  for (const jti of ["a", "b"]) {
    assert.equal(bench.sessions.check(identityOf({ jti }))?.reason, "token revoked");
  }
  assert.equal(bench.sessions.check(identityOf()), undefined);
});

Deno.test("a session without named tokens is ended by its revocation too", () => {
  const bench = new SessionBench();
  const alice = bench.open();
  bench.sessions.revoke({ kind: "session", value: alice.session.id, ...TTL });
  assert.deepEqual(alice.peer.closed, REVOKED);
});

Deno.test("there is nothing to revoke about a session that is not open", () => {
  const bench = new SessionBench();
  assert.equal(bench.sessions.revoke({ kind: "session", value: "no such one", ...TTL }), undefined);
  assert.deepEqual(bench.sessions.revocations(), []);
});

Deno.test("a revoked user loses every session and every token issued until that moment", () => {
  const bench = new SessionBench();
  const nowS = bench.clock.now() / 1000;
  const [one, two] = [bench.open({ iat: nowS }), bench.open({ iat: nowS + 4 })];
  const bob = bench.open({ user: "bob" });
  bench.sessions.revoke({ kind: "user", value: "alice", ...TTL });
  assert.deepEqual([one.peer.closed, two.peer.closed, bob.peer.closed], [REVOKED, REVOKED, undefined]);
  const check = (iat?: number) => bench.sessions.check(identityOf(iat === undefined ? {} : { iat }))?.reason;
  assert.equal(check(), "token revoked");
  assert.equal(check(nowS - 1), "token revoked");
  assert.equal(check(nowS), "token revoked");
  assert.equal(check(nowS + 1), undefined);
  bench.clock.advance(59_999);
  assert.equal(check(nowS), "token revoked");
  bench.clock.advance(1);
  assert.equal(check(nowS), undefined);
});

Deno.test("a revocation can be taken back, which opens no session again", () => {
  const bench = new SessionBench();
  const alice = bench.open({ jti: "a" });
  const { id } = bench.sessions.revoke({ kind: "jti", value: "a", ...TTL })!;
  assert.equal(bench.sessions.removeRevocation("no such one"), false);
  assert.equal(bench.sessions.removeRevocation(id), true);
  assert.equal(bench.sessions.removeRevocation(id), false);
  assert.equal(bench.sessions.check(identityOf({ jti: "a" })), undefined);
  assert.equal(alice.session.isOpen, false);
});

for (const ttlMs of [0, -1, 1.5, NaN, Infinity, MAX_REVOCATION_TTL_MS + 1]) {
  Deno.test(`a revocation for ${ttlMs} ms is refused and ends nothing`, () => {
    const bench = new SessionBench();
    const alice = bench.open({ jti: "a" });
    assert.throws(() => bench.sessions.revoke({ kind: "jti", value: "a", ttlMs }), RangeError);
    assert.ok(alice.session.isOpen);
    assert.deepEqual(bench.sessions.revocations(), []);
  });
}

Deno.test("a store that can't be written still ends the sessions, and says that it failed", async () => {
  const folder = await Deno.makeTempDir();
  const revocations = new RevocationStore({ path: `${folder}/state.db` });
  const bench = new SessionBench({ revocations });
  const alice = bench.open({ jti: "a" });
  revocations.close();
  await Deno.remove(folder, { recursive: true });
  assert.throws(() => bench.sessions.revoke({ kind: "jti", value: "a", ...TTL }), Error);
  assert.deepEqual(alice.peer.closed, REVOKED);
  assert.equal(bench.sessions.check(identityOf({ jti: "a" }))?.reason, "token revoked");
});

Deno.test("works with nothing but defaults", () => {
  const sessions = new SessionRegistry();
  assert.equal(sessions.admit(identityOf()), undefined);
  assert.deepEqual([sessions.list(), sessions.revocations()], [[], []]);
});
