// Completions for zsh: a function for each command, in the terms of zsh's own _arguments.

import { type CommandNode, type FlagNode, listCommands, type ValueNode } from "../command_tree.ts";

/** The script for the commands of `program`: to be sourced, or to be a file of the name `_wsward` in `$fpath`. */
export function createZshCompletions(program: CommandNode): string {
  return `#compdef wsward
# Completions of wsward for zsh: source <(wsward completions zsh), after compinit

${listCommands(program).map(createFunction).join("\n\n")}

if [[ $funcstack[1] == _wsward ]]; then _wsward "$@"; else compdef _wsward wsward; fi
`;
}

function createFunction(command: CommandNode): string {
  const specs = [
    ...command.flags.flatMap(flagSpecs),
    ...command.arguments.map((argument) => {
      const mark = argument.term.includes("...") ? "*" : argument.term.startsWith("[") ? ":" : "";
      return `${mark}:${valueSpec(argument)}`;
    }),
  ];
  const name = functionName(command.path);
  if (command.commands.length === 0) return `${name}() {\n  _arguments -S${quoteAll(specs, " \\\n    ")}\n}`;
  const children = command.commands.map(({ path, description }) => `${path.at(-1)}:${description}`);
  return `${name}() {
  local curcontext=$curcontext state line
  _arguments -C -S${quoteAll([...specs, "1: :->command", "*:: :->rest"], " \\\n    ")} && return
  local -a commands=(${quoteAll(children, "\n    ")}
  )
  case $state in
    command) _describe command commands ;;
    rest) (( $+functions[${name}_$line[1]] )) && ${name}_$line[1] ;;
  esac
}`;
}

/** One for each spelling; they rule each other out, as a flag rules out itself unless it can be repeated. */
function flagSpecs({ names, description, value, isRepeatable }: FlagNode): readonly string[] {
  const others = names.length > 1 ? `(${names.join(" ")})` : "";
  const tail = value === undefined ? "" : `:${valueSpec(value)}`;
  return names.map((name) =>
    `${isRepeatable ? "*" : others}${name}${value === undefined ? "" : "="}[${
      escapeSpec(description)
    }]${tail}`
  );
}

function valueSpec({ term, isPath, choices }: ValueNode): string {
  const action = isPath ? "_files" : choices === undefined ? " " : `(${choices.join(" ")})`;
  return `${escapeSpec(term.replace(/[<>[\].]/g, ""))}:${action}`;
}

function functionName(path: readonly string[]): string {
  return ["_wsward", ...path].join("_");
}

/** What would end a description. */
function escapeSpec(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}

function quoteAll(words: readonly string[], before: string): string {
  return words.map((word) => `${before}'${word.replaceAll("'", "'\\''")}'`).join("");
}
