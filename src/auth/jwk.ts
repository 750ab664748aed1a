// One key, as RFC 7517 writes it: which algorithm it is for, whether it is strong enough, and its import.

import type { JsonWebKey } from "node:crypto";
import type { JWK } from "jose";
import { latin1 } from "../core/latin1.ts";
import { decodeBase64url } from "./base64url.ts";

interface AlgorithmRule {
  readonly kty: "oct" | "RSA" | "EC" | "OKP";
  readonly crv?: string;
  /** The hash of an HMAC, and its size in bytes, which the secret must have at least (RFC 7518 §3.2). */
  readonly hmac?: { readonly hash: string; readonly sizeBytes: number };
}

/** The signature algorithms that exist here (RFC 7518 §3.1, RFC 8037 §3.1). The first of a kind is its default. */
export const ALGORITHMS = {
  HS256: { kty: "oct", hmac: { hash: "SHA-256", sizeBytes: 32 } },
  HS384: { kty: "oct", hmac: { hash: "SHA-384", sizeBytes: 48 } },
  HS512: { kty: "oct", hmac: { hash: "SHA-512", sizeBytes: 64 } },
  RS256: { kty: "RSA" },
  RS384: { kty: "RSA" },
  RS512: { kty: "RSA" },
  PS256: { kty: "RSA" },
  PS384: { kty: "RSA" },
  PS512: { kty: "RSA" },
  ES256: { kty: "EC", crv: "P-256" },
  ES384: { kty: "EC", crv: "P-384" },
  ES512: { kty: "EC", crv: "P-521" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
} as const satisfies Record<string, AlgorithmRule>;

/** The name of a signature algorithm, as in the header parameter `alg`. */
export type Algorithm = keyof typeof ALGORITHMS;

/** Whether `value` names one of {@linkcode ALGORITHMS}; `none` is not among them. */
export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === "string" && Object.hasOwn(ALGORITHMS, value);
}

/** One key for one algorithm (RFC 8725 §3.1). What is secret about it can't be printed, logged or exported. */
export interface Key {
  readonly alg: Algorithm;
  /** What tokens call it in their header; undefined for a key without a name. */
  readonly kid: string | undefined;
  /** The public key, or the secret of an HMAC; for `src/auth` only. */
  readonly verifyingKey: CryptoKey;
  /** The private key, or the secret of an HMAC; undefined for a key that can only verify. For `src/auth` only. */
  readonly signingKey: CryptoKey | undefined;
}

/** Why a key is not used. `isForeign`: nothing is wrong with it, but it is for something else (RFC 7517 §5). */
export interface UnusableKey {
  readonly fault: string;
  readonly isForeign: boolean;
}

/** How many bits the modulus of an RSA key has at least (RFC 7518 §3.3). */
export const MIN_RSA_BITS = 2048;

/** How many bits the modulus of an RSA key has at most: the runtime takes no larger one. */
export const MAX_RSA_BITS = 4096;

/**
 * Imports a JWK. Its member `alg` decides the algorithm; without one, its curve does, and an RSA key is for RS256 and a
 * secret for HS256. Members that say where else to find a key (`x5u`, `x5c`) are ignored. Never rejects, and never
 * answers with any of the key.
 */
export async function importKey(jwk: Readonly<Record<string, unknown>>): Promise<Key | UnusableKey> {
  const { kid } = jwk;
  const alg = algorithmOf(jwk);
  if (typeof alg !== "string") return alg;
  if (kid !== undefined && (typeof kid !== "string" || !/^\P{C}{1,256}$/u.test(kid))) {
    return faulty("its kid is not 1 to 256 visible characters");
  }
  return ALGORITHMS[alg].kty === "oct" ? await importSecret(jwk, alg, kid) : await importPair(jwk, alg, kid);
}

/** Whether importing gave no key. */
export function isUnusable(key: Key | UnusableKey): key is UnusableKey {
  return "fault" in key;
}

function algorithmOf(jwk: Readonly<Record<string, unknown>>): Algorithm | UnusableKey {
  const { kty, crv, alg, use, key_ops: operations } = jwk;
  if (use !== undefined && use !== "sig") return foreign("it is not for signatures");
  if (operations !== undefined && !(Array.isArray(operations) && operations.some(isSigning))) {
    return foreign("it is not for signatures");
  }
  if (alg !== undefined && !isAlgorithm(alg)) return foreign("its algorithm is not supported");
  const fits = (name: string) => {
    const rule: AlgorithmRule = ALGORITHMS[name as Algorithm];
    return rule.kty === kty && (rule.crv === undefined || rule.crv === crv);
  };
  const usual = Object.keys(ALGORITHMS).find(fits) as Algorithm | undefined;
  if (usual === undefined) return foreign("its type or curve is not supported");
  if (alg !== undefined && !fits(alg)) return faulty("its algorithm contradicts its type or curve");
  return alg ?? usual;
}

function isSigning(operation: unknown): boolean {
  return operation === "verify" || operation === "sign";
}

async function importSecret(
  jwk: Readonly<Record<string, unknown>>,
  alg: Algorithm,
  kid: string | undefined,
): Promise<Key | UnusableKey> {
  const { hmac }: AlgorithmRule = ALGORITHMS[alg];
  const secret = typeof jwk.k === "string" ? decodeBase64url(jwk.k) : undefined;
  if (hmac === undefined || secret === undefined) return faulty("its secret is not base64url");
  if (secret.length < hmac.sizeBytes) {
    return faulty(`its secret has ${secret.length} bytes, at least ${hmac.sizeBytes} are needed for ${alg}`);
  }
  if (await isPublishedKey(secret)) return faulty("its secret is itself a key in PEM, DER or JSON");
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: hmac.hash }, false, [
    "sign",
    "verify",
  ]);
  return { alg, kid, verifyingKey: key, signingKey: key };
}

/** Whether a secret is the file of a key for something else: everybody knows a public key (RFC 8725 §2.1). */
async function isPublishedKey(secret: Uint8Array): Promise<boolean> {
  if (/-----BEGIN |^ssh-|^ecdsa-|"kty"\s*:/.test(latin1(secret))) return true;
  if (secret[0] !== DER_SEQUENCE) return false;
  const [{ Buffer }, { createPublicKey }] = await Promise.all([import("node:buffer"), import("node:crypto")]);
  return (["spki", "pkcs1"] as const).some((type) => {
    try {
      createPublicKey({ key: Buffer.from(secret), format: "der", type });
      return true;
    } catch {
      return false;
    }
  });
}

/** What a key in DER begins with (ITU-T X.690 §8.9). */
const DER_SEQUENCE = 0x30;

const PUBLIC_MEMBERS = ["kty", "crv", "x", "y", "n", "e"];
const PRIVATE_MEMBERS = [...PUBLIC_MEMBERS, "d", "p", "q", "dp", "dq", "qi"];

async function importPair(
  jwk: Readonly<Record<string, unknown>>,
  alg: Algorithm,
  kid: string | undefined,
): Promise<Key | UnusableKey> {
  if (jwk.kty === "RSA") {
    const fault = rsaFault(jwk);
    if (fault !== undefined) return faulty(fault);
  }
  try {
    // The runtime's Web Crypto takes points that are not on their curve.
    const { createPublicKey } = await import("node:crypto");
    createPublicKey({ key: pick(jwk, PUBLIC_MEMBERS) as JsonWebKey, format: "jwk" });
    const verifyingKey = await importHalf(pick(jwk, PUBLIC_MEMBERS), alg);
    if (!Object.hasOwn(jwk, "d")) return { alg, kid, verifyingKey, signingKey: undefined };
    const signingKey = await importHalf(pick(jwk, PRIVATE_MEMBERS), alg);
    // Tokens would be signed that nobody can verify.
    if (!await isPair(alg, signingKey, verifyingKey)) return faulty("its halves do not belong together");
    return { alg, kid, verifyingKey, signingKey };
  } catch {
    return faulty(`it is not a valid ${jwk.kty} key`);
  }
}

function pick(jwk: Readonly<Record<string, unknown>>, members: readonly string[]): JWK {
  return Object.fromEntries(Object.entries(jwk).filter(([member]) => members.includes(member)));
}

async function importHalf(jwk: JWK, alg: Algorithm): Promise<CryptoKey> {
  const { importJWK } = await import("jose");
  const key = await importJWK(jwk, alg, { extractable: false });
  if (key instanceof Uint8Array) throw new TypeError("Cannot import a key pair: it is a secret");
  return key;
}

async function isPair(alg: Algorithm, signingKey: CryptoKey, verifyingKey: CryptoKey): Promise<boolean> {
  const { CompactSign, compactVerify } = await import("jose");
  const sample = await new CompactSign(new Uint8Array(1)).setProtectedHeader({ alg }).sign(signingKey);
  return await compactVerify(sample, verifyingKey, { algorithms: [alg] }).then(() => true, () => false);
}

function rsaFault({ n, e }: Readonly<Record<string, unknown>>): string | undefined {
  const modulus = typeof n === "string" ? decodeBase64url(n) : undefined;
  const exponent = typeof e === "string" ? decodeBase64url(e) : undefined;
  if (modulus === undefined || exponent === undefined) return "it is not a valid RSA key";
  const bits = BigInt(`0x0${modulus.toHex()}`).toString(2).length;
  if (bits < MIN_RSA_BITS) return `its modulus has ${bits} bits, at least ${MIN_RSA_BITS} are needed`;
  if (bits > MAX_RSA_BITS) return `its modulus has ${bits} bits, at most ${MAX_RSA_BITS} are accepted`;
  const power = BigInt(`0x0${exponent.toHex()}`);
  // With the exponent 1 anybody can write a signature; a huge one makes each verification slow.
  if (power < 3n || power % 2n === 0n || power >= 2n ** 32n) return "its public exponent is not sound";
  return undefined;
}

function faulty(fault: string): UnusableKey {
  return { fault, isForeign: false };
}

function foreign(fault: string): UnusableKey {
  return { fault, isForeign: true };
}
