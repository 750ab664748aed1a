// Keys that are well formed, but too weak to be trusted.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { importKey, isUnusable } from "../../src/auth/jwk.ts";
import { makeKey, toJwk } from "./foreign.ts";

async function fault(jwk: Readonly<Record<string, unknown>>): Promise<string> {
  const key = await importKey(jwk);
  return isUnusable(key) ? key.fault : "none";
}

function encode(number: bigint, sizeBytes?: number): string {
  const hex = number.toString(16);
  const even = hex.padStart(2 * (sizeBytes ?? Math.ceil(hex.length / 2)), "0");
  return Buffer.from(even, "hex").toString("base64url");
}

/** A number of that many bits, like a modulus as far as can be seen. */
function modulus(bits: number): bigint {
  for (let number = 2n ** BigInt(bits) - 1n;; number -= 2n) {
    if (PRIMES.every((prime) => number % prime !== 0n) && number % 11n !== 1n) return number;
  }
}

const PRIMES: readonly bigint[] = [
  3n,
  5n,
  7n,
  11n,
  13n,
  17n,
  19n,
  23n,
  29n,
  31n,
  37n,
  41n,
  43n,
  47n,
  53n,
  59n,
  61n,
]
  .concat([
    67n,
    71n,
    73n,
    79n,
    83n,
    89n,
    97n,
    101n,
    103n,
    107n,
    109n,
    113n,
    127n,
    131n,
    137n,
    139n,
    149n,
    151n,
  ])
  .concat([157n, 163n, 167n]);

function rsa(n: bigint, e = 65537n): Record<string, unknown> {
  return { kty: "RSA", n: encode(n), e: encode(e) };
}

Deno.test("refuses RSA keys under 2048 bits and over 4096, at the very bit", async () => {
  assert.equal(await fault(rsa(modulus(2047))), "its modulus has 2047 bits, at least 2048 are needed");
  assert.equal(await fault(rsa(modulus(2048))), "none");
  assert.equal(await fault(rsa(modulus(4096))), "none");
  assert.equal(await fault(rsa(modulus(4097))), "its modulus has 4097 bits, at most 4096 are accepted");
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  assert.match(await fault(toJwk(weak.publicKey)), /1024 bits, at least 2048/);
  assert.match(await fault(toJwk(weak.privateKey)), /1024 bits, at least 2048/);
});

Deno.test("refuses a public exponent that is tiny, even or huge", async () => {
  for (
    const e of [0n, 1n, 2n, 3n, 17n, 65535n, 65536n, 65538n, 2n ** 32n - 2n, 2n ** 32n + 1n, 2n ** 64n + 1n]
  ) {
    assert.match(await fault(rsa(modulus(2048), e)), /^its public exponent is not sound/, String(e));
  }
  for (const e of [65537n, 65539n, 2n ** 32n - 1n]) {
    assert.equal(await fault(rsa(modulus(2048), e)), "none", String(e));
  }
});

Deno.test("refuses a modulus with a small factor", async () => {
  assert.equal(await fault(rsa(2n ** 2047n)), "its modulus has a small factor");
  for (const factor of [3n, 167n]) {
    const n = modulus(2048);
    assert.equal(await fault(rsa(n - n % factor)), "its modulus has a small factor");
  }
});

Deno.test("refuses a modulus of the generator that ROCA is about, and no other", async () => {
  const product = PRIMES.reduce((a, b) => a * b, 2n);
  const power = (exponent: number) => {
    let value = 1n;
    for (let i = 0; i < exponent; i++) value = value * 65537n % product;
    return value;
  };
  for (const exponent of [1, 2, 1000]) {
    const n = 2n ** 2047n - 2n ** 2047n % product + power(exponent) + product;
    assert.match(await fault(rsa(n)), /ROCA/);
    let other = n;
    do other += 2n; while (PRIMES.some((prime) => other % prime === 0n) || [1n, 10n].includes(other % 11n));
    assert.equal(await fault(rsa(other)), "none");
  }
  assert.equal(await fault(toJwk(makeKey("RS256").publicKey)), "none");
});

Deno.test("refuses the points of Ed25519 for which everybody can sign", async () => {
  const p = 2n ** 255n - 19n;
  const order8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
  const base = BigInt(`0x${"66".repeat(31)}58`);
  const ed = (y: bigint) => ({
    kty: "OKP",
    crv: "Ed25519",
    x: Buffer.from(Buffer.from(encode(y, 32), "base64url").toReversed()).toString("base64url"),
  });
  for (const y of [0n, 1n, p - 1n, order8, p - order8, base, p, p + 1n]) {
    for (const sign of [0n, 2n ** 255n]) assert.notEqual(await fault(ed(y + sign)), "none", String(y));
  }
  assert.equal(
    await fault({ kty: "OKP", crv: "Ed25519", x: "A".repeat(43) }),
    "its point is degenerate: everybody can sign for it",
  );
  assert.equal(await fault(ed(2n)), "it is not a valid OKP key");
  assert.equal(await fault(toJwk(makeKey("EdDSA").publicKey)), "none");
});

Deno.test("refuses points off their curve, and those whose private key is 1", async () => {
  for (
    const [crv, alg, size] of [["P-256", "ES256", 32], ["P-384", "ES384", 48], [
      "P-521",
      "ES512",
      66,
    ]] as const
  ) {
    const one = { kty: "EC", crv, x: encode(0n, size), y: encode(0n, size) };
    assert.equal(await fault(one), "it is not a valid EC key");
    assert.equal(await fault(toJwk(makeKey(alg).publicKey)), "none");
    const base = toJwk(createPublicKey(privateKeyOne(crv, size)));
    assert.equal(await fault(base), "its point is degenerate: everybody can sign for it");
  }
});

/** The key whose private number is 1, as SEC 1 writes it. */
function privateKeyOne(crv: "P-256" | "P-384" | "P-521", size: number): KeyObject {
  const oid = { "P-256": "06082a8648ce3d030107", "P-384": "06052b81040022", "P-521": "06052b81040023" }[crv];
  const hex = (number: number) => number.toString(16).padStart(2, "0");
  const body = `02010104${hex(size)}${"00".repeat(size - 1)}01a0${hex(oid.length / 2)}${oid}`;
  const key = Buffer.from(`30${hex(body.length / 2)}${body}`, "hex");
  return createPrivateKey({ key, format: "der", type: "sec1" });
}
