// Signs tokens with the server's own key, valid or not (RFC 7515 §5.1).

import { createPublicKey } from "node:crypto";
import { encodeBase64url } from "../../auth/base64url.ts";
import type { Algorithm } from "../../auth/jwk.ts";
import { loadKeys } from "../../auth/key_file.ts";
import { mintToken } from "../../auth/token.ts";
import { StartError } from "../../core/errors.ts";
import type { Forge } from "./options.ts";

/** The key, and what valid tokens hold. */
export interface ForgeOptions {
  readonly keyFile: string;
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  readonly tokenType: string | undefined;
}

const USER = "wsward-selftest";

/** Loads the key file. Throws {@linkcode StartError} if it can't be used, or holds only public keys. */
export async function openForge({ keyFile, issuer, audience, tokenType }: ForgeOptions): Promise<Forge> {
  const { signer } = await loadKeys(keyFile);
  const signingKey = signer?.signingKey;
  if (signer === undefined || signingKey === undefined) {
    throw new StartError(`Cannot sign with key file ${JSON.stringify(keyFile)}: its keys are public`);
  }
  const wanted = {
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience.length === 0 ? {} : { aud: audience }),
  };
  return {
    alg: signer.alg,
    publicPem: await readPublicPem(keyFile),
    async make(header, claims) {
      const named = {
        ...(signer.kid === undefined ? {} : { kid: signer.kid }),
        ...header,
        typ: tokenType ?? "JWT",
      };
      const parts = [named, { ...wanted, ...claims }].map((part) => encodeText(JSON.stringify(part)));
      const input = new TextEncoder().encode(parts.join("."));
      const signature = await crypto.subtle.sign(paramsOf(signer.alg), signingKey, input);
      return `${parts.join(".")}.${encodeBase64url(new Uint8Array(signature))}`;
    },
    valid: (lifetimeMs) =>
      mintToken(signer, { user: USER, expiresInMs: lifetimeMs, claims: {}, issuer, audience, tokenType }),
  };
}

function encodeText(text: string): string {
  return encodeBase64url(new TextEncoder().encode(text));
}

function paramsOf(alg: Algorithm): AlgorithmIdentifier | RsaPssParams | EcdsaParams {
  const hash = `SHA-${alg.slice(2)}`;
  switch (alg.slice(0, 2)) {
    case "HS":
      return "HMAC";
    case "RS":
      return "RSASSA-PKCS1-v1_5";
    case "PS":
      return { name: "RSA-PSS", saltLength: Number(alg.slice(2)) / 8 };
    case "ES":
      return { name: "ECDSA", hash };
    default:
      return "Ed25519";
  }
}

/** The public key in PEM; undefined for a secret. */
async function readPublicPem(keyFile: string): Promise<string | undefined> {
  const text = await Deno.readTextFile(keyFile);
  try {
    const parsed: unknown = text.trimStart().startsWith("{") ? JSON.parse(text) : undefined;
    const jwk = (parsed as { keys?: readonly unknown[] } | undefined)?.keys?.[0] ?? parsed;
    const key = jwk === undefined
      ? createPublicKey(text)
      : createPublicKey({ key: jwk as never, format: "jwk" });
    return key.export({ type: "spki", format: "pem" }).toString();
  } catch {
    // The library has no one error for a text that is no key pair, and a secret has no public key.
    return undefined;
  }
}
