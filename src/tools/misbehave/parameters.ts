// The kinds of values in a path.

import { parseDuration } from "../../core/duration.ts";
import { parseSize } from "../../core/size.ts";
import type { Parameter } from "./misbehaviour.ts";

const MAX_DURATION_MS = 600_000;
const MAX_SIZE = 64 * 1024 * 1024;
const MAX_RATE = 10_000;

/** A whole number within a range. */
export function count(least: number, most: number, placeholder = "N"): Parameter {
  return {
    placeholder,
    rule: `a number from ${least} to ${most}`,
    segments: 1,
    parse: (text) => /^\d{1,9}$/.test(text) ? within(Number(text), least, most) : undefined,
  };
}

/** A duration such as `3s`, in milliseconds. */
export const DURATION: Parameter = {
  placeholder: "DURATION",
  rule: "a duration such as 3s or 250ms, at most 10m",
  segments: 1,
  parse: (text) => within(parseDuration(text), 0, MAX_DURATION_MS),
};

/** A size such as `16MiB`, in bytes. */
export const SIZE: Parameter = {
  placeholder: "SIZE",
  rule: "a size such as 16MiB, at most 64MiB",
  segments: 1,
  parse: (text) => within(parseSize(text), 0, MAX_SIZE),
};

/** Events a second: `1000/s`. */
export const RATE: Parameter = {
  placeholder: "N/s",
  rule: "a rate such as 1000/s, at most 10000/s",
  segments: 2,
  parse: (text) => {
    const [, number] = /^(\d{1,5})\/s$/.exec(text) ?? [];
    return number === undefined ? undefined : within(Number(number), 1, MAX_RATE);
  },
};

/** Bytes a second: `1KiB/s`. */
export const BYTE_RATE: Parameter = {
  placeholder: "SIZE/s",
  rule: "a rate such as 1KiB/s, at most 64MiB/s",
  segments: 2,
  parse: (text) => text.endsWith("/s") ? within(parseSize(text.slice(0, -2)), 1, MAX_SIZE) : undefined,
};

function within(value: number | undefined, least: number, most: number): number | undefined {
  return value !== undefined && value >= least && value <= most ? value : undefined;
}
