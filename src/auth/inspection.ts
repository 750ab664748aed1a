// Shows what a token says, without verifying it, for people who want to know what is wrong with it.

import { Buffer } from "node:buffer";
import { HEADER_LIMITS, parseStrictJson, STRICT_JSON_LIMITS } from "../core/strict_json.ts";
import { isBase64url } from "./base64url.ts";

/** What a token says. Nothing is verified, and all text may be meant to deceive. */
export interface Inspection {
  /** The header as indented JSON, with its names and numbers as they are written; control characters are escaped. */
  readonly header: string;
  /** The claims likewise; undefined if they are not JSON. */
  readonly claims: string | undefined;
  /** The dates among the claims that can be read, in milliseconds since 1970. */
  readonly dates: readonly { readonly claim: string; readonly timeMs: number }[];
  /** What a verifier would refuse before it looks for a key. */
  readonly faults: readonly string[];
}

const DATES = ["iat", "nbf", "exp", "auth_time"];

/** Reads as much of a token as possible. Undefined if it is not a JWT at all: if its header is not a JSON object. */
export function inspectToken(token: string): Inspection | undefined {
  const parts = token.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  const headerJson = readJson(header);
  if (headerJson === undefined || !/^\s*\{/.test(headerJson)) return undefined;
  const claims = parts.length === 3 ? readJson(payload) : undefined;
  const faults: string[] = [];
  if (parts.length !== 3) faults.push(`it has ${parts.length} parts and not 3`);
  if (parts.length === 5) faults.push("it is encrypted (RFC 7516)");
  if (parts.length === 3 && signature === "") faults.push("it has no signature");
  if (!parts.every(isBase64url)) faults.push("it is not canonical base64url");
  for (
    const [name, part, limits] of [
      ["header", header, HEADER_LIMITS],
      ["claims", payload, STRICT_JSON_LIMITS],
    ] as const
  ) {
    const json = parseStrictJson(Buffer.from(part, "base64url"), limits);
    if (!json.ok) faults.push(`${name}: ${json.fault}`);
  }
  return {
    header: layOut(headerJson),
    claims: claims === undefined ? undefined : layOut(claims),
    dates: claims === undefined ? [] : datesOf(JSON.parse(claims)),
    faults,
  };
}

/** The text of a part, if it is JSON. */
function readJson(part: string): string | undefined {
  const text = Buffer.from(part, "base64url").toString("utf8");
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function datesOf(claims: unknown): Inspection["dates"] {
  if (typeof claims !== "object" || claims === null) return [];
  return DATES.flatMap((claim) => {
    const date: unknown = Object.hasOwn(claims, claim)
      ? (claims as Record<string, unknown>)[claim]
      : undefined;
    // A `Date` can't hold more.
    return typeof date === "number" && Math.abs(date) <= 8.64e12 ? [{ claim, timeMs: date * 1000 }] : [];
  });
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const DEEPEST = 32;

// Not by parsing and writing it again, which would hide a repeated name and round a long number.
function layOut(json: string): string {
  let text = "";
  let depth = 0;
  let last = "";
  const newLine = () => `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === "}" || token === "]") {
      depth--;
      text += last === "{" || last === "[" ? token : newLine() + token;
    } else {
      if (last === "{" || last === "[" || last === ",") text += newLine();
      if (token === "{" || token === "[") depth++;
      text += token === ":" ? ": " : escapeInvisible(token);
    }
    last = token;
  }
  return text;
}

/** Escapes invisible and blank characters in JSON text: it means the same, and can't paint the terminal. */
export function escapeInvisible(json: string): string {
  return json.replace(
    /[\p{C}\p{DI}\p{Zl}\p{Zp}\u2800]|[^\P{Zs} ]/gu,
    (character) =>
      Array.from({ length: character.length }, (_, i) => {
        return `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
      }).join(""),
  );
}
