// A session while it waits for the other nodes: what can happen within one round trip.

import assert from "node:assert/strict";
import { ALONE, type Place, type SharedState, type Verdict } from "../../src/core/shared_state.ts";
import { createSecureEndpoint } from "../../src/endpoints/secure/secure.ts";
import { SessionRegistry } from "../../src/endpoints/sessions/session_registry.ts";
import { ManualClock, MemoryLog, MemoryPeer } from "../endpoints/harness.ts";
import { TEST_VERIFIER, tokenOf } from "../endpoints/session_harness.ts";

/** Other nodes of which the test says what they say. */
class Others {
  readonly asked: Place[] = [];
  readonly given: string[] = [];
  #verdict = Promise.withResolvers<Verdict>();

  readonly shared: SharedState = {
    ...ALONE,
    admit: (place) => {
      this.asked.push(place);
      return this.#verdict.promise;
    },
    ended: (id, jti) => this.given.push(`${id === this.asked[0]?.id ? "it" : id} ${jti ?? "-"}`),
  };

  say(verdict: Verdict): void {
    this.#verdict.resolve(verdict);
  }
}

function bench() {
  const others = new Others();
  const clock = new ManualClock();
  const memory = new MemoryLog();
  const peer = new MemoryPeer();
  const sessions = new SessionRegistry({
    clock,
    shared: others.shared,
    replayCheck: true,
    maxSessionsPerUser: 1,
  });
  const handler = createSecureEndpoint({
    verifier: TEST_VERIFIER,
    authTimeoutMs: 10_000,
    prefix: "",
    log: memory.log,
    clock,
    sessions,
  }).createHandler(peer);
  handler.open?.();
  const present = (jti = "one") => handler.message(tokenOf({ jti }));
  return { others, clock, peer, sessions, handler, present, memory };
}

/** Lets what has been resolved happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

Deno.test("a session is open when the others say so, and not before; then its token is used", async () => {
  const { others, peer, sessions, present } = bench();
  const done = present();
  await settle();
  assert.deepEqual([peer.sent, sessions.size, others.asked.length], [[], 0, 1]);
  others.say("ok");
  await done;
  assert.deepEqual(peer.sent, ["Authenticated!"]);
  assert.deepEqual(sessions.list().map(({ id }) => id), [others.asked[0]!.id]);
  assert.deepEqual(sessions.usedTokens().map(({ jti }) => jti), ["one"]);
});

for (
  const [verdict, text] of [
    ["full", "Too Many Sessions"],
    ["used", "Token Already Used"],
    ["refused", "Try Again Later"],
  ] as const
) {
  Deno.test(`the others say "${verdict}": ${text}, and nothing is used or open`, async () => {
    const { others, peer, sessions, present } = bench();
    const done = present();
    await settle();
    others.say(verdict);
    await done;
    assert.deepEqual([peer.sent, sessions.size, sessions.usedTokens()], [[text], 0, []]);
  });
}

Deno.test("the peer is gone meanwhile: the session is given up, and its token is good", async () => {
  const { others, peer, sessions, handler, present } = bench();
  const done = present();
  await settle();
  peer.isOpen = false;
  handler.close?.(1006, "");
  others.say("ok");
  await done;
  assert.deepEqual([others.given, sessions.size], [["it one"], 0]);
});

Deno.test("the time for the token is over meanwhile: 3008, and the session is given up", async () => {
  const { others, peer, clock, sessions, present } = bench();
  const done = present();
  await settle();
  clock.advance(10_000);
  assert.equal(peer.closed?.code, 3008);
  others.say("ok");
  await done;
  assert.deepEqual([others.given, sessions.size], [["it one"], 0]);
});

Deno.test("its user is revoked meanwhile: Token Revoked, and the session is given up", async () => {
  const { others, peer, sessions, present } = bench();
  const done = present();
  await settle();
  sessions.revoke({ kind: "user", value: "alice", ttlMs: 60_000 });
  others.say("ok");
  await done;
  assert.deepEqual([peer.sent, others.given, sessions.size], [["Token Revoked"], ["it one"], 0]);
});

Deno.test("Redis is lost meanwhile: the limits and tokens of this node decide, also about who waited beside it", async () => {
  const { others, peer, sessions, handler, present } = bench();
  const beside = createSecureEndpoint({
    verifier: TEST_VERIFIER,
    authTimeoutMs: 10_000,
    prefix: "",
    log: () => {},
    sessions,
  });
  const second = new MemoryPeer();
  const other = beside.createHandler(second);
  other.open?.();
  const waiting = [present(), other.message(tokenOf({ jti: "two" }))];
  await settle();
  others.say("alone");
  await Promise.all(waiting);
  assert.deepEqual([peer.sent, second.sent], [["Authenticated!"], ["Too Many Sessions"]]);
  handler.close?.(1000, "");
});

Deno.test("a peer that is gone takes back no token that opened another session meanwhile", async () => {
  const { others, peer, sessions, present } = bench();
  const done = present();
  await settle();
  peer.isOpen = false;
  // The same token, on the same node, in the same time: the others have decided for that one.
  const identity = { user: "alice", expiresAtMs: 8e15, claims: { jti: "one" } };
  assert.equal(sessions.admit(identity), undefined);
  others.say("used");
  await done;
  assert.equal(sessions.check(identity)?.reason, "token already used");
});
