// JSON strict enough for signed data: UTF-8, one object, no name twice, no infinite number, not nested deeply.

import {
  exactNumber,
  isJsonObject,
  isRawNumber,
  type JsonLimits,
  type JsonObject,
  type JsonValue,
  parseBoundedJson,
} from "./bounded_json.ts";

/** How deep objects and lists may be nested in each other. */
export const MAX_JSON_DEPTH = 32;

/** What the claims of a token, or the body of an administrator's request, may hold. */
export const STRICT_JSON_LIMITS: JsonLimits = { maxDepth: MAX_JSON_DEPTH, maxValues: 2048, maxNames: 256 };

/** What a JWK Set may hold: there are some twenty names (RFC 7517, RFC 7518), and room for an issuer's own. */
export const KEY_SET_LIMITS: JsonLimits = { maxDepth: MAX_JSON_DEPTH, maxValues: 4096, maxNames: 64 };

/** What the header of a token may hold, which is read before anything is known of its sender. */
export const HEADER_LIMITS: JsonLimits = { maxDepth: MAX_JSON_DEPTH, maxValues: 512, maxNames: 64 };

/** An object, or what is wrong with the text, as a fixed phrase without any part of it. */
export type StrictJson =
  | { readonly ok: true; readonly value: Record<string, unknown> }
  | { readonly ok: false; readonly fault: string };

/** The same, with its members as they were read. */
export type StrictMembers =
  | { readonly ok: true; readonly members: JsonObject }
  | { readonly ok: false; readonly fault: string };

/**
 * Reads bytes that are one JSON object (RFC 8259). Refuses what two readers could understand differently: a name that
 * occurs twice in one object (RFC 8725 §2.4, RFC 7515 §4), a byte order mark, bytes that are not UTF-8, a number that
 * becomes infinite; and what is over the limits. A number that a double can't hold becomes a `RawNumber`, so that
 * nothing is decided by a rounded one.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits = STRICT_JSON_LIMITS): StrictJson {
  const read = readStrictMembers(bytes, limits);
  if (!read.ok) return read;
  const value = toPlain(read.members);
  return value === undefined
    ? { ok: false, fault: "a number is out of range" }
    : { ok: true, value: value as Record<string, unknown> };
}

/** As {@linkcode parseStrictJson}, but makes no JavaScript object, for what may come from anybody. */
export function readStrictMembers(bytes: Uint8Array, limits: JsonLimits): StrictMembers {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    // This is what a decoder throws for bytes that are not UTF-8.
    if (error instanceof TypeError) return { ok: false, fault: "not UTF-8" };
    throw error;
  }
  const json = parseBoundedJson(text, limits);
  if (!json.ok) return json;
  return isJsonObject(json.value)
    ? { ok: true, members: json.value }
    : { ok: false, fault: "not a JSON object" };
}

/** Turns maps into objects, and raw numbers that a double holds into numbers; undefined if a number is out of range. */
function toPlain(value: JsonValue): unknown {
  if (isJsonObject(value)) {
    const plain: Record<string, unknown> = {};
    for (const [name, inner] of value) {
      const made = toPlain(inner);
      if (made === undefined) return undefined;
      // An assignment to "__proto__" would make no member.
      Object.defineProperty(plain, name, {
        value: made,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    return plain;
  }
  if (Array.isArray(value)) {
    const list = value.map(toPlain);
    return list.includes(undefined) ? undefined : list;
  }
  if (!isRawNumber(value)) return value;
  return Number.isFinite(Number(value.rawJSON)) ? exactNumber(value) ?? value : undefined;
}
