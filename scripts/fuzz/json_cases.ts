// JSON and near-JSON for the bounded reader, which is compared with JSON.parse.

import assert from "node:assert/strict";
import { isJsonObject, isRawNumber, type JsonValue, parseBoundedJson } from "../../src/core/bounded_json.ts";
import type { Random } from "./random.ts";

const LIMITS = { maxDepth: 32, maxValues: 4096, maxNames: 64 };
const PIECES = [
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  '"a"',
  '"\\u0061"',
  "1.0",
  "-0",
  "1e400",
  "true",
  "null",
  " ",
  "\t",
  "\\",
  '"',
  "x",
];
/** Strings of digits that are so far apart collide in V8's table of strings. */
const COLLISION = 32_768;

/** Reads one text, which is often valid. Returns 1; throws at a difference. */
export function fuzzJson(random: Random): number {
  let text = makeValue(random, 0);
  if (random.chance(0.5)) text = spoil(random, text);
  let expected: unknown;
  try {
    expected = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const json = parseBoundedJson(text, LIMITS);
  if (json.ok) assert.deepEqual(plain(json.value), expected);
  // JSON.parse accepts a repeated name and takes the last, so other faults are not compared.
  else if (json.fault === "not JSON") assert.equal(expected, undefined, "JSON was refused");
  return 1;
}

function makeValue(random: Random, depth: number): string {
  const kind = depth > 4 ? random.below(4) : random.below(7);
  const items = () => Array.from({ length: random.below(5) }, () => makeValue(random, depth + 1));
  switch (kind) {
    case 0:
      return random.pick(["0", "-0", "1.0", "9007199254740993", "1e400", "0.1e-7", "-1.5E+3"]);
    case 1:
      return random.pick(["true", "false", "null"]);
    case 2:
      return JSON.stringify(random.pick(["", "a", "\u0000", "\ud800", "\u2028", "\ud83d\ude00", '"\\']));
    case 3:
      return `"${7000 + COLLISION * random.below(1000)}"`;
    case 4:
      return `[${Array.from({ length: 300 }, (_, i) => `"${7000 + COLLISION * i}"`)}]`;
    case 5:
      return `[ ${items().join(" , ")} ]`;
    default:
      return `{${items().map((item, i) => `"${random.pick(["a", "b", "__proto__", i])}${i}" :${item}`)}}`;
  }
}

/** Inserts something, removes something, or repeats something. */
function spoil(random: Random, text: string): string {
  const [at, end] = [random.below(text.length + 1), random.below(text.length + 1)];
  return text.slice(0, at) + (random.chance(0.7) ? random.pick(PIECES) : "") +
    text.slice(random.chance(0.7) ? at : end);
}

function plain(value: JsonValue): unknown {
  if (isJsonObject(value)) {
    const text = [...value].map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(plain(inner))}`);
    const made = JSON.parse(`{${text}}`);
    // Values are set once more, because JSON.stringify loses infinity and minus zero.
    for (const [name, inner] of value) {
      if (Object.hasOwn(made, name)) Object.defineProperty(made, name, { value: plain(inner) });
    }
    return made;
  }
  if (Array.isArray(value)) return value.map(plain);
  return isRawNumber(value) ? Number(value.rawJSON) : value;
}
