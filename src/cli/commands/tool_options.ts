// What the commands that test have in common: the server's URL, colours, files and tokens.

import { type Command, Option } from "commander";
import { StartError } from "../../core/errors.ts";
import { describeFileError } from "../../core/file_error.ts";
import { parseText } from "../../core/settings/setting_types.ts";
import type { Target } from "../../tools/target.ts";

/** Reads the argument that names a server. Throws {@linkcode UsageError}. */
export async function readTarget(text: string): Promise<Target> {
  // Loaded late, like all tools: other commands do not need it.
  const { parseTarget, URL_RULE } = await import("../../tools/target.ts");
  return parseText("URL", { rule: URL_RULE, parse: parseTarget }, text);
}

/** Adds `--no-color`. */
export function addColorOption(command: Command): Command {
  return command.option(
    "--no-color",
    "do not use colours, which are used only on a terminal and without NO_COLOR",
  );
}

/** Whether to use colours on stdout. */
export function usesColor(command: Command): boolean {
  return command.opts<{ color: boolean }>().color && !Deno.noColor && Deno.stdout.isTerminal();
}

/** A switch under a heading. */
export function groupedSwitch(group: string, flags: string, description: string): Option {
  return new Option(flags, description).helpGroup(`${group}:`);
}

/** Reads a file that a flag names. Throws {@linkcode StartError}. */
export async function readNamedFile(flag: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const why = describeFileError(cause);
    throw new StartError(`Cannot read ${flag} ${JSON.stringify(path)}: ${why}`, { cause });
  }
}

/** Reads a token from a file. Throws {@linkcode StartError}, without the file's content. */
export async function readTokenFile(path: string): Promise<string> {
  const text = (await readNamedFile("--token-file", path)).trim();
  if (/^[\w.-]+$/.test(text)) return text;
  throw new StartError(`Cannot use the token in file ${JSON.stringify(path)}: it is not a JWT`);
}
