// Makes random keys, with a name, as JWK.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { calculateJwkThumbprint, type JWK } from "jose";
import { type Algorithm, ALGORITHMS } from "./jwk.ts";

/** A key that was just made. */
export interface NewKey {
  readonly kid: string;
  /** The secret or private key as a JWK (RFC 7517 §4), with a line break at its end. Must not be readable by others. */
  readonly privateText: string;
  /** The public half as a JWK Set (RFC 7517 §5); undefined for a secret, which has none. */
  readonly publicText: string | undefined;
}

/** Larger than required: 2048 bits count as enough only until 2030. */
const NEW_RSA_BITS = 3072;

/**
 * Makes a key for `alg`. Without `kid`, its name is the thumbprint of its public half (RFC 7638), or random for a
 * secret, because a thumbprint would reveal something about it (RFC 7638 §7).
 */
export async function generateKey(alg: Algorithm, kid?: string): Promise<NewKey> {
  const rule = ALGORITHMS[alg];
  if ("hmac" in rule) {
    const name = kid ?? randomBytes(16).toString("base64url");
    const k = randomBytes(rule.hmac.sizeBytes).toString("base64url");
    return {
      kid: name,
      privateText: toText({ kty: "oct", kid: name, alg, use: "sig", k }),
      publicText: undefined,
    };
  }
  const { publicKey, privateKey } = generatePair(rule);
  const publicMembers = publicKey.export({ format: "jwk" }) as JWK;
  const name = kid ?? await calculateJwkThumbprint(publicMembers);
  const about = { kid: name, alg, use: "sig" };
  return {
    kid: name,
    privateText: toText({ ...privateKey.export({ format: "jwk" }), ...about }),
    publicText: toText({ keys: [{ ...publicMembers, ...about }] }),
  };
}

function generatePair(rule: { readonly kty: "RSA" | "EC" | "OKP"; readonly crv?: string }) {
  if (rule.kty === "RSA") return generateKeyPairSync("rsa", { modulusLength: NEW_RSA_BITS });
  if (rule.crv === undefined || rule.kty === "OKP") return generateKeyPairSync("ed25519");
  return generateKeyPairSync("ec", { namedCurve: rule.crv });
}

function toText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
