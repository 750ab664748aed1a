// Keys and tokens made by hand with node:crypto, which shares no code with the library that verifies them.

import { Buffer } from "node:buffer";
import {
  constants,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import type { Algorithm } from "../../src/auth/jwk.ts";

/** A key pair, or a secret that is both of its halves. */
export interface ForeignKey {
  readonly alg: Algorithm;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Makes a new key. */
export function makeKey(alg: Algorithm): ForeignKey {
  if (alg.startsWith("HS")) {
    const secret = createSecretKey(randomBytes(Number(alg.slice(2)) / 8));
    return { alg, publicKey: secret, privateKey: secret };
  }
  return { alg, ...makePair(alg) };
}

function makePair(alg: Algorithm) {
  switch (alg) {
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "ES384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "ES512":
      return generateKeyPairSync("ec", { namedCurve: "P-521" });
    case "EdDSA":
    case "Ed25519":
      return generateKeyPairSync("ed25519");
    default:
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
  }
}

/** A half of a key as JWK, with more members. */
export function toJwk(key: KeyObject, members: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...key.export({ format: "jwk" }), ...members };
}

/** Signs any header and claims; `alg` is in the header unless `header` says otherwise. */
export function makeToken(
  key: ForeignKey,
  claims: Record<string, unknown> = { user_id: "alice", exp: 4e9 },
  header: Record<string, unknown> = {},
): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const input = `${encode({ alg: key.alg, typ: "JWT", ...header })}.${encode(claims)}`;
  return `${input}.${signatureOf(key, Buffer.from(input)).toString("base64url")}`;
}

function signatureOf({ alg, privateKey }: ForeignKey, input: Buffer): Buffer {
  const hash = `sha${alg.slice(2)}`;
  switch (alg.slice(0, 2)) {
    case "HS":
      return createHmac(hash, privateKey).update(input).digest();
    case "ES":
      return sign(hash, input, { key: privateKey, dsaEncoding: "ieee-p1363" });
    case "Ed":
      return sign(null, input, privateKey);
    case "PS": {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return sign(hash, input, { key: privateKey, padding, saltLength: Number(alg.slice(2)) / 8 });
    }
    default:
      return sign(hash, input, privateKey);
  }
}
