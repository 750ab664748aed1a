// The one place for faults of our own that nobody expected: they are recorded, and the program goes on.

import type { Log } from "./log.ts";

/** How long a fault that comes again is only counted, in milliseconds. */
export const QUIET_MS = 10_000;
/** How many different faults are told apart; a stranger who can make more of them makes no more records. */
const MAX_FAULTS = 100;

interface Fault {
  toldMs: number;
  /** How often it has come since it was told of. */
  untold: number;
}

/** Records faults: each with its stack at its first time, and then every ten seconds at most, with how often it came. */
export class Containment {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #faults = new Map<string, Fault>();

  /** @param now milliseconds of a clock that does not go back */
  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** Takes whatever was thrown. Never throws. Returns whether it made a record. */
  record(thrown: unknown): boolean {
    const { error, calls } = describe(thrown);
    const nowMs = this.#now();
    // By the innermost calls: by how many ways a fault is come to does not make it another.
    const place = calls.slice(0, 2).join();
    const key = this.#faults.has(place) || this.#faults.size < MAX_FAULTS ? place : "others";
    const fault = this.#faults.get(key);
    if (fault !== undefined && nowMs - fault.toldMs < QUIET_MS) {
      fault.untold++;
      return false;
    }
    this.#faults.set(key, { toldMs: nowMs, untold: 0 });
    this.#log("process.unhandled", { error, count: fault && fault.untold + 1, stack: calls.join(" | ") });
    return true;
  }
}

function describe(thrown: unknown): { error: string; calls: readonly string[] } {
  try {
    if (!(thrown instanceof Error)) return { error: String(thrown), calls: [] };
    const error = `${thrown.name}: ${thrown.message}`;
    // Its first lines repeat the message, which can quote what a peer has sent.
    const calls = String(thrown.stack).split("\n").filter((line) => /^ +at /.test(line));
    return { error, calls: calls.map((line) => line.trim()) };
  } catch {
    // A getter of what was thrown, or its toString, throws itself.
    return { error: "what was thrown can't be described", calls: [] };
  }
}
