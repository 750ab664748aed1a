// JSON as signed data must be: UTF-8, one object, no name twice, no number that a double can't hold, not nested deeply.

/** How deep objects and lists may be nested in each other. */
export const MAX_JSON_DEPTH = 32;

/** An object, or what is wrong with the text, as a fixed phrase without any part of it. */
export type StrictJson =
  | { readonly ok: true; readonly value: Record<string, unknown> }
  | { readonly ok: false; readonly fault: string };

/**
 * Reads bytes that are one JSON object (RFC 8259). Refused is all that two readers could understand differently: a name
 * that occurs twice in one object (RFC 8725 §2.4, RFC 7515 §4), a byte order mark, bytes that are not UTF-8, a number
 * that becomes infinite, and more than {@linkcode MAX_JSON_DEPTH} levels.
 */
export function parseStrictJson(bytes: Uint8Array): StrictJson {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { ok: false, fault: "not UTF-8" };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, fault: "not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, fault: "not a JSON object" };
  }
  const fault = ambiguity(text);
  return fault === undefined ? { ok: true, value: value as Record<string, unknown> } : { ok: false, fault };
}

/** The tokens of JSON text that has been parsed: a string with the colon that makes it a name, a bracket, a number. */
const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]|-?\d[\d.eE+-]*/g;

// `JSON.parse` has accepted the text, so a scan for its tokens needs no grammar.
function ambiguity(text: string): string | undefined {
  const open: Set<unknown>[] = [];
  for (const [token, string, colon] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") {
      if (open.push(new Set()) > MAX_JSON_DEPTH) return "nested too deeply";
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (string === undefined) {
      if (!Number.isFinite(Number(token))) return "a number is out of range";
    } else if (colon !== undefined) {
      // Parsed, because "a" and "\u0061" are one name.
      const name: unknown = JSON.parse(string);
      const names = open.at(-1);
      if (names?.has(name)) return "a name occurs twice";
      names?.add(name);
    }
  }
  return undefined;
}
