// The text of a key file: a secret, PEM, a JWK or a JWK Set.

import { latin1 } from "../core/latin1.ts";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { importKey, isUnusable, type Key } from "./jwk.ts";
import { MAX_KEYS, readKeySet } from "./key_set.ts";
import { KEY_SET_LIMITS, parseStrictJson } from "../core/strict_json.ts";

/** How a secret is written in a key file. PEM, a JWK and a JWK Set are recognized by themselves. */
export type SecretEncoding = "base64" | "hex" | "raw";

/** The keys of a text. */
export interface ReadKeys {
  /** At least one. */
  readonly keys: readonly Key[];
  /** What the owner of the file should know, as sentence fragments without any of the content. */
  readonly doubts: readonly string[];
}

const SECRET_TEXT = /^(?:[A-Za-z0-9_-]+|[A-Za-z0-9+/]+)={0,2}$/;
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s[\s\S]*?-----END \1-----/g;
const NOT_A_KEY = "it is not a key (it must be a secret in base64 or base64url, PEM, a JWK or a JWK Set)";
const NOT_HEX = "it is not a secret in hex, as --key-encoding hex says (nor PEM, a JWK or a JWK Set)";
const LOOKS_LIKE_HEX =
  "a secret of hex digits only is read as base64; if other programs read it as hex, their " +
  "tokens are not valid here: say --key-encoding hex then";
const ENDS_WITH_LINE_BREAK = "the secret ends with a line break, which --key-encoding raw makes a part of it";

/**
 * Reads keys:
 * - a secret: HS256, without a name; by default as base64url or base64 text, with or without padding and line breaks; with
 *   `encoding` as hex, or as the very bytes;
 * - PEM, one block or several: SPKI, PKCS #8, PKCS #1 and SEC 1, without names; an RSA key is for all RSA algorithms;
 * - a JWK or a JWK Set, where keys that are not for signatures are skipped, and broken ones told.
 *
 * Its first characters show which of them it is, so no key pair is ever taken for a secret. A byte order mark, and
 * blanks around lines, don't matter.
 *
 * @returns A sentence fragment, without any of the content, with what is wrong if there is no key.
 */
export async function parseKeys(
  content: Uint8Array,
  encoding: SecretEncoding = "base64",
): Promise<ReadKeys | string> {
  if (encoding === "raw") {
    return await importSecret(content, "", latin1(content).endsWith("\n") && ENDS_WITH_LINE_BREAK);
  }
  const bytes = BYTE_ORDER_MARK.every((byte, index) => content[index] === byte)
    ? content.subarray(3)
    : content;
  const text = latin1(bytes).split("\n").map((line) => line.trim()).join("\n");
  if (/^\n*\{/.test(text)) return await parseJson(bytes);
  if (text.includes("-----BEGIN ")) return await parsePem(text);
  return await parseSecret(text.replaceAll("\n", ""), encoding);
}

/** U+FEFF in UTF-8, which Windows programs write at the beginning of a text. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

async function parseJson(content: Uint8Array): Promise<ReadKeys | string> {
  const json = parseStrictJson(content, KEY_SET_LIMITS);
  if (!json.ok) return `it is not a key (JSON: ${json.fault})`;
  if (!Object.hasOwn(json.value, "keys")) {
    const key = await importKey(json.value);
    return isUnusable(key) ? key.fault : { keys: [key], doubts: [] };
  }
  const set = await readKeySet(json.value);
  if (typeof set === "string") return set;
  if (set.keys.length === 0) return set.faults[0] ?? "it has no key for signatures";
  return { keys: set.keys, doubts: set.faults.map((fault) => `left out ${fault}`) };
}

async function parsePem(text: string): Promise<ReadKeys | string> {
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
  return keys.length === 0 ? "it has no key for signatures" : { keys, doubts: [] };
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
    // It only says that the key is wrong, with errors of many classes.
    return `it is not a key (broken PEM, or a type that is not supported)`;
  }
}

async function parseSecret(
  text: string,
  encoding: "base64" | "hex",
): Promise<ReadKeys | string> {
  const isHex = text.length % 2 === 0 && /^(?:[\da-f]+|[\dA-F]+)$/.test(text);
  if (encoding === "hex") {
    return isHex ? await importSecret(Uint8Array.fromHex(text), NOT_HEX) : NOT_HEX;
  }
  if (!SECRET_TEXT.test(text) || (text.includes("=") && text.length % 4 !== 0)) return NOT_A_KEY;
  const bytes = decodeBase64url(text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""));
  // A truncated file, or prose, is seldom canonical base64.
  if (bytes === undefined) return NOT_A_KEY;
  return await importSecret(bytes, NOT_A_KEY, isHex && LOOKS_LIKE_HEX);
}

async function importSecret(
  secret: Uint8Array,
  ifEmpty: string,
  doubt: string | false = false,
): Promise<ReadKeys | string> {
  if (secret.length === 0) return ifEmpty;
  const key = await importKey({ kty: "oct", k: encodeBase64url(secret) });
  if (isUnusable(key)) return key.fault;
  return { keys: [key], doubts: doubt === false ? [] : [doubt] };
}
