// Prints what went wrong as one line on stderr, and returns the exit code.

import { StartError, UsageError } from "../core/errors.ts";
import { typed } from "../core/typed.ts";
import { hideCredentials } from "../core/settings/setting_types.ts";
import { hideTokens } from "../telemetry/line.ts";

/** Says why a command could not be run; `hint` is a command that would work. Returns 2 for what was typed, 1 for everything else. */
export function explainFailure(error: unknown, hint?: string): number {
  const end = hint === undefined ? "" : `; this would work: ${hint}`;
  if (error instanceof UsageError) return printError(error.message + end, 2);
  if (error instanceof StartError) return printError(error.message + end, 1);
  return printError(`Cannot go on: ${error instanceof Error ? error.message : String(error)}${end}`, 1);
}

function printError(message: string, exitCode: number): number {
  // What was typed in a wrong place is quoted, and may be a token or a URL with a password.
  console.error(oneLine(typed(hideTokens(hideCredentials(message)))));
  return exitCode;
}

// What was typed, or the name of a file, must neither break the line nor paint the terminal.
function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, " ").replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
