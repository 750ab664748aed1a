// The text of a key file: a secret, PEM, a JWK or a JWK Set.

import { latin1 } from "../core/latin1.ts";
import { importKey, isUnusable, type Key } from "./jwk.ts";
import { MAX_KEYS, readKeySet } from "./key_set.ts";
import { parseStrictJson } from "./strict_json.ts";

const SECRET_TEXT = /^(?:[A-Za-z0-9_-]+|[A-Za-z0-9+/]+)={0,2}$/;
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s[\s\S]*?-----END \1-----/g;
const NOT_A_KEY = "it is not a key (it must be a secret in base64 or base64url, PEM, a JWK or a JWK Set)";

/**
 * Reads keys:
 * - a secret as base64url or base64 text, with or without padding and line breaks: HS256, without a name;
 * - PEM, one block or several: SPKI, PKCS #8, PKCS #1 and SEC 1, without names; an RSA key is for RS256;
 * - a JWK or a JWK Set, where keys that are not for signatures are skipped.
 *
 * Which of them it is can be seen at its first characters, so that no key pair is ever taken for a secret.
 *
 * @returns At least one key, or a sentence fragment without any of the content that tells what is wrong.
 */
export async function parseKeys(content: Uint8Array): Promise<readonly Key[] | string> {
  const text = latin1(content);
  if (/^\s*\{/.test(text)) return await parseJson(content);
  if (text.includes("-----BEGIN ")) return await parsePem(text);
  return await parseSecret(text);
}

async function parseJson(content: Uint8Array): Promise<readonly Key[] | string> {
  const json = parseStrictJson(content);
  if (!json.ok) return `it is not a key (JSON: ${json.fault})`;
  if (!Object.hasOwn(json.value, "keys")) {
    const key = await importKey(json.value);
    return isUnusable(key) ? key.fault : [key];
  }
  const set = await readKeySet(json.value);
  if (typeof set === "string") return set;
  if (set.faults[0] !== undefined) return set.faults[0];
  return set.keys.length === 0 ? "it has no key for signatures" : set.keys;
}

async function parsePem(text: string): Promise<readonly Key[] | string> {
  const blocks = [...text.matchAll(PEM_BLOCK)];
  // A file that lost its end must not lose its last key silently.
  if (blocks.length !== text.split("-----BEGIN ").length - 1) return "it is not a key (broken PEM)";
  if (blocks.length > MAX_KEYS) return `it has ${blocks.length} keys, at most ${MAX_KEYS} are accepted`;
  const keys: Key[] = [];
  for (const [pem, label = ""] of blocks) {
    // What `openssl ecparam` writes before the key; the key names its curve itself.
    if (label === "EC PARAMETERS") continue;
    const jwk = await exportPem(pem, label);
    if (typeof jwk === "string") return jwk;
    const key = await importKey(jwk);
    if (isUnusable(key)) return key.fault;
    keys.push(key);
  }
  return keys.length === 0 ? "it has no key for signatures" : keys;
}

async function exportPem(pem: string, label: string): Promise<Record<string, unknown> | string> {
  const { createPrivateKey, createPublicKey } = await import("node:crypto");
  try {
    switch (label) {
      case "PUBLIC KEY":
      case "RSA PUBLIC KEY":
        return { ...createPublicKey(pem).export({ format: "jwk" }) };
      case "PRIVATE KEY":
      case "RSA PRIVATE KEY":
      case "EC PRIVATE KEY":
        if (pem.includes("ENCRYPTED")) return "it is encrypted, and there is nobody to ask for the password";
        return { ...createPrivateKey(pem).export({ format: "jwk" }) };
      case "ENCRYPTED PRIVATE KEY":
        return "it is encrypted, and there is nobody to ask for the password";
      default:
        return `it is not a key (PEM "${label}")`;
    }
  } catch {
    return `it is not a key (broken PEM, or a type that is not supported)`;
  }
}

async function parseSecret(text: string): Promise<readonly Key[] | string> {
  // `openssl rand -base64 64` breaks its line.
  const joined = text.replace(/\r?\n/g, "");
  if (!SECRET_TEXT.test(joined) || (joined.includes("=") && joined.length % 4 !== 0)) return NOT_A_KEY;
  const k = joined.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const key = await importKey({ kty: "oct", k });
  // A file that lost its end, or prose that happens to use the alphabet, is seldom canonical.
  if (isUnusable(key)) return key.fault === "its secret is not base64url" ? NOT_A_KEY : key.fault;
  return [key];
}
