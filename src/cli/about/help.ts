// Formats the help: as wide as the terminal, short for -h, whole for --help, with examples at the end.

import { type Command, Help, Option } from "commander";
import { SETTING_NAMES, type SettingName } from "../../core/settings/declarations.ts";
import { flagOf } from "../../core/settings/settings.ts";
import { typed } from "../../core/typed.ts";

/** The width if no terminal says it. */
const DEFAULT_COLUMNS = 80;
const MIN_COLUMNS = 40;
/** Longer lines are hard to read. */
const MAX_COLUMNS = 100;
/** A description with less room goes below its flag. */
const MIN_DESCRIPTION_COLUMNS = 36;

/** The settings that people change, for the short help. */
export const COMMON_SETTINGS: readonly SettingName[] = [
  "host",
  "echoPort",
  "securePort",
  "keyFile",
  "jwksUrl",
  "allowOrigin",
  "trustProxy",
  "maxMessageSize",
  "tlsCert",
  "adminListen",
];

/** A command line and what it does. */
export type Example = readonly [line: string, text: string];

/** Examples by command. The commands that test have their own. */
const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  "": [
    ["wsward serve", "both endpoints, on this machine only"],
    ["wsward connect", "talk to the echo endpoint"],
    ["wsward connect --user alice", "talk to the secure one"],
  ],
  "serve": [
    ["wsward serve --echo-port 9000 --no-secure", "the echo endpoint alone, at another port"],
    ["wsward serve --config wsward.toml", "settings in a file; wsward config init writes one"],
  ],
  "config": [
    ["wsward config check --config wsward.toml", "every mistake, with its line"],
    ["wsward config show", "what serve would use"],
  ],
  "config check": [
    ["wsward config check --config wsward.toml", "every mistake, with its line"],
    ["wsward config check --echo-port 70000", "flags and variables too"],
  ],
  "config init": [
    ["wsward config init > wsward.toml", "every setting, in comments"],
    ["wsward config check --config wsward.toml", "what is wrong with it"],
  ],
  "config show": [
    ["wsward config show --config wsward.toml", "each value and where it comes from"],
    ["wsward config show --json", "for programs"],
  ],
  "doctor": [
    ["wsward doctor", "whether serve would start here"],
    ["wsward doctor --config wsward.toml --json", "for programs, with these settings"],
  ],
  "token": [
    ["wsward token create --user alice", "a token for 15 minutes"],
    ["wsward token verify --file token.txt", "whether it is valid, and why not"],
  ],
  "token create": [
    ["wsward token create --user alice", "valid for 15 minutes"],
    ["wsward token create --user alice --expires-in 1h --claim role=editor", "with a claim of your own"],
  ],
  "token inspect": [
    ["wsward token create --user alice | wsward token inspect", "what is in a token"],
    ["wsward token inspect --json < token.txt", "for programs"],
  ],
  "token verify": [
    ["wsward token create --user alice | wsward token verify", "by the key file that is here"],
    ["wsward token verify --audience chat < token.txt", "as a server with that setting would"],
  ],
  "key": [
    ["wsward key create --out wsward.key", "a secret"],
    ["wsward key create --alg EdDSA --out private.jwk --public-out public.jwks", "a pair"],
  ],
  "key create": [
    ["wsward key create --out wsward.key", "a secret"],
    ["wsward key create --alg EdDSA --out private.jwk --public-out public.jwks", "a pair"],
  ],
  "connections": [
    ["wsward connections", "who is there, with a session or without"],
    ["wsward connections close ID", "ends a connection"],
  ],
  "connections list": [
    ["wsward connections list", "who is there"],
    ["wsward connections list --json", "for programs"],
  ],
  "connections close": [
    ["wsward connections list", "shows the ids"],
    ["wsward connections close ID", "ends one of them"],
  ],
  "sessions": [
    ["wsward sessions", "who is connected"],
    ["wsward sessions close ID", "ends a session"],
  ],
  "sessions list": [
    ["wsward sessions list", "who is connected"],
    ["wsward sessions list --json", "for programs"],
  ],
  "sessions close": [
    ["wsward sessions list", "shows the ids"],
    ["wsward sessions close ID", "ends one of them"],
  ],
  "nodes": [
    ["wsward nodes", "which processes share one Redis"],
    ["wsward nodes --json", "for programs"],
  ],
  "revoke": [
    ["wsward revoke --user alice --for 1h", "all tokens of a user that were issued until now"],
    ["wsward revoke --jti ID", "one token"],
  ],
  "revocations": [
    ["wsward revocations", "what is revoked"],
    ["wsward revocations remove ID", "takes one back"],
  ],
  "revocations list": [
    ["wsward revocations list", "what is revoked"],
    ["wsward revocations list --json", "for programs"],
  ],
  "revocations remove": [
    ["wsward revocations list", "shows the ids"],
    ["wsward revocations remove ID", "takes one back"],
  ],
  "bans": [
    ["wsward bans", "who is banned"],
    ["wsward bans add 192.0.2.7 --for 10m", "bans an address"],
  ],
  "bans list": [
    ["wsward bans list", "who is banned"],
    ["wsward bans list --json", "for programs"],
  ],
  "bans add": [
    ["wsward bans add 192.0.2.7 --for 10m", "for ten minutes"],
    ["wsward bans add 198.51.100.0/24", "a network, for --ban-time"],
  ],
  "bans remove": [
    ["wsward bans list", "shows the addresses"],
    ["wsward bans remove 192.0.2.7", "lets one in again"],
  ],
  "top": [
    ["wsward top", "of the server at 127.0.0.1:9090"],
    ["wsward top --url http://127.0.0.1:9191", "of another one"],
  ],
  "health": [
    ["wsward health", "ends with 0 if it is alive"],
    ["wsward health --ready", "ends with 0 if it takes connections"],
  ],
  "explain": [
    ["wsward explain 1009", "a close code"],
    ["wsward explain protocol.error", "an event of the log"],
  ],
  "log": [
    ["wsward log verify websocket_errors.log", "finds the first changed record"],
    ["wsward log verify websocket_errors.log.1 websocket_errors.log", "over rotated files, oldest first"],
  ],
  "log verify": [
    ["wsward log verify websocket_errors.log", "finds the first changed record"],
    ["wsward log verify websocket_errors.log.1 websocket_errors.log", "over rotated files, oldest first"],
  ],
  "completions": [
    ["wsward completions bash > ~/.local/share/bash-completion/completions/wsward", "for Bash"],
    ["wsward completions fish > ~/.config/fish/completions/wsward.fish", "for fish"],
  ],
  "man": [
    ["wsward man | man -l -", "reads it"],
    ["wsward man > wsward.1", "keeps it"],
  ],
  "version": [
    ["wsward version", "and how it was built"],
    ["wsward version --sbom", "the packages that it is made of"],
  ],
};

/** The width of the help, in columns. */
export function helpColumns(): number {
  if (!Deno.stdout.isTerminal()) return DEFAULT_COLUMNS;
  try {
    const { columns } = Deno.consoleSize();
    return columns === 0 ? DEFAULT_COLUMNS : Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, columns));
  } catch {
    // Not every terminal knows its size.
    return DEFAULT_COLUMNS;
  }
}

/** What is not as the library does it. `isShort` leaves out the flags of settings that few change. */
export function helpFormat(isShort: boolean): Partial<Help> {
  const usual = new Help();
  const rare = new Set(
    SETTING_NAMES.filter((name) => !COMMON_SETTINGS.includes(name)).map((name) => flagOf(name)),
  );
  return {
    visibleOptions(command) {
      const options = usual.visibleOptions(command);
      return isShort ? options.filter(({ long }) => !rare.has(long ?? "")) : options;
    },
    // One heading for all flags, so that they fit on a screen.
    groupItems(all, visible, groupOf) {
      const items = isShort && visible[0] instanceof Option ? new Map([["Flags:", visible]]) : undefined;
      return items ?? usual.groupItems(all, visible, groupOf);
    },
    commandUsage: (command) => typed(usual.commandUsage(command)),
    // The descriptions name the choices themselves.
    optionDescription: ({ description }: Option) => isShort ? shorten(description) : description,
    argumentDescription: ({ description }) => description,
    subcommandDescription: (command) =>
      typed(isShort ? firstClause(command.description()) : command.description()),
    formatItem(term, termWidth, description, helper) {
      if (!description) return `  ${term}`;
      const columns = helper.helpWidth ?? DEFAULT_COLUMNS;
      const width = columns - termWidth - 4;
      const isNarrow = width < MIN_DESCRIPTION_COLUMNS;
      const indent = " ".repeat(isNarrow ? 6 : termWidth + 4);
      const lines = wrap(description, isNarrow ? columns - 6 : width).join(`\n${indent}`);
      return isNarrow ? `  ${term}\n${indent}${lines}` : `  ${term.padEnd(termWidth)}  ${lines}`;
    },
  };
}

/** The short help of the program: one screen, with all commands and the flags that people change. */
export function formatShortHelp(program: Command, helper: Help): string {
  const columns = helper.helpWidth ?? DEFAULT_COLUMNS;
  const groups = helper.groupItems(
    [...program.commands],
    helper.visibleCommands(program).filter((c) => c.name() !== "help"),
    (c) => c.helpGroup(),
  );
  const commands = Array.from(groups).flatMap(([heading, members]) =>
    wrap(`${heading} ${members.map((command) => command.name()).join(", ")}`, columns - 4).join("\n    ")
      .split("\n")
  );
  const serve = program.commands.find((command) => command.name() === "serve")!;
  const common = new Set(COMMON_SETTINGS.map((name) => flagOf(name)));
  const flags = serve.options.filter(({ long }) => common.has(long ?? ""));
  const width = Math.max(...flags.map((option) => helper.optionTerm(option).length));
  return [
    `Usage: ${helper.commandUsage(program)}`,
    "",
    ...wrap(helper.commandDescription(program), columns),
    "",
    ...commands.map((line) => `  ${line}`),
    "",
    typed("Flags of wsward serve that people change:"),
    ...flags.map((option) =>
      helper.formatItem(helper.optionTerm(option), width, helper.optionDescription(option), helper)
    ),
    "",
    typed("All commands: wsward --help, and all flags: wsward serve --help"),
    "",
  ].join("\n");
}

/** Adds examples to a command and all below it, and to a short help where the rest is. */
export function addHelpEnds(command: Command, isShort: boolean, path: readonly string[] = []): void {
  const examples = EXAMPLES[path.join(" ")];
  if (examples !== undefined) addExamples(command, examples);
  if (isShort && command.options.some(({ long }) => SETTING_NAMES.some((name) => flagOf(name) === long))) {
    const words = ["wsward", ...path, "--help"].join(" ");
    command.addHelpText("after", () => `\nAll flags: ${typed(words)}`);
  }
  for (const child of command.commands) addHelpEnds(child, isShort, [...path, child.name()]);
}

/** Adds examples to the end of the help: the command line, and what it does. */
export function addExamples(command: Command, examples: readonly Example[]): Command {
  return command.addHelpText("after", () => {
    const columns = helpColumns();
    const lines = examples.map(([line, text]) => [typed(line), text] as const);
    const width = Math.max(...lines.map(([line]) => line.length));
    const isNarrow = lines.some(([, text]) => width + text.length + 6 > columns);
    const formatted = lines.map(([line, text]) =>
      isNarrow ? `  # ${text}\n  ${line}` : `  ${line.padEnd(width)}  # ${text}`
    );
    return `\nExamples:\n${formatted.join("\n")}`;
  });
}

/** Adds a paragraph to the end of the help. */
export function addNote(command: Command, text: string): Command {
  return command.addHelpText("after", () => `\n${wrap(text, helpColumns()).join("\n")}`);
}

/** How to ask for the help of the command in a command line, as far as it is known: `wsward token create --help`. */
export function helpCallOf(program: Command, args: readonly string[]): string {
  const words = ["wsward"];
  let at: Command | undefined = program;
  for (const arg of args) {
    at = at.commands.find((command) => command.name() === arg);
    if (at === undefined) break;
    words.push(arg);
  }
  return typed([...words, "--help"].join(" "));
}

/** The first clause of a description, and the default, without range and variable. */
function shorten(description: string): string {
  const fallback = /(?:\(|; )(default [^;]*)(?:; WSWARD_\w+)?\)$/.exec(description)?.[1];
  const clause = firstClause(description);
  return fallback === undefined || fallback === "default none" ? clause : `${clause} (${fallback})`;
}

/** The text before a semicolon, a colon or parentheses. */
function firstClause(text: string): string {
  return text.split(/[;:] | \(/, 1)[0]!;
}

/** Breaks a text into lines of whole words; a longer word gets its own line. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  // Something to be typed is not broken.
  for (const word of text.match(/\w[\w-]* = \S+|\S+/g) ?? []) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
