// A command of the command-line library that refuses what the library would silently accept.

import { Command, Option, type ParseOptionsResult } from "commander";
import { UsageError } from "../core/errors.ts";

/**
 * A `Command` that refuses a flag given twice, of which the library takes the last value, and a value that looks like a
 * flag, which the library takes as the value of the flag before it. Both throw `UsageError`.
 */
export class StrictCommand extends Command {
  override createCommand(name?: string): StrictCommand {
    return new StrictCommand(name);
  }

  override parseOptions(args: string[]): ParseOptionsResult {
    this.#refuseAmbiguity(args);
    return super.parseOptions(args);
  }

  #refuseAmbiguity(args: readonly string[]): void {
    const seen = new Set<Option>();
    for (const [index, arg] of args.entries()) {
      if (arg === "--") return;
      // The rest belongs to the subcommand, which checks it itself.
      if (this.commands.some((command) => command.name() === arg)) return;
      const flag = arg.split("=", 1)[0];
      const option = this.options.find(({ long }) => long === flag);
      if (option === undefined) continue;
      if (seen.has(option) && !isRepeatable(option)) {
        throw new UsageError(`Cannot use ${flag} twice: it has one value`);
      }
      seen.add(option);
      const next = args[index + 1] ?? "";
      if (option.required && flag === arg && next.startsWith("-")) {
        const value = JSON.stringify(next);
        throw new UsageError(`Cannot use ${flag} without a value: if ${value} is it, write ${flag}=${next}`);
      }
    }
  }
}

/** An option that takes one value each time it is given, and can be given many times. */
export function repeatableOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser<readonly string[] | undefined>(
    (value, previous) => [...previous ?? [], value],
  );
}

/** Whether an option can be given many times. */
export function isRepeatable(option: Option): boolean {
  return option.parseArg !== undefined;
}
