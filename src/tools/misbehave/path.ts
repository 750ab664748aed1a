// Reads a path into steps, from left to right, or says which part is wrong and what would be right.

import { findNearest } from "../../core/nearest.ts";
import { CATALOGUE } from "./catalogue.ts";
import type { Misbehaviour } from "./misbehaviour.ts";

/** One step of a path. */
export interface Step {
  readonly what: Misbehaviour;
  /** NaN where there is no parameter. */
  readonly value: number;
}

/** What a path and its query ask for. */
export interface Plan {
  readonly steps: readonly Step[];
  /** How many connections with this `key` are refused first. */
  readonly failures: number;
  readonly key: string;
  /** How likely the steps are done, from 0 to 1; otherwise the server only echoes. */
  readonly probability: number;
  readonly seed: number;
}

/** What is wrong with a path. */
export interface PathFault {
  readonly fault: string;
}

const MAX_STEPS = 32;
const MAX_FAILURES = 1000;
const MAX_KEY_LENGTH = 64;
const PARAMETERS = ["reason", "key", "probability", "seed"];
const NAMES = CATALOGUE.map(({ name }) => name);
const BY_NAME = new Map(CATALOGUE.map((member) => [member.name, member]));

/** Reads a path, such as `/delay/3s/close/4001`, and a query with its `?`. */
export function parsePath(path: string, query: string): Plan | PathFault {
  const options = parseQuery(query);
  if ("fault" in options) return options;
  let segments = path.split("/").filter((segment) => segment !== "");
  let failures = 0;
  if (segments[0] === "fail") {
    const [, number = "", then = ""] = segments;
    failures = Number(number);
    if (!/^\d{1,4}$/.test(number) || failures > MAX_FAILURES) {
      return wrong(number, `after fail it must be a number from 0 to ${MAX_FAILURES}`);
    }
    if (then !== "then") return wrong(then, "after fail/N it must be then/PATH, such as fail/2/then/echo");
    segments = segments.slice(3);
  }
  const steps: Step[] = [];
  for (let at = 0; at < segments.length;) {
    if (steps.length === MAX_STEPS) {
      return { fault: `Cannot do all of this path: it has more than ${MAX_STEPS} parts` };
    }
    const read = readStep(segments, at);
    if ("fault" in read) return read;
    steps.push(read.step);
    at = read.next;
  }
  return { steps, failures, ...options };
}

function readStep(
  segments: readonly string[],
  at: number,
): { readonly step: Step; readonly next: number } | PathFault {
  const [one = "", two = ""] = segments.slice(at, at + 2);
  // The longer name first: `close/empty` is not `close` with a code.
  for (const [name, length] of [[`${one}/${two}`, 2], [one, 1]] as const) {
    const what = BY_NAME.get(name);
    if (what === undefined) continue;
    const next = at + length;
    const { parameter } = what;
    if (parameter === undefined) return { step: { what, value: NaN }, next };
    const given = segments.slice(next, next + parameter.segments).join("/");
    const value = parameter.parse(given);
    if (value !== undefined) return { step: { what, value }, next: next + parameter.segments };
    const words = namesBelow(name);
    const others = words.length === 0 ? "" : `, or one of ${words.join(", ")}`;
    return wrong(given, `after ${name} it must be ${parameter.rule}${others}`);
  }
  const words = namesBelow(one);
  return words.length > 0
    ? wrong(two, `after ${one} it must be one of ${words.join(", ")}`)
    : wrong(one, `there is no such part, the nearest one is ${findNearest(NAMES, one)}`);
}

function namesBelow(name: string): readonly string[] {
  return NAMES.filter((other) => other.startsWith(`${name}/`)).map((other) => other.slice(name.length + 1));
}

function parseQuery(query: string): Omit<Plan, "steps" | "failures"> | PathFault {
  const given = new URLSearchParams(query);
  for (const name of given.keys()) {
    if (!PARAMETERS.includes(name)) {
      const nearest = findNearest(PARAMETERS, name);
      return wrong(name, `the query has ${PARAMETERS.join(", ")}; the nearest one is ${nearest}`);
    }
  }
  const key = given.get("key") ?? "";
  if (key.length > MAX_KEY_LENGTH) return wrong(key, `a key has at most ${MAX_KEY_LENGTH} characters`);
  const probability = given.get("probability") ?? "1";
  if (!/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/.test(probability)) {
    return wrong(probability, "a probability is from 0 to 1");
  }
  const seed = given.get("seed") ?? "0";
  if (!/^\d{1,9}$/.test(seed)) return wrong(seed, "a seed is a number from 0 to 999999999");
  return { key, probability: Number(probability), seed: Number(seed) };
}

function wrong(part: string, rule: string): PathFault {
  return { fault: `Cannot do ${JSON.stringify(part.slice(0, 100))} in this path: ${rule}` };
}
