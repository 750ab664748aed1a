// A script that Redis runs as one step.

import { createHash } from "node:crypto";

/** A script in Lua and what Redis calls it. */
export interface Script {
  /** For messages. */
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

/**
 * Makes a script. `KEYS[1]` is the key that all its keys begin like, `ARGV[1]` the time from which on it does nothing.
 * It answers with a list: its status and the time at Redis in milliseconds first.
 */
export function defineScript(name: string, source: string): Script {
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}
