// The keys of an issuer that is slow, down, redirecting, rotating, huge or lying.

import assert from "node:assert/strict";
import type { Algorithm } from "../../src/auth/jwk.ts";
import { openKeyRing } from "../../src/auth/key_ring.ts";
import {
  MAX_KEY_SET_AGE_MS,
  MAX_KEY_SET_SIZE_BYTES,
  MAX_WAITING,
  REFRESH_COOLDOWN_MS,
  RemoteKeys,
} from "../../src/auth/remote_keys.ts";
import { createVerifier } from "../../src/auth/token.ts";
import { type ForeignKey, makeKey, makeToken, toJwk } from "./foreign.ts";

const ASKED = "the key is not known, and the issuer was asked a moment ago";
const SILENT = "the key is not known, and the issuer does not answer";

const OLD = makeKey("EdDSA");
const NEW = makeKey("EdDSA");

/** An issuer whose answer can be changed while it runs. */
class Issuer implements AsyncDisposable {
  requests = 0;
  answer: (request: Request) => Response | Promise<Response> = () => new Response(null, { status: 500 });
  readonly #server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    this.requests++;
    return this.answer(request);
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/keys`;
  }

  publish(...keys: unknown[]): void {
    this.answer = () => Response.json({ keys });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function published(key: ForeignKey, kid: string): Record<string, unknown> {
  return toJwk(key.publicKey, { kid, alg: key.alg, use: "sig" });
}

function tokenOf(key: ForeignKey, kid?: string): string {
  return makeToken(key, undefined, kid === undefined ? {} : { kid });
}

/** A key ring without a key file, and a verifier with it. */
async function open(issuer: Issuer, clock: { nowMs: number } = { nowMs: 0 }) {
  const outcomes: unknown[] = [];
  let told = Promise.withResolvers<void>();
  const ring = await openKeyRing({
    keyFile: "/nonexistent/wsward.key",
    jwksUrl: issuer.url,
    onFetch: (outcome) => {
      outcomes.push(outcome);
      told.resolve();
      told = Promise.withResolvers();
    },
    now: () => clock.nowMs,
  });
  const verifier = createVerifier(ring);
  const judge = async (token: string) => {
    const verification = await verifier.verify(token);
    return verification.ok ? "ok" : verification.detail;
  };
  return { ring, judge, outcomes, verifier, nextOutcome: () => told.promise };
}

Deno.test("fetches the keys at the start, once for all tokens", async () => {
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { judge, outcomes } = await open(issuer);
  for (let i = 0; i < 20; i++) assert.equal(await judge(tokenOf(OLD, "old")), "ok");
  assert.equal(await judge(tokenOf(OLD)), "ok");
  assert.equal(issuer.requests, 1);
  assert.deepEqual(outcomes, [{ keys: 1, ignored: 0, fault: undefined }]);
});

Deno.test("asks again for an unknown key, but not within the cooldown", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { judge, verifier } = await open(issuer, clock);
  issuer.publish(published(NEW, "new"));

  clock.nowMs = REFRESH_COOLDOWN_MS - 1;
  assert.deepEqual(await verifier.verify(tokenOf(NEW, "new")), { ok: false, reason: "busy", detail: ASKED });
  assert.equal(issuer.requests, 1);
  clock.nowMs = REFRESH_COOLDOWN_MS;
  assert.equal(await judge(tokenOf(NEW, "new")), "ok");
  assert.equal(issuer.requests, 2);
  assert.equal(await judge(tokenOf(OLD, "old")), ASKED);
  assert.equal(issuer.requests, 2);
  // Now the issuer has been asked, and does not have it.
  clock.nowMs = 2 * REFRESH_COOLDOWN_MS;
  assert.deepEqual(await verifier.verify(tokenOf(OLD, "old")), {
    ok: false,
    reason: "invalid",
    detail: "key id is unknown",
  });
  assert.equal(issuer.requests, 3);
});

Deno.test("a stranger who invents key names makes nobody invalid in a rotation", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { verifier } = await open(issuer, clock);
  const reasons = new Set<string>();
  for (let round = 1; round <= 4; round++) {
    clock.nowMs = round * REFRESH_COOLDOWN_MS;
    assert.equal((await verifier.verify(tokenOf(makeKey("EdDSA"), `invented${round}`))).ok, false);
    if (round === 2) issuer.publish(published(NEW, "new"));
    const verification = await verifier.verify(tokenOf(NEW, "new"));
    reasons.add(verification.ok ? "ok" : verification.reason);
  }
  assert.deepEqual([...reasons], ["busy", "ok"]);
});

Deno.test("a key without a name does not make a token of a new key invalid", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(toJwk(OLD.publicKey));
  const { verifier } = await open(issuer, clock);
  assert.equal((await verifier.verify(tokenOf(OLD, "any"))).ok, true);
  const verification = await verifier.verify(tokenOf(NEW, "new"));
  assert.deepEqual(verification, { ok: false, reason: "busy", detail: ASKED });
});

Deno.test("is usable once there is a key, and asks for one when it is looked at", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  const { ring, verifier, nextOutcome } = await open(issuer, clock);
  assert.equal(ring.isUsable, false);
  assert.deepEqual(await verifier.verify(tokenOf(OLD)), { ok: false, reason: "busy", detail: ASKED });
  assert.equal(issuer.requests, 1);
  issuer.publish(published(OLD, "old"));
  clock.nowMs = REFRESH_COOLDOWN_MS;
  const fetched = nextOutcome();
  assert.equal(ring.isUsable, false);
  await fetched;
  assert.equal(ring.isUsable, true);
  assert.equal(issuer.requests, 2);
});

Deno.test("does not ask for an algorithm that no issuer can publish, or that does not exist", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { judge } = await open(issuer, clock);
  clock.nowMs = REFRESH_COOLDOWN_MS;
  assert.equal(await judge(tokenOf(makeKey("HS256"), "x")), "algorithm is not that of a key");
  assert.equal(
    await judge(makeToken(OLD, undefined, { alg: "none", kid: "x" })),
    "algorithm is not supported",
  );
  assert.equal(issuer.requests, 1);
});

Deno.test("never fetches from what a token names", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  await using stranger = new Issuer();
  issuer.publish(published(OLD, "old"));
  stranger.publish(published(NEW, "new"));
  const { judge } = await open(issuer, clock);
  clock.nowMs = REFRESH_COOLDOWN_MS;
  const header = { kid: "new", jku: stranger.url, x5u: stranger.url, iss: stranger.url };
  const claims = { user_id: "alice", exp: 4e9, iss: stranger.url };
  assert.equal(await judge(makeToken(NEW, claims, header)), "key id is unknown");
  assert.equal(stranger.requests, 0);
  assert.equal(issuer.requests, 2);
});

Deno.test("keeps the last good keys while the issuer is down, and the cooldown holds after failures", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { judge, ring, outcomes } = await open(issuer, clock);
  issuer.answer = () => new Response("down", { status: 503 });

  clock.nowMs = REFRESH_COOLDOWN_MS;
  assert.equal(await judge(tokenOf(NEW, "new")), SILENT);
  for (let i = 0; i < 5; i++) assert.match(await judge(tokenOf(NEW, "new")), /^the key is not known/);
  assert.equal(issuer.requests, 2);
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
  assert.deepEqual(outcomes[1], { reason: "the issuer answered with status 503", keys: 1, ignored: 0 });
  assert.equal(await ring.reload(), "Cannot fetch keys: the issuer answered with status 503");
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
});

Deno.test("starts while the issuer is down, and takes its keys as soon as it may ask again", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  const { judge } = await open(issuer, clock);
  issuer.publish(published(OLD, "old"));
  assert.equal(await judge(tokenOf(OLD, "old")), ASKED);
  clock.nowMs = REFRESH_COOLDOWN_MS - 1;
  assert.equal(await judge(tokenOf(OLD, "old")), ASKED);
  clock.nowMs = REFRESH_COOLDOWN_MS;
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
});

Deno.test("asks again for old keys in the background, so that a withdrawn key ends", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { judge, nextOutcome } = await open(issuer, clock);
  issuer.publish(published(NEW, "new"));
  clock.nowMs = MAX_KEY_SET_AGE_MS - 1;
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
  assert.equal(issuer.requests, 1);
  clock.nowMs = MAX_KEY_SET_AGE_MS;
  const fetched = nextOutcome();
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
  await fetched;
  assert.equal(issuer.requests, 2);
  assert.notEqual(await judge(tokenOf(OLD, "old")), "ok");
  assert.equal(await judge(tokenOf(NEW, "new")), "ok");
});

Deno.test("lets all who miss a key wait for one fetch, up to a limit, and those with known keys not at all", async () => {
  const clock = { nowMs: 0 };
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const { verifier, judge } = await open(issuer, clock);
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  issuer.answer = async () => {
    asked.resolve();
    await release.promise;
    return Response.json({ keys: [published(OLD, "old"), published(NEW, "new")] });
  };
  clock.nowMs = REFRESH_COOLDOWN_MS;
  const waiting = Array.from({ length: MAX_WAITING }, () => verifier.verify(tokenOf(NEW, "new")));
  await asked.promise;
  const refused = await verifier.verify(tokenOf(NEW, "new"));
  assert.deepEqual(refused, { ok: false, reason: "busy", detail: "too many wait for keys" });
  assert.equal(await judge(tokenOf(OLD, "old")), "ok");
  release.resolve();
  for (const verification of await Promise.all(waiting)) assert.equal(verification.ok, true);
  assert.equal(issuer.requests, 2);
});

/** Fetches once; the outcome is a reason, or the names of the keys. */
async function fetchOnce(url: string, timeoutMs?: number): Promise<unknown> {
  const remote = new RemoteKeys({ url, timeoutMs });
  return await remote.fetch() ?? remote.keys.map(({ kid }) => kid);
}

Deno.test("gives up on an issuer that does not answer, or not to the end", async () => {
  await using issuer = new Issuer();
  const release = Promise.withResolvers<void>();
  issuer.answer = async () => {
    await release.promise;
    return new Response();
  };
  assert.equal(await fetchOnce(issuer.url, 50), "no complete answer within 50 ms");
  release.resolve();
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  const begun = new TextEncoder().encode('{"keys":[');
  issuer.answer = () =>
    new Response(
      new ReadableStream({
        start: (controller) => {
          body = controller;
          controller.enqueue(begun);
        },
        cancel: () => {},
      }),
    );
  // Until there is time enough for an answer to begin.
  for (let ms = 50; body === undefined; ms *= 2) {
    assert.equal(await fetchOnce(issuer.url, ms), `no complete answer within ${ms} ms`);
  }
});

Deno.test("does not follow a redirect, not even to good keys", async () => {
  await using issuer = new Issuer();
  issuer.answer = ({ url }) =>
    url.endsWith("/keys")
      ? Response.redirect(url.replace("/keys", "/good"), 302)
      : Response.json({ keys: [published(OLD, "old")] });
  assert.equal(await fetchOnce(issuer.url), "the issuer answered with status 302");
  assert.equal(issuer.requests, 1);
});

Deno.test("reads 256 KiB and not a byte more, and nothing compressed", async () => {
  await using issuer = new Issuer();
  const set = JSON.stringify({ keys: [published(OLD, "old")] });
  const sized = (bytes: number) => set + " ".repeat(bytes - set.length);
  issuer.answer = () => new Response(sized(MAX_KEY_SET_SIZE_BYTES));
  assert.deepEqual(await fetchOnce(issuer.url), ["old"]);
  const tooLarge = "the answer is larger than 262144 bytes";
  issuer.answer = () => new Response(sized(MAX_KEY_SET_SIZE_BYTES + 1));
  assert.equal(await fetchOnce(issuer.url), tooLarge);
  const bomb = new Blob([sized(2 ** 24)]).stream().pipeThrough(new CompressionStream("gzip"));
  const small = await new Response(bomb).arrayBuffer();
  assert.ok(small.byteLength < MAX_KEY_SET_SIZE_BYTES);
  issuer.answer = () => new Response(small, { headers: { "content-encoding": "gzip" } });
  assert.equal(await fetchOnce(issuer.url), "the answer is compressed, which was not asked for");
});

Deno.test("refuses answers that are no key set, or have no key that is sound", async () => {
  await using issuer = new Issuer();
  const secret = makeKey("HS256");
  const none = "the answer has no public key for signatures";
  const answers: [unknown, string][] = [
    ["<html>", "the answer is not a JWK Set (not JSON)"],
    ["", "the answer is not a JWK Set (not JSON)"],
    ["[]", "the answer is not a JWK Set (not a JSON object)"],
    ['{"keys":[],"keys":[]}', "the answer is not a JWK Set (a name occurs twice)"],
    ["\xff", "the answer is not a JWK Set (not JSON)"],
    [{}, "the answer cannot be used: it is not a JWK Set"],
    [{ keys: "x" }, "the answer cannot be used: it is not a JWK Set"],
    [{ keys: Array(65).fill({}) }, "the answer cannot be used: it has 65 keys, at most 64 are accepted"],
    [{ keys: [] }, none],
    [{ keys: [null, 1, "x", [], {}] }, `${none} (key 1: it is not an object)`],
    // What everybody can read is no secret.
    [{ keys: [toJwk(secret.privateKey, { alg: "HS256", kid: "s" })] }, none],
    [{ keys: [toJwk(OLD.privateKey, { kid: "p" })] }, none],
    [
      { keys: [{ kty: "RSA", n: "AQAB", e: "AQAB", kid: "a" }] },
      `${none} (key 1 ("a"): its modulus has 17 bits, at least 2048 are needed)`,
    ],
    [{ keys: [{ ...published(OLD, "old"), alg: "none" }] }, none],
    [{ keys: [{ ...published(OLD, "old"), use: "enc" }] }, none],
  ];
  for (const [answer, expected] of answers) {
    const text = typeof answer === "string" ? answer : JSON.stringify(answer);
    issuer.answer = () => new Response(text);
    assert.equal(await fetchOnce(issuer.url), expected, text);
  }
  // One bad key does not cost the good ones.
  issuer.publish(toJwk(secret.privateKey, { kid: "s" }), { kty: "RSA" }, published(OLD, "old"));
  assert.deepEqual(await fetchOnce(issuer.url), ["old"]);
  const outcomes: unknown[] = [];
  await new RemoteKeys({ url: issuer.url, onFetch: (outcome) => outcomes.push(outcome) }).fetch();
  assert.deepEqual(outcomes, [{ keys: 1, ignored: 2, fault: "key 2: it is not a valid RSA key" }]);
});

Deno.test("says that an issuer cannot be reached, and how to permit it", async () => {
  const { port } = await (async () => {
    using free = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    return await Promise.resolve(free.addr);
  })();
  assert.match(String(await fetchOnce(`http://127.0.0.1:${port}/`)), /^the issuer cannot be reached \(.*\)$/);

  const module = new URL("../../src/auth/remote_keys.ts", import.meta.url).href;
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      program,
      `import { RemoteKeys } from ${JSON.stringify(module)};
       for (const url of ["https://id.example/keys", "http://localhost:99/keys"]) {
         console.log(await new RemoteKeys({ url }).fetch());
       }`,
    );
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", `--config=${config}`, program],
    }).output();
    assert.equal(
      new TextDecoder().decode(stdout),
      "permission was not granted; run with --allow-net=id.example:443\n" +
        "permission was not granted; run with --allow-net=localhost:99\n",
    );
  } finally {
    await Deno.remove(program);
  }
});

Deno.test("reads the key file again at a reload, and keeps the old keys if that fails", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.chmod(path, 0o600);
    const write = (key: ForeignKey, kid: string) =>
      Deno.writeTextFile(path, JSON.stringify(toJwk(key.privateKey, { kid })));
    await write(OLD, "old");
    const ring = await openKeyRing({ keyFile: path });
    const verifier = createVerifier(ring);
    assert.equal((await verifier.verify(tokenOf(OLD, "old"))).ok, true);

    await Deno.writeTextFile(path, "nonsense!");
    assert.match(String(await ring.reload()), /^Cannot use key file ".*": it is not a key/);
    assert.equal((await verifier.verify(tokenOf(OLD, "old"))).ok, true);

    await write(NEW, "new");
    assert.equal(await ring.reload(), undefined);
    assert.equal((await verifier.verify(tokenOf(OLD, "old"))).ok, false);
    assert.equal((await verifier.verify(tokenOf(NEW, "new"))).ok, true);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("uses the key file besides the issuer, and refuses to start without either", async () => {
  await using issuer = new Issuer();
  issuer.publish(published(OLD, "old"));
  const path = await Deno.makeTempFile();
  try {
    await Deno.chmod(path, 0o600);
    const alg: Algorithm = "HS512";
    const own = makeKey(alg);
    await Deno.writeTextFile(path, JSON.stringify(toJwk(own.privateKey, { alg })));
    const verifier = createVerifier(await openKeyRing({ keyFile: path, jwksUrl: issuer.url }));
    assert.equal((await verifier.verify(tokenOf(own))).ok, true);
    assert.equal((await verifier.verify(tokenOf(OLD, "old"))).ok, true);
  } finally {
    await Deno.remove(path);
  }
  await assert.rejects(openKeyRing({ keyFile: path }), /it does not exist/);
});
