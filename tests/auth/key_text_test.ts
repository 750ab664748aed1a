// Keys in every form that a key file may have, and what is refused.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSecretKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type Algorithm, ALGORITHMS } from "../../src/auth/jwk.ts";
import { KeySet, MAX_KEYS, MAX_TRIES } from "../../src/auth/key_set.ts";
import { parseKeys, type SecretEncoding } from "../../src/auth/key_text.ts";
import { createVerifier, mintToken } from "../../src/auth/token.ts";
import { type ForeignKey, makeKey, makeToken, toJwk } from "./foreign.ts";

const KEYS = Object.fromEntries(
  Object.keys(ALGORITHMS).map((alg) => [alg, makeKey(alg as Algorithm)]),
) as Record<Algorithm, ForeignKey>;

async function load(text: string): Promise<KeySet> {
  const read = await parseKeys(Buffer.from(text));
  assert.ok(typeof read !== "string", String(read));
  return new KeySet(read.keys);
}

async function fault(content: unknown): Promise<string> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const keys = await parseKeys(Buffer.from(text));
  assert.ok(typeof keys === "string", "the text was accepted");
  return keys;
}

async function judge(keys: KeySet, token: string): Promise<string> {
  const verification = await createVerifier(keys).verify(token);
  return verification.ok ? verification.identity.user : verification.detail;
}

function pem(key: KeyObject, type: "spki" | "pkcs1" | "pkcs8" | "sec1"): string {
  return String(key.export({ type, format: "pem" }));
}

for (const key of Object.values(KEYS)) {
  Deno.test(`verifies and signs ${key.alg} with a JWK, as node:crypto does`, async () => {
    const { alg } = key;
    const publicKeys = await load(JSON.stringify(toJwk(key.publicKey, { alg, kid: "k1", use: "sig" })));
    assert.equal(await judge(publicKeys, makeToken(key)), "alice");
    assert.equal(await judge(publicKeys, makeToken(key, undefined, { kid: "k1" })), "alice");
    assert.equal(await judge(publicKeys, makeToken(key, undefined, { kid: "k2" })), "key id is unknown");
    assert.equal(publicKeys.signer === undefined, !alg.startsWith("HS"));

    const privateKeys = await load(JSON.stringify({ keys: [toJwk(key.privateKey, { alg, kid: "k1" })] }));
    const options = { user: "bob", expiresInMs: 60_000, claims: {} };
    const token = await mintToken(privateKeys.signer!, options);
    assert.equal(await judge(publicKeys, token), "bob");
    const header = JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString());
    assert.deepEqual(header, { alg, typ: "JWT", kid: "k1" });
    if (publicKeys.signer === undefined) {
      await assert.rejects(mintToken(publicKeys.keys[0]!, options), /the key is public/);
    }
  });
}

Deno.test("one key is for one algorithm: a token of any other is refused, whatever its signature", async () => {
  for (const own of Object.values(KEYS)) {
    const keys = await load(JSON.stringify(toJwk(own.publicKey, { alg: own.alg })));
    for (const other of Object.values(KEYS)) {
      if (other.alg === own.alg || [own, other].every(({ alg }) => alg.startsWith("Ed"))) continue;
      assert.equal(await judge(keys, makeToken(other)), "algorithm is not that of a key");
    }
  }
});

Deno.test("a public key is never a secret: a token signed with its bytes is refused", async () => {
  for (const own of [KEYS.RS256, KEYS.ES256, KEYS.EdDSA]) {
    const spki = pem(own.publicKey, "spki");
    const keys = await load(spki);
    for (const bytes of [spki, spki.trim(), own.publicKey.export({ type: "spki", format: "der" })]) {
      const secret = createSecretKey(Buffer.from(bytes));
      const forged = makeToken({ alg: "HS256", publicKey: secret, privateKey: secret });
      assert.equal(await judge(keys, forged), "algorithm is not that of a key");
    }
  }
});

Deno.test("reads PEM in every usual form, and several blocks at once", async () => {
  const forms: [string, ForeignKey][] = [
    [pem(KEYS.RS256.publicKey, "spki"), KEYS.RS256],
    [pem(KEYS.RS256.publicKey, "pkcs1"), KEYS.RS256],
    [pem(KEYS.RS256.privateKey, "pkcs8"), KEYS.RS256],
    [pem(KEYS.RS256.privateKey, "pkcs1"), KEYS.RS256],
    [pem(KEYS.ES256.publicKey, "spki"), KEYS.ES256],
    [pem(KEYS.ES384.privateKey, "sec1"), KEYS.ES384],
    [pem(KEYS.ES512.privateKey, "pkcs8"), KEYS.ES512],
    [pem(KEYS.EdDSA.publicKey, "spki"), KEYS.EdDSA],
    [pem(KEYS.EdDSA.privateKey, "pkcs8"), KEYS.EdDSA],
  ];
  for (const [text, key] of forms) {
    for (const variant of [text, text.replaceAll("\n", "\r\n"), `a comment\n${text}`, text.trim()]) {
      assert.equal(await judge(await load(variant), makeToken(key, undefined, { kid: "any" })), "alice");
    }
  }
  const all = await load(forms.map(([text]) => text).join(""));
  assert.equal(all.keys.length, forms.length);
  for (const [, key] of forms) assert.equal(await judge(all, makeToken(key)), "alice");
  assert.equal(all.signer?.alg, "RS256");
});

Deno.test("reads as many blocks of PEM as a set may have keys, and not one more", async () => {
  const block = pem(KEYS.EdDSA.publicKey, "spki");
  assert.equal((await load(block.repeat(MAX_KEYS))).keys.length, MAX_KEYS);
  assert.equal(
    await parseKeys(new TextEncoder().encode(block.repeat(MAX_KEYS + 1))),
    "it has 65 keys, at most 64 are accepted",
  );
});

Deno.test("an RSA key that names no algorithm is for all of RSA, and signs with RS256", async () => {
  const key = KEYS.RS256;
  for (const text of [JSON.stringify(toJwk(key.publicKey)), pem(key.publicKey, "spki")]) {
    const keys = await load(text);
    for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const) {
      assert.equal(await judge(keys, makeToken({ ...key, alg })), "alice", alg);
    }
  }
});

Deno.test("Ed25519 and EdDSA are one algorithm, whichever the key and the token call it", async () => {
  for (const alg of [undefined, "EdDSA", "Ed25519"]) {
    const keys = await load(JSON.stringify(toJwk(KEYS.EdDSA.publicKey, { alg })));
    for (const name of ["EdDSA", "Ed25519"] as const) {
      assert.equal(await judge(keys, makeToken({ ...KEYS.EdDSA, alg: name })), "alice", `${alg} ${name}`);
    }
  }
});

Deno.test("takes what other libraries write: nulls, an empty kid, padding, a sign byte", async () => {
  const rsa = toJwk(KEYS.RS256.publicKey);
  const signed = Buffer.concat([Buffer.alloc(1), Buffer.from(String(rsa.n), "base64url")]).toString(
    "base64url",
  );
  const ed = toJwk(KEYS.EdDSA.publicKey);
  const cases: [unknown, ForeignKey][] = [
    [{ ...rsa, alg: null, use: null, kid: null, key_ops: null }, KEYS.RS256],
    [{ ...rsa, kid: "" }, KEYS.RS256],
    [{ ...rsa, n: `${rsa.n}==` }, KEYS.RS256],
    [{ ...rsa, n: signed }, KEYS.RS256],
    [{ ...rsa, e: "AAEAAQ" }, KEYS.RS256],
    [{ ...ed, x: `${ed.x}=` }, KEYS.EdDSA],
    [{ ...toJwk(KEYS.RS256.privateKey), n: signed }, KEYS.RS256],
  ];
  for (const [jwk, key] of cases) {
    assert.equal(await judge(await load(JSON.stringify(jwk)), makeToken(key)), "alice", JSON.stringify(jwk));
  }
  const empty = await load(JSON.stringify({ keys: [{ ...ed, kid: "" }] }));
  assert.equal(await judge(empty, makeToken(KEYS.EdDSA, undefined, { kid: "" })), "alice");
});

Deno.test("a byte order mark, indentation and blanks at the end are no part of a key", async () => {
  const secret = createSecretKey(Buffer.alloc(32, 0xfb));
  const ours: ForeignKey = { alg: "HS256", publicKey: secret, privateKey: secret };
  const indented = (text: string) => text.split("\n").map((line) => `  \t${line} `).join("\r\n");
  const cases: [string, ForeignKey][] = [
    [pem(KEYS.ES256.privateKey, "pkcs8"), KEYS.ES256],
    [pem(KEYS.RS256.publicKey, "spki"), KEYS.RS256],
    [JSON.stringify(toJwk(KEYS.EdDSA.publicKey), undefined, 2), KEYS.EdDSA],
    [`${Buffer.alloc(32, 0xfb).toString("base64")}`, ours],
  ];
  for (const [text, key] of cases) {
    for (const variant of [`\ufeff${text}`, indented(text), `\n\n${text}  \t\n \n`]) {
      assert.equal(await judge(await load(variant), makeToken(key)), "alice", variant.slice(0, 40));
    }
  }
  assert.match(await fault(`${"A".repeat(20)} ${"A".repeat(23)}`), /^it is not a key/);
});

Deno.test("reads a secret in the encoding that was said, and doubts base64 that could be hex", async () => {
  const bytes = Buffer.alloc(32, 0xab);
  const read = async (text: string | Uint8Array, encoding?: SecretEncoding) => {
    const found = await parseKeys(Buffer.from(text), encoding);
    if (typeof found === "string") return found;
    const signedBy = async (secret: Uint8Array) => {
      const key = createSecretKey(secret);
      return await judge(
        new KeySet(found.keys),
        makeToken({ alg: "HS256", publicKey: key, privateKey: key }),
      );
    };
    return { doubts: found.doubts.length, signedBy };
  };
  const accepted = async (text: string | Uint8Array, secret: Uint8Array, encoding?: SecretEncoding) => {
    const found = await read(text, encoding);
    assert.ok(typeof found !== "string", String(found));
    assert.equal(await found.signedBy(secret), "alice");
    return found.doubts;
  };
  const hex = bytes.toString("hex");
  assert.equal(await accepted(`${hex}\n`, Buffer.from(hex, "base64")), 1);
  assert.equal(await accepted(hex.toUpperCase(), Buffer.from(hex.toUpperCase(), "base64")), 1);
  assert.equal(await accepted(`${hex.slice(0, 32)}\n${hex.slice(32)}\n`, bytes, "hex"), 0);
  assert.equal(await accepted(hex.toUpperCase(), bytes, "hex"), 0);
  assert.equal(await accepted(bytes.toString("base64url"), bytes), 0);
  assert.equal(await accepted(bytes, bytes, "raw"), 0);
  const text = Buffer.from('{"a secret of text, which is no JSON}\n');
  assert.equal(await accepted(text, text, "raw"), 1);

  assert.match(String(await read("g".repeat(64), "hex")), /^it is not a secret in hex/);
  assert.match(String(await read("a".repeat(63), "hex")), /^it is not a secret in hex/);
  assert.match(String(await read("", "hex")), /^it is not a secret in hex/);
  assert.match(String(await read("ab".repeat(31), "hex")), /^its secret has 31 bytes, at least 32/);
  assert.match(String(await read("x".repeat(31), "raw")), /^its secret has 31 bytes, at least 32/);
  assert.equal(
    await read(pem(KEYS.RS256.publicKey, "spki"), "raw"),
    "its secret is itself a key in PEM, DER or JSON",
  );
});

Deno.test("takes the algorithm from the key where it does not name one", async () => {
  for (const [made, alg] of [["PS512", "RS256"], ["HS512", "HS256"], ["ES512", "ES512"]] as const) {
    const keys = await load(JSON.stringify(toJwk(KEYS[made].publicKey)));
    assert.equal(keys.keys[0]?.alg, alg);
  }
});

Deno.test("skips keys of a set that are for something else, and tells a broken one that it leaves out", async () => {
  const good = toJwk(KEYS.EdDSA.publicKey, { kid: "good" });
  const foreign = [
    toJwk(KEYS.RS256.publicKey, { use: "enc" }),
    toJwk(KEYS.RS256.publicKey, { alg: "RSA-OAEP" }),
    toJwk(KEYS.RS256.publicKey, { key_ops: ["encrypt"] }),
    toJwk(generateKeyPairSync("x25519").publicKey),
    toJwk(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey),
    { kty: "AKP", pub: "AA" },
    {},
  ];
  const keys = await load(JSON.stringify({ keys: [...foreign, good] }));
  assert.deepEqual(keys.keys.map(({ kid }) => kid), ["good"]);
  assert.equal(await fault({ keys: foreign }), "it has no key for signatures");
  assert.equal(await fault({ keys: [] }), "it has no key for signatures");
  const broken = { kty: "oct", k: "AAAA", kid: "short" };
  const read = await parseKeys(Buffer.from(JSON.stringify({ keys: [broken, good, null] })));
  assert.ok(typeof read !== "string");
  assert.deepEqual(read.keys.map(({ kid }) => kid), ["good"]);
  assert.deepEqual(read.doubts, [
    'left out key 1 ("short"): its secret has 3 bytes, at least 32 are needed for HS256',
    "left out key 3: it is not an object",
  ]);
  assert.equal(await fault({ keys: [null, {}] }), "key 1: it is not an object");
  assert.equal(await fault({ keys: {} }), "it is not a JWK Set");
});

Deno.test("refuses secrets that are too short for their hash, at the very byte", async () => {
  for (const [alg, size] of [["HS256", 32], ["HS384", 48], ["HS512", 64]] as const) {
    const jwk = (length: number) => ({ kty: "oct", alg, k: Buffer.alloc(length, 7).toString("base64url") });
    assert.equal((await load(JSON.stringify(jwk(size)))).keys[0]?.alg, alg);
    assert.match(
      await fault(jwk(size - 1)),
      new RegExp(`has ${size - 1} bytes, at least ${size} are needed`),
    );
  }
});

Deno.test("refuses a secret that is a key for something else", async () => {
  const spki = pem(KEYS.RS256.publicKey, "spki");
  const der = KEYS.RS256.publicKey.export({ type: "spki", format: "der" });
  const pkcs1 = KEYS.RS256.publicKey.export({ type: "pkcs1", format: "der" });
  const jwk = JSON.stringify(toJwk(KEYS.EdDSA.publicKey));
  const ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqbXd somebody@somewhere";
  for (const content of [spki, der, pkcs1, jwk, ssh]) {
    const k = Buffer.from(content).toString("base64url");
    assert.equal(await fault({ kty: "oct", k }), "its secret is itself a key in PEM, DER or JSON");
    assert.equal(await fault(k), "its secret is itself a key in PEM, DER or JSON");
  }
});

Deno.test("refuses what is broken, and says what without any of the content", async () => {
  const { x, y, d, ...curve } = toJwk(KEYS.ES256.privateKey);
  const other = toJwk(makeKey("ES256").publicKey);
  const spki = pem(KEYS.RS256.publicKey, "spki");
  const cases: [unknown, RegExp][] = [
    [{ ...curve, x, y, alg: "ES384" }, /^its algorithm contradicts its type or curve$/],
    [{ ...curve, x, y, alg: "HS256" }, /^its algorithm contradicts/],
    [{ ...curve, x, y, alg: "none" }, /^its algorithm is not supported$/],
    [{ ...curve, x, y, alg: 5 }, /^its algorithm is not supported$/],
    [{ ...curve, x, y, kid: 5 }, /^its kid is not/],
    [{ ...curve, x, y, kid: "a\nb" }, /^its kid is not/],
    [{ ...curve, x, y, kid: "x".repeat(257) }, /^its kid is not/],
    [{ ...curve, x, y: x }, /^it is not a valid EC key$/],
    [{ ...curve, x }, /^it is not a valid EC key$/],
    [{ ...curve, x: 1, y }, /^it is not a valid EC key$/],
    [{ ...curve, x: other.x, y: other.y, d }, /^its halves do not belong together$/],
    [{ kty: "OKP", crv: "Ed25519", x: "AA" }, /^it is not a valid OKP key$/],
    [{ kty: "oct", k: "AAA+" }, /^its secret is not base64url$/],
    [{ kty: "oct" }, /^its secret is not base64url$/],
    [{ kty: "RSA", n: "AAAA" }, /^it is not a valid RSA key$/],
    ["{", /^it is not a key \(JSON: not JSON\)$/],
    ['{"kty":"oct","kty":"oct"}', /^it is not a key \(JSON: a name occurs twice\)$/],
    [{ keys: Array(MAX_KEYS + 1).fill({}) }, /^it has 65 keys, at most 64 are accepted$/],
    [spki.slice(0, -30), /^it is not a key \(broken PEM\)$/],
    [spki + spki.slice(0, -30), /^it is not a key \(broken PEM\)$/],
    [spki.replace(/\n.*\n/, "\nAAAA\n"), /^it is not a key \(broken PEM/],
    [spki.replaceAll("PUBLIC KEY", "CERTIFICATE"), /^it is not a key \(PEM "CERTIFICATE"\)$/],
    [spki.replaceAll("PUBLIC KEY", "ENCRYPTED PRIVATE KEY"), /^it is encrypted/],
    [
      pem(KEYS.RS256.privateKey, "pkcs1").replace(
        "\n",
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
      ),
      /^it is encrypted/,
    ],
  ];
  for (const [content, expected] of cases) {
    const text = await fault(content);
    assert.match(text, expected);
    assert.ok(!text.includes(String(d)));
  }
});

Deno.test("a private key can't be exported or seen once it is loaded", async () => {
  const jwk = toJwk(KEYS.ES256.privateKey);
  const { signer } = await load(JSON.stringify(jwk));
  await assert.rejects(crypto.subtle.exportKey("jwk", signer!.signingKey!));
  const shown = Deno.inspect(signer, { depth: 9, showHidden: true }) + JSON.stringify(signer);
  assert.ok(!shown.includes(String(jwk.d)));
});

Deno.test("finds the key by its name, and by its algorithm only where there is no name", async () => {
  const one = makeKey("EdDSA");
  const two = makeKey("EdDSA");
  const keys = await load(JSON.stringify({
    keys: [
      toJwk(one.publicKey, { kid: "one" }),
      toJwk(two.publicKey, { kid: "two" }),
      toJwk(KEYS.ES256.publicKey, { kid: "three" }),
    ],
  }));
  assert.equal(await judge(keys, makeToken(two, undefined, { kid: "two" })), "alice");
  assert.equal(await judge(keys, makeToken(two, undefined, { kid: "one" })), "signature does not match");
  assert.equal(await judge(keys, makeToken(two, undefined, { kid: "Two" })), "key id is unknown");
  assert.equal(
    await judge(keys, makeToken(two, undefined, { kid: "three" })),
    "algorithm is not that of a key",
  );
  assert.equal(await judge(keys, makeToken(two)), "alice");
});

Deno.test("tries 16 keys on a token without a name and no more", async () => {
  const made = Array.from({ length: MAX_TRIES + 1 }, () => makeKey("EdDSA"));
  const keys = await load(JSON.stringify({ keys: made.map(({ publicKey }) => toJwk(publicKey)) }));
  assert.equal(await judge(keys, makeToken(made[MAX_TRIES - 1]!)), "alice");
  assert.equal(await judge(keys, makeToken(made[MAX_TRIES]!)), "signature does not match");
});

Deno.test("never takes a key from a token's header", async () => {
  const stranger = makeKey("ES256");
  const keys = await load(JSON.stringify(toJwk(KEYS.ES256.publicKey, { kid: "ours" })));
  const jwk = toJwk(stranger.publicKey, { kid: "ours" });
  for (
    const header of [
      { jwk },
      { jwk, kid: "ours" },
      { jku: "https://stranger.test/keys", kid: "ours" },
      { x5u: "https://stranger.test/cert", x5c: ["AAAA"], "x5t#S256": "AA" },
    ]
  ) {
    assert.equal(await judge(keys, makeToken(stranger, undefined, header)), "signature does not match");
    assert.equal(await judge(keys, makeToken(KEYS.ES256, undefined, header)), "alice");
  }
});

Deno.test("refuses signatures that careless implementations accept", async () => {
  const zeros = (size: number) => Buffer.alloc(size).toString("base64url");
  const withSignature = (token: string, signature: string) =>
    token.slice(0, token.lastIndexOf(".") + 1) + signature;
  const cases: [key: ForeignKey, signature: string][] = [
    // r = s = 0, and r = s = 1 (CVE-2022-21449).
    [KEYS.ES256, zeros(64)],
    [KEYS.ES256, Buffer.from("01".padStart(64, "0").repeat(2), "hex").toString("base64url")],
    [KEYS.ES512, zeros(132)],
    [KEYS.EdDSA, zeros(64)],
    [KEYS.RS256, zeros(256)],
    [KEYS.RS256, Buffer.alloc(256, 0xff).toString("base64url")],
    [KEYS.PS256, zeros(256)],
    [KEYS.ES256, "AA"],
    [KEYS.EdDSA, "AA"],
    [KEYS.RS256, "AA"],
  ];
  for (const [key, signature] of cases) {
    const keys = await load(JSON.stringify(toJwk(key.publicKey, { alg: key.alg })));
    const detail = await judge(keys, withSignature(makeToken(key), signature));
    assert.equal(detail, "signature does not match", `${key.alg} ${signature.slice(0, 20)}`);
  }
  // DER is not what RFC 7518 §3.4 asks for, though the signature in it is good.
  const token = makeToken(KEYS.ES256);
  const der = sign("sha256", Buffer.from(token.slice(0, token.lastIndexOf("."))), KEYS.ES256.privateKey);
  const keys = await load(pem(KEYS.ES256.publicKey, "spki"));
  assert.equal(
    await judge(keys, withSignature(token, der.toString("base64url"))),
    "signature does not match",
  );
});
