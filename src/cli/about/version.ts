// The version and commit of the program, how it was built, and what it runs on.

import { fileURLToPath } from "node:url";
import { BUILT_BY, COMMIT } from "wsward/build";
import config from "../../../deno.json" with { type: "json" };
import { readCommit } from "./commit.ts";

/** What `wsward version` shows. */
export interface Version {
  readonly version: string;
  /** The commit's hash, or `unknown`. */
  readonly commit: string;
  /** How it was built: `deno run` for a source tree. */
  readonly built: string;
  readonly deno: string;
  readonly v8: string;
}

/** Collects it; never asks for a permission. */
export function readVersion(): Version {
  return {
    version: config.version,
    commit: COMMIT ?? readCommit(fileURLToPath(new URL("../../../", import.meta.url))) ?? "unknown",
    built: BUILT_BY,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
  };
}

/** The output of `wsward version`, one fact a line. */
export function formatVersion({ version, ...facts }: Version): string {
  const lines = Object.entries(facts).map(([name, fact]) => `${name.padEnd("commit".length)} ${fact}`);
  return [`wsward ${version}`, ...lines].join("\n");
}
