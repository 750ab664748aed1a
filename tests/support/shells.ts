// Real shells that complete a command line, as they would for a user who types it.

/** What a shell needs in order to complete the words of `wsward`. */
export interface CompletionOptions {
  /** Where the shell runs; it holds the files that can be completed, and the shell's own files. */
  readonly folder: string;
  /** The script of completions. */
  readonly script: string;
}

/** Completes the last word of each line; resolves with what each could become, sorted: itself if there is nothing. */
export type Complete = (lines: readonly string[], options: CompletionOptions) => Promise<string[][]>;

const TIMEOUT_MS = 20_000;
const VARIABLES = { PATH: Deno.env.get("PATH") ?? "", TERM: "xterm", LC_ALL: "C.UTF-8" };

/** Ctrl-], which the shells are told to answer with all completions in place of the word. */
const INSERT_ALL = "\x1d";

// In place of the program, which need not be there.
const ECHO_ARGUMENTS = `wsward() { printf '<%s>' "$@"; echo END; }`;

/** Bash, which was given the script as the README says. */
export const completeInBash: Complete = async (lines, { folder, script }) => {
  await Deno.writeTextFile(`${folder}/.script`, script);
  await Deno.writeTextFile(
    `${folder}/.bashrc`,
    `source .script\n${ECHO_ARGUMENTS}\nbind '"${INSERT_ALL}": insert-completions'\n`,
  );
  return await type(lines, { folder, shell: "bash --noprofile --rcfile .bashrc -i" });
};

/** Zsh, which was given the script as the README says. */
export const completeInZsh: Complete = async (lines, { folder, script }) => {
  await Deno.writeTextFile(`${folder}/.script`, script);
  await Deno.writeTextFile(
    `${folder}/.zshrc`,
    `autoload -Uz compinit && compinit -u -D\nsource .script\n${INSERT_ALL_IN_ZSH}`,
  );
  return await type(lines, { folder, shell: "zsh -d -i" });
};

/** Zsh, which finds the script in a folder of its search path. */
export const completeInZshByName: Complete = async (lines, { folder, script }) => {
  await Deno.mkdir(`${folder}/.functions`, { recursive: true });
  await Deno.writeTextFile(`${folder}/.functions/_wsward`, script);
  await Deno.writeTextFile(
    `${folder}/.zshrc`,
    `fpath=($PWD/.functions $fpath)\nautoload -Uz compinit && compinit -u -D\n${INSERT_ALL_IN_ZSH}`,
  );
  return await type(lines, { folder, shell: "zsh -d -i" });
};

const INSERT_ALL_IN_ZSH = `${ECHO_ARGUMENTS}
zle -C all-matches complete-word _generic
bindkey '${INSERT_ALL}' all-matches
zstyle ':completion:all-matches:*' insert true
zstyle ':completion:all-matches::::' completer _all_matches _complete
`;

/** Fish, which can tell what it would offer. */
export const completeInFish: Complete = async (lines, { folder, script }) => {
  await Deno.writeTextFile(`${folder}/.script`, script);
  // A line of its own ends each answer.
  const ask = "source .script; for line in $argv; complete -C $line; echo END; end";
  const { stdout } = await new Deno.Command("fish", {
    args: ["--no-config", "-c", ask, ...lines],
    cwd: folder,
    clearEnv: true,
    env: { ...VARIABLES, HOME: folder },
    stdin: "null",
    stderr: "inherit",
  }).output();
  const answers = new TextDecoder().decode(stdout).split("END\n").slice(0, -1);
  return answers.map((answer, i) => {
    // The description comes after a tab.
    const offered = answer.split("\n").filter(Boolean).map((line) => line.split("\t", 1)[0]!);
    return offered.length === 0 ? [lastWord(lines[i]!)] : offered.sort();
  });
};

/** Types the lines in an interactive shell, each with all its completions, and reads the arguments that came of it. */
async function type(
  lines: readonly string[],
  { folder, shell }: { readonly folder: string; readonly shell: string },
): Promise<string[][]> {
  // Gives the shell a terminal, without which it would not complete.
  const terminal = new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", shell, "/dev/null"],
    cwd: folder,
    clearEnv: true,
    env: { ...VARIABLES, HOME: folder, ZDOTDIR: folder },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const timer = setTimeout(() => terminal.kill("SIGKILL"), TIMEOUT_MS);
  const input = terminal.stdin.getWriter();
  const output = terminal.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const completed: string[][] = [];
  let text = "";
  for (const line of lines) {
    await input.write(new TextEncoder().encode(`${line}${INSERT_ALL}\n`));
    let answer: RegExpExecArray | null;
    while ((answer = /<([^\n]*)>END\r\n/.exec(text)) === null) {
      const { done, value } = await output.read();
      if (done) {
        throw new Error(`${shell} did not answer to ${JSON.stringify(line)}: ${JSON.stringify(text)}`);
      }
      text += value;
    }
    text = text.slice(answer.index + answer[0].length);
    // What was typed before the last word is there as it was.
    const before = line.split(" ").length - 2;
    completed.push(answer[1]!.split("><").slice(before).sort());
  }
  await input.write(new TextEncoder().encode("exit\n"));
  while (!(await output.read()).done);
  await input.close().catch(() => {});
  await terminal.status;
  clearTimeout(timer);
  return completed;
}

function lastWord(line: string): string {
  return line.slice(line.lastIndexOf(" ") + 1);
}
