// Where unexpected faults of our own end: they are recorded, and the program goes on.

import type { LogFields } from "./events.ts";

/** Takes the records of faults; a log is one. */
type FaultLog = (event: "process.unhandled", fields: LogFields<"process.unhandled">) => void;

/** How long repetitions of a fault are only counted, in milliseconds. */
export const QUIET_MS = 10_000;
/** How many different faults are told apart: more of them make no more records. */
const MAX_FAULTS = 100;

interface Fault {
  toldMs: number;
  /** How often it came since its last record. */
  untold: number;
}

/** Records each fault with its stack when it first comes, then at most every ten seconds with how often it came. */
export class Containment {
  readonly #log: FaultLog;
  readonly #now: () => number;
  readonly #faults = new Map<string, Fault>();

  /** @param now milliseconds of a clock that does not go back */
  constructor(log: FaultLog, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** Takes whatever was thrown. Never throws. Returns whether it made a record. */
  record(thrown: unknown): boolean {
    const { error, calls } = describe(thrown);
    const nowMs = this.#now();
    // By the innermost calls: the same fault may be reached in many ways.
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
    // A getter, or toString, of what was thrown throws itself.
    return { error: "what was thrown can't be described", calls: [] };
  }
}
