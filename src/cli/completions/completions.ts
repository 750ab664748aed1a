// The completions that there are, by shell.

import { createBashCompletions } from "./bash_completions.ts";
import { createFishCompletions } from "./fish_completions.ts";
import { createZshCompletions } from "./zsh_completions.ts";

/** Makes the script of a shell for the commands of a program. */
export const createCompletions = {
  bash: createBashCompletions,
  zsh: createZshCompletions,
  fish: createFishCompletions,
};
