// Completions for fish: a line for each flag and each command, under the condition that it belongs where the cursor is.

import { type CommandNode, type FlagNode, listCommands, valuedFlags } from "../command_tree.ts";

/** The script for the commands of `program`, to be sourced. */
export function createFishCompletions(program: CommandNode): string {
  const commands = listCommands(program);
  return `# Completions of wsward for fish: wsward completions fish | source

function __wsward_at --description 'whether the words before the cursor call this command'
    set -l command ''
    set -l skip no
    for word in (commandline -opc)[2..]
        if test $skip = yes
            set skip no
        else if contains -- $word ${valuedFlags(commands).join(" ")}
            set skip yes
        else if contains -- "$command $word" ${commands.slice(1).map(quotePath).join(" ")}
            set command "$command $word"
        end
    end
    test "$command" = "$argv"
end

complete -c wsward -f
${commands.flatMap(completeCommand).join("\n")}
`;
}

function completeCommand(command: CommandNode): readonly string[] {
  const at = `complete -c wsward -n ${quote(`__wsward_at ${quotePath(command)}`)}`;
  return [
    ...command.commands.map(({ path, description }) => `${at} -a ${path.at(-1)} -d ${quote(description)}`),
    ...command.arguments.flatMap(({ isPath, choices }) =>
      isPath ? [`${at} -F`] : choices === undefined ? [] : [`${at} -a ${quote(choices.join(" "))}`]
    ),
    ...command.flags.map((flag) => `${at} ${describeFlag(flag)}`),
  ];
}

function describeFlag({ names, description, value }: FlagNode): string {
  const spellings = names.map((name) => name.replace(/^--/, "-l ").replace(/^-(?=\w$)/, "-s "));
  const kind = value === undefined
    ? []
    : value.isPath
    ? ["-r -F"]
    : value.choices === undefined
    ? ["-x"]
    : [`-x -a ${quote(value.choices.join(" "))}`];
  return [...spellings, ...kind, `-d ${quote(description)}`].join(" ");
}

/** As the function puts a path together: each word after a space. */
function quotePath({ path }: CommandNode): string {
  return quote(path.map((word) => ` ${word}`).join(""));
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
