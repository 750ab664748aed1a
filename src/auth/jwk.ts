// Imports one key from a JWK (RFC 7517): finds its algorithm, and checks that it is strong enough.

import type { JsonWebKey } from "node:crypto";
import type { JWK } from "jose";
import { latin1 } from "../core/latin1.ts";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { ecFault, ed25519Fault, rsaFault } from "./weak_key.ts";

interface AlgorithmRule {
  readonly kty: "oct" | "RSA" | "EC" | "OKP";
  readonly crv?: string;
  /** The hash of an HMAC, and its size in bytes, which is the least for a secret (RFC 7518 §3.2). */
  readonly hmac?: { readonly hash: string; readonly sizeBytes: number };
}

/**
 * The supported signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). The first of a kind is its default.
 */
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
  Ed25519: { kty: "OKP", crv: "Ed25519" },
} as const satisfies Record<string, AlgorithmRule>;

/** The name of a signature algorithm, as in the header parameter `alg`. */
export type Algorithm = keyof typeof ALGORITHMS;

/** Whether `value` names one of {@linkcode ALGORITHMS}; `none` is not among them. */
export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === "string" && Object.hasOwn(ALGORITHMS, value);
}

/** One key (RFC 8725 §3.1). Its secret part can't be printed, logged or exported. */
export interface Key {
  /** What it signs with. */
  readonly alg: Algorithm;
  /** Its name in the headers of tokens; undefined for a key without a name. */
  readonly kid: string | undefined;
  /**
   * The public key, or the secret of an HMAC, by each algorithm that it verifies: `alg`, both names of Ed25519, or all
   * RSA algorithms if the key names none. For `src/auth` only.
   */
  readonly verifyingKeys: ReadonlyMap<Algorithm, CryptoKey>;
  /** The private key, or the secret of an HMAC; undefined for a key that can only verify. For `src/auth` only. */
  readonly signingKey: CryptoKey | undefined;
}

/** Why a key is not used. `isForeign`: it is right, but for something else (RFC 7517 §5). */
export interface UnusableKey {
  readonly fault: string;
  readonly isForeign: boolean;
}

/**
 * Imports a JWK. Its member `alg` decides the algorithm; without one, its curve does, a secret is for HS256, and an RSA
 * key signs with RS256 and verifies RS256, RS384, RS512, PS256, PS384 and PS512. An Ed25519 key verifies that algorithm
 * under both of its names. A null member counts as absent, and numbers may be padded. Members that say where else to
 * find a key (`x5u`, `x5c`) are ignored. Results never hold any part of the key.
 */
export async function importKey(given: Readonly<Record<string, unknown>>): Promise<Key | UnusableKey> {
  const jwk = normalize(given);
  const { kid } = jwk;
  const algorithms = algorithmsOf(jwk);
  if ("fault" in algorithms) return algorithms;
  if (kid !== undefined && (typeof kid !== "string" || !/^\P{C}{0,256}$/u.test(kid))) {
    return faulty("its kid is not up to 256 visible characters");
  }
  return jwk.kty === "oct"
    ? await importSecret(jwk, algorithms, kid)
    : await importPair(jwk, algorithms, kid);
}

/** The members that are numbers: some libraries write them with padding, or with the zero byte of a signed integer. */
const NUMBERS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

function normalize(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const members = Object.entries(given).filter(([, value]) => value !== null);
  return Object.fromEntries(members.map(([name, value]) => {
    if (typeof value !== "string" || !["x", "y", "k", ...NUMBERS].includes(name)) return [name, value];
    const text = value.replace(/={1,2}$/, "");
    // The private number of an elliptic curve has a fixed length, with its zeros.
    if (given.kty !== "RSA" || !NUMBERS.includes(name)) return [name, text];
    const bytes = decodeBase64url(text);
    const start = bytes?.findIndex((byte) => byte !== 0) ?? -1;
    return [name, bytes === undefined || start < 1 ? text : encodeBase64url(bytes.subarray(start))];
  }));
}

/** Whether importing gave no key. */
export function isUnusable(key: Key | UnusableKey): key is UnusableKey {
  return "fault" in key;
}

/** The algorithms that the key verifies; the first is the one that it signs with. */
function algorithmsOf(
  jwk: Readonly<Record<string, unknown>>,
): readonly [Algorithm, ...Algorithm[]] | UnusableKey {
  const { kty, crv, alg, use, key_ops: operations } = jwk;
  if (use !== undefined && use !== "sig") return foreign("it is not for signatures");
  if (operations !== undefined && !(Array.isArray(operations) && operations.some(isSigning))) {
    return foreign("it is not for signatures");
  }
  if (alg !== undefined && !isAlgorithm(alg)) return foreign("its algorithm is not supported");
  const [first, ...more] = (Object.keys(ALGORITHMS) as Algorithm[]).filter((name) => {
    const rule: AlgorithmRule = ALGORITHMS[name];
    return rule.kty === kty && (rule.crv === undefined || rule.crv === crv);
  });
  if (first === undefined) return foreign("its type or curve is not supported");
  // Ed25519 is one algorithm with two names. A secret is for one hash only, which decides how long it must be.
  if (alg === undefined) return kty === "oct" ? [first] : [first, ...more];
  if (alg !== first && !more.includes(alg)) return faulty("its algorithm contradicts its type or curve");
  return kty === "OKP" ? [alg, alg === first ? more[0]! : first] : [alg];
}

function isSigning(operation: unknown): boolean {
  return operation === "verify" || operation === "sign";
}

async function importSecret(
  jwk: Readonly<Record<string, unknown>>,
  [alg]: readonly [Algorithm, ...Algorithm[]],
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
  return { alg, kid, verifyingKeys: new Map([[alg, key]]), signingKey: key };
}

/** Whether a secret is really the file of a key, which may be a public one that everybody knows (RFC 8725 §2.1). */
async function isPublishedKey(secret: Uint8Array): Promise<boolean> {
  if (/-----BEGIN |^ssh-|^ecdsa-|"kty"\s*:/.test(latin1(secret))) return true;
  if (secret[0] !== DER_SEQUENCE) return false;
  const [{ Buffer }, { createPublicKey }] = await Promise.all([import("node:buffer"), import("node:crypto")]);
  return (["spki", "pkcs1"] as const).some((type) => {
    try {
      createPublicKey({ key: Buffer.from(secret), format: "der", type });
      return true;
    } catch {
      // It only says that it was given no key, as it should be.
      return false;
    }
  });
}

/** The first byte of a key in DER (ITU-T X.690 §8.9). */
const DER_SEQUENCE = 0x30;

const PUBLIC_MEMBERS = ["kty", "crv", "x", "y", "n", "e"];
const PRIVATE_MEMBERS = [...PUBLIC_MEMBERS, "d", "p", "q", "dp", "dq", "qi"];

async function importPair(
  jwk: Readonly<Record<string, unknown>>,
  algorithms: readonly [Algorithm, ...Algorithm[]],
  kid: string | undefined,
): Promise<Key | UnusableKey> {
  const [alg] = algorithms;
  const fault = weakness(jwk);
  if (fault !== undefined) return faulty(fault);
  const publicHalf = pick(jwk, PUBLIC_MEMBERS);
  if (!await isPublicKey(publicHalf)) return faulty(`it is not a valid ${jwk.kty} key`);
  const verifyingKeys = new Map<Algorithm, CryptoKey>();
  for (const name of algorithms) verifyingKeys.set(name, await importHalf(publicHalf, name));
  if (!Object.hasOwn(jwk, "d")) return { alg, kid, verifyingKeys, signingKey: undefined };
  let signingKey: CryptoKey;
  try {
    signingKey = await importHalf(pick(jwk, PRIVATE_MEMBERS), alg);
    // Otherwise tokens would be signed that nobody can verify.
    if (!await isPair(alg, signingKey, verifyingKeys.get(alg)!)) {
      return faulty("its halves do not belong together");
    }
  } catch {
    // The public half was right, so whatever this import throws is about the private half.
    return faulty(`it is not a valid ${jwk.kty} key`);
  }
  return { alg, kid, verifyingKeys, signingKey };
}

/** Whether a public key is valid; the runtime's Web Crypto would accept points that are not on their curve. */
async function isPublicKey(jwk: JWK): Promise<boolean> {
  const { createPublicKey } = await import("node:crypto");
  try {
    createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    return true;
  } catch {
    // It only says that the key is wrong, with errors of several classes.
    return false;
  }
}

/** What is weak about a public key. */
function weakness(jwk: Readonly<Record<string, unknown>>): string | undefined {
  const number = (name: string) => typeof jwk[name] === "string" ? decodeBase64url(jwk[name]) : undefined;
  const [n, e, x] = [number("n"), number("e"), number("x")];
  if (jwk.kty === "RSA" && n && e) return rsaFault(n, e);
  if (jwk.kty === "EC" && x) return ecFault(String(jwk.crv), x);
  if (jwk.kty === "OKP" && x) return ed25519Fault(x);
  return `it is not a valid ${jwk.kty} key`;
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

function faulty(fault: string): UnusableKey {
  return { fault, isForeign: false };
}

function foreign(fault: string): UnusableKey {
  return { fault, isForeign: true };
}
