// The declared commands and flags as data, for completions and the man page.

import type { Argument, Command, Option } from "commander";
import { isRepeatable } from "./strict_command.ts";

/** A command, or the program itself. */
export interface CommandNode {
  /** The words that call it, after the program's name; none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly arguments: readonly ArgumentNode[];
  readonly flags: readonly FlagNode[];
  readonly commands: readonly CommandNode[];
}

/** An argument that is not a flag. */
export interface ArgumentNode extends ValueNode {
  readonly description: string;
}

/** A flag of a command. */
export interface FlagNode {
  /** All its spellings: `-h` and `--help`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Its heading: `Limits`. */
  readonly group: string;
  /** What it is given; undefined for a switch. */
  readonly value: ValueNode | undefined;
  readonly isRepeatable: boolean;
}

/** What is typed for a flag or an argument. */
export interface ValueNode {
  /** As in the help: `<path>`, or `[topic]` for one that can be left out. */
  readonly term: string;
  readonly isPath: boolean;
  /** All possible values; undefined if they are not a closed set. */
  readonly choices: readonly string[] | undefined;
}

/** Describes a command and all below it, in the order of the help. */
export function describeCommand(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    arguments: command.registeredArguments.map(describeArgument),
    flags: help.visibleOptions(command).map(describeFlag),
    commands: help.visibleCommands(command).map((child) => describeCommand(child, [...path, child.name()])),
  };
}

/** A command and all below it, parents first. */
export function listCommands(command: CommandNode): readonly CommandNode[] {
  return [command, ...command.commands.flatMap(listCommands)];
}

function describeArgument(argument: Argument): ArgumentNode {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  const term = argument.required ? `<${name}>` : `[${name}]`;
  return { ...describeValue(term, argument.argChoices), description: argument.description };
}

function describeFlag(option: Option): FlagNode {
  const [term] = /[<[].*$/.exec(option.flags) ?? [];
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: option.description,
    group: option.helpGroupHeading?.replace(/:$/, "") ?? "Options",
    value: term === undefined ? undefined : describeValue(term, option.argChoices),
    isRepeatable: isRepeatable(option),
  };
}

function describeValue(term: string, choices: readonly string[] | undefined): ValueNode {
  return { term, isPath: /\b(path|file)\b/.test(term), choices };
}

/** The spellings of all flags with a value, each once. */
export function valuedFlags(commands: readonly CommandNode[]): readonly string[] {
  const flags = commands.flatMap((command) => command.flags).filter(({ value }) => value !== undefined);
  return [...new Set(flags.flatMap(({ names }) => names))];
}
