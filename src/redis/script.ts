// A script that Redis runs as one step.

import { createHash } from "node:crypto";

/** A script in Lua and its digest, by which Redis knows it. */
export interface Script {
  /** For messages. */
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

/**
 * Makes a script. `KEYS[1]` is the prefix of all its keys, `ARGV[1]` its deadline, after which it does nothing. It
 * answers with a list that begins with its status and the time at Redis in milliseconds.
 */
export function defineScript(name: string, source: string): Script {
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}
