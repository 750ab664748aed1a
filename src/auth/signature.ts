// Whether a token was signed with a key (RFC 7515 §5.2), by the runtime's own cryptography.
//
// The library that makes tokens would parse the header again, with `JSON.parse`, which a sender can slow down.

import { decodeBase64url } from "./base64url.ts";
import type { Algorithm } from "./jwk.ts";

/** Verifies the signature of a token in its compact form, with a key for `alg`; off the main thread. */
export async function isSignedWith(alg: Algorithm, key: CryptoKey, token: string): Promise<boolean> {
  const end = token.lastIndexOf(".");
  const signature = decodeBase64url(token.slice(end + 1));
  if (signature === undefined) return false;
  try {
    return await crypto.subtle.verify(
      paramsOf(alg),
      key,
      signature,
      new TextEncoder().encode(token.slice(0, end)),
    );
  } catch (error) {
    // The signature has a wrong size; every other error is a fault of ours.
    if (error instanceof DOMException && error.name === "OperationError") return false;
    throw error;
  }
}

/** RFC 7518 §3.2 to §3.5, RFC 8037 §3.1; the hash of HMAC and RSA is a property of the key. */
function paramsOf(alg: Algorithm): AlgorithmIdentifier | RsaPssParams | EcdsaParams {
  const bits = Number(alg.slice(2));
  switch (alg.slice(0, 2)) {
    case "HS":
      return "HMAC";
    case "RS":
      return "RSASSA-PKCS1-v1_5";
    case "PS":
      return { name: "RSA-PSS", saltLength: bits / 8 };
    case "ES":
      return { name: "ECDSA", hash: `SHA-${bits}` };
    default:
      return "Ed25519";
  }
}
