// Completions for bash: one function that needs nothing but bash itself.

import { type CommandNode, listCommands, valuedFlags, type ValueNode } from "../command_tree.ts";

/** The script for the commands of `program`, to be sourced. */
export function createBashCompletions(program: CommandNode): string {
  const commands = listCommands(program);
  return `# Completions of wsward for bash: source <(wsward completions bash)

_wsward() {
  local cur=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD - 1]} command= words= flags= i
  # "--flag=value" is three words here.
  if [[ $cur == = ]]; then cur=; elif [[ $flag == = ]]; then flag=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${valuedFlags(commands).join("|")})
        [[ \${COMP_WORDS[i + 1]} == = ]] && ((i++))
        ((i++))
        ;;
      *)
        case "$command \${COMP_WORDS[i]}" in
          ${commands.slice(1).map(quotePath).join("|")}) command+=" \${COMP_WORDS[i]}" ;;
        esac
        ;;
    esac
  done
  case "$command $flag" in
${valueCases(commands)}
  esac
  [[ -n $words ]] || case $command in
${commands.map(wordCase).join("\n")}
  esac
  # Flags are offered where there is nothing else to say.
  [[ $cur == -* || -z $words ]] && words+=" $flags"
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _wsward wsward
`;
}

/** What is completed after each flag that takes a value: the flags of all commands, by what that is. */
function valueCases(commands: readonly CommandNode[]): string {
  const flags = commands.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, value }) => names.map((name) => ({ path: [...path, name], value })))
  );
  const byAction = Map.groupBy(flags, ({ value }) => value && valueAction(value));
  byAction.delete(undefined);
  return Array.from(byAction, ([action, members]) => `    ${members.map(quotePath).join("|")}) ${action} ;;`)
    .join("\n");
}

function valueAction({ isPath, choices = [] }: ValueNode): string {
  // Files are left to readline, which knows how to quote them.
  if (isPath) return "compopt -o default; return";
  return choices.length === 0 ? "return" : `words='${choices.join(" ")}'`;
}

/** What is completed elsewhere. */
function wordCase(command: CommandNode): string {
  const words = [
    ...command.commands.map(({ path }) => path.at(-1)),
    ...command.arguments.flatMap(({ choices = [] }) => choices),
  ];
  const flags = command.flags.flatMap(({ names }) => names.filter((name) => name.startsWith("--")));
  const files = command.arguments.some(({ isPath }) => isPath)
    ? "[[ $cur == -* ]] || { compopt -o default; return; }; "
    : "";
  return `    ${quotePath(command)}) ${files}words='${words.join(" ")}' flags='${flags.join(" ")}' ;;`;
}

/** As the function puts a path together: each word after a space. */
function quotePath({ path }: Pick<CommandNode, "path">): string {
  return `'${path.map((word) => ` ${word}`).join("")}'`;
}
