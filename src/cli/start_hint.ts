// Suggests a command that would work if a start has fewer permissions than its settings need.

import { BUILT_BY } from "wsward/build";
import { UsageError } from "../core/errors.ts";
import { CONFIG_LABELS, parseSettings } from "../core/settings/settings.ts";
import { quoteForShell } from "../core/shown.ts";
import { permissionFlags } from "./about/permissions.ts";
import { readPlainFlags } from "./plain_flags.ts";
import { ENV } from "./setting_options.ts";

/** Sockets are permitted only by full path, so their folder must be named. */
const RUNTIME_DIR = "wsward.run";
/** The permissions of an executable, for when the settings can't be read. */
const ALL = ["--no-prompt", "--allow-net", "--allow-read", "--allow-write", "--allow-env=WSWARD_*"];

/**
 * A line that can be pasted, if `serve` from source failed with a permission's `error`; undefined for other failures.
 */
export function startHint(args: readonly string[], error: unknown): string | undefined {
  if (args[0] !== "serve" || BUILT_BY !== "deno run" || !lacksPermission(error)) return undefined;
  const flags = args.slice(1);
  const command = ["main.ts", ...args.map(quoteForShell)];
  if (!flags.some((flag) => flag.startsWith("--runtime-dir"))) command.push("--runtime-dir", RUNTIME_DIR);
  return ["deno", "run", ...neededFlags(flags), ...command].join(" ");
}

function neededFlags(flags: readonly string[]): readonly string[] {
  const given = readPlainFlags(flags);
  if (given === undefined || ENV(CONFIG_LABELS.variable) !== undefined) return ALL;
  try {
    const settings = parseSettings(given, ENV);
    return permissionFlags({
      ...settings,
      runtimeDir: given.has("runtimeDir") ? settings.runtimeDir : RUNTIME_DIR,
    });
  } catch (error) {
    // A name that can't be put into a permission.
    if (error instanceof UsageError) return ALL;
    throw error;
  }
}

function lacksPermission(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof Deno.errors.NotCapable) return true;
  }
  return false;
}
