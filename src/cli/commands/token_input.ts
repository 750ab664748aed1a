// Reads the token of `token inspect` and `token verify` from the argument, a file or stdin.

import { type Command, Option } from "commander";
import { StartError, UsageError } from "../../core/errors.ts";
import { describeFileError } from "../../core/file_error.ts";

/** How much is read from a file or stdin, in bytes: more than any token that a server accepts. */
const MAX_INPUT_SIZE_BYTES = 64 * 1024;

/** Adds the argument and the flag that {@linkcode readTokenInput} reads. */
export function addTokenInput(command: Command): Command {
  return command.argument("[token]", "the token, or - for stdin; others can see arguments, so prefer a file")
    .addOption(new Option("--file <path>", "file that holds the token").helpGroup("Token:"));
}

/**
 * The token, without the space around it. Throws `UsageError` if there is none or more than one, and `StartError` if
 * the file can't be read or is too large.
 */
export async function readTokenInput(command: Command): Promise<string> {
  const [argument] = command.args;
  const { file } = command.opts<{ file?: string }>();
  if (argument !== undefined && file !== undefined) {
    throw new UsageError("Cannot read the token: give it as an argument or with --file, not both");
  }
  if (argument === undefined && file === undefined && Deno.stdin.isTerminal()) {
    throw new UsageError("Cannot read the token: give it as an argument, with --file or on stdin");
  }
  const token = argument !== undefined && argument !== "-" ? argument : await read(file);
  if (token.trim() === "") throw new UsageError("Cannot read the token: there is none");
  return token.trim();
}

async function read(file: string | undefined): Promise<string> {
  const from = file === undefined ? "stdin" : `file ${JSON.stringify(file)}`;
  try {
    const stream = file === undefined ? Deno.stdin.readable : (await Deno.open(file)).readable;
    const decoder = new TextDecoder();
    let text = "";
    let size = 0;
    for await (const part of stream) {
      size += part.length;
      if (size > MAX_INPUT_SIZE_BYTES) {
        throw new StartError(
          `Cannot read the token from ${from}: it is larger than ${MAX_INPUT_SIZE_BYTES} bytes`,
        );
      }
      text += decoder.decode(part, { stream: true });
    }
    return text + decoder.decode();
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const why = describeFileError(cause);
    throw new StartError(`Cannot read the token from ${from}: ${why}`, { cause });
  }
}
