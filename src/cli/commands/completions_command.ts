// The command `completions`: prints a script with which a shell completes commands and flags.

import { Argument, type Command } from "commander";
import { choice, parseText } from "../../core/settings/setting_types.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

const SHELL = choice({
  group: "Shell",
  help: "shell that the script is for",
  choices: SHELLS,
  default: "bash",
});

/** Adds `completions` to `program`; the script has all commands that `program` has when it runs. */
export function addCompletionsCommand(program: Command): void {
  const shell = new Argument("<shell>", `${SHELL.help} (${SHELL.range})`);
  shell.argChoices = [...SHELLS];
  program.command("completions").description("print a script that completes commands and flags in a shell")
    .addArgument(shell)
    .action(async (given: string) => {
      const name = parseText("shell", SHELL, given);
      const [{ createCompletions }, { describeCommand }] = await Promise.all([
        import("../completions/completions.ts"),
        import("../command_tree.ts"),
      ]);
      console.log(createCompletions[name](describeCommand(program)).trimEnd());
    });
}
