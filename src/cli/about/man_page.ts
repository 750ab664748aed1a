// The manual page, for man(7), made from the same declarations as the help.

import config from "../../../deno.json" with { type: "json" };
import { SETTING_NAMES } from "../../core/settings/declarations.ts";
import { declarationOf, flagOf } from "../../core/settings/settings.ts";
import { CLOSE_CODES } from "../../protocol/close_code.ts";
import { type CommandNode, type FlagNode, listCommands } from "../command_tree.ts";

/** The longest line of text in the source. */
const MAX_COLUMNS = 78;

/** A term and its explanation. */
type Item = readonly [term: string, text: string];

const USAGE = "Every command takes --help. Durations are written 30s or 1h30m, sizes 64KiB or 1MiB.";

const EXIT_CODES: readonly Item[] = [
  ["0", "What was asked for is done; serve has been stopped by SIGINT or SIGTERM."],
  [
    "1",
    "It can't be done, or what was to be verified is not valid; selftest has findings; connect was closed with an error.",
  ],
  ["2", "The command line or a variable can't be used."],
  ["3", "connect and selftest found no server that can be talked to."],
  ["4", "connect was refused; the server stopped answering during selftest."],
  ["5", "connect lost its connection without a Close frame."],
  ["130, 143", "serve has been ended by a second SIGINT or SIGTERM, connect or selftest by SIGINT."],
];

const SIGNALS: readonly Item[] = [
  [
    "SIGINT, SIGTERM",
    "serve accepts nothing more, closes every connection with 1001, and ends after --drain-timeout at the " +
    "latest; a second one, more than a second later, ends it at once.",
  ],
  [
    "SIGHUP",
    "serve reads the rules file, the certificate and the keys again and opens the log file again; it drops " +
    "no connection that is still allowed. When its terminal is closed, it ends as by SIGTERM.",
  ],
  [
    "SIGUSR1",
    "The runtime opens a debugger on 127.0.0.1:9229, in which any local user can run code, so serve ends at " +
    "once. The executable on Linux, the unit of systemd and the start task block the signal; elsewhere start it " +
    "with env --block-signal=USR1, and never send it.",
  ],
];

/** The page for the commands of `program`, dated `date`. */
export function createManPage(program: CommandNode, date: Date): string {
  const commands = listCommands(program).filter(doesSomething);
  return [
    `.TH WSWARD 1 ${date.toISOString().slice(0, 10)} "wsward ${config.version}" "User Commands"`,
    // Words such as the names of variables are not broken.
    ".nh",
    ".ad l",
    ".SH NAME",
    "wsward \\- a hardened WebSocket server",
    ".SH SYNOPSIS",
    ...commands.flatMap((command) => [formatCall(command), ".br"]).slice(0, -1),
    ".SH DESCRIPTION",
    formatText(`${program.description} ${USAGE}`),
    ".SH COMMANDS",
    ...formatCommands(commands),
    ...formatSection("ENVIRONMENT", variableItems(commands)),
    ...formatSection("FILES", fileItems()),
    ...formatSection("EXIT STATUS", EXIT_CODES),
    ...formatSection("SIGNALS", SIGNALS),
    ...formatSection("CLOSE CODES", closeCodeItems()),
  ].join("\n");
}

/** Whether it is not only a group of other commands, nor the help. */
function doesSomething({ path, commands }: CommandNode): boolean {
  return path.at(-1) !== "help" && !commands.some((child) => child.path.at(-1) === "help");
}

/** The commands with their flags, of which each is described once: many commands share some. */
function formatCommands(commands: readonly CommandNode[]): readonly string[] {
  const described = new Set<string>();
  return commands.flatMap((command) => {
    const flags = command.flags.filter(({ names }) => !names.includes("--help"));
    const [known = [], others = []] = [true, false].map((isKnown) =>
      flags.filter((flag) => described.has(JSON.stringify(flag)) === isKnown)
    );
    for (const flag of others) described.add(JSON.stringify(flag));
    return [
      `.SS ${formatCall(command)}`,
      formatText(`${capitalized(command.description)}.`),
      ...command.arguments.flatMap(({ term, description }) => formatItem(italic(term), description)),
      ...Array.from(Map.groupBy(others, ({ group }) => group), ([group, members]) => [
        ".PP",
        `${escape(group)}:`,
        ...members.flatMap((flag) => formatItem(formatFlag(flag), flag.description)),
      ]).flat(),
      ...known.length === 0
        ? []
        : [".PP", formatText(`As above: ${known.map(({ names }) => names.at(-1)).join(", ")}.`)],
    ];
  });
}

/** How a command is called: the command in bold, placeholders in italics. */
function formatCall({ path, flags, arguments: args }: CommandNode): string {
  const rest = [...(flags.length > 1 ? ["[flag...]"] : []), ...args.map(({ term }) => term)];
  return [bold(["wsward", ...path].join(" ")), ...rest.map(italic)].join(" ");
}

function formatFlag({ names, value }: FlagNode): string {
  const spellings = names.map(bold).join(", ");
  return value === undefined ? spellings : `${spellings} ${italic(value.term)}`;
}

/** The descriptions of flags name their variables. */
function variableItems(commands: readonly CommandNode[]): readonly Item[] {
  const flags = commands.flatMap(({ flags }) => flags).flatMap(({ names, description }) => {
    const [variable] = /\bWSWARD_\w+(=\w+)?/.exec(description) ?? [];
    return variable === undefined ? [] : [[variable, `As ${names.at(-1)}.`] as const];
  });
  // Many commands share a flag.
  return [...new Map(flags)];
}

function fileItems(): readonly Item[] {
  return SETTING_NAMES.flatMap((name) => {
    const setting = declarationOf(name);
    if (setting.kind !== "value" || setting.placeholder !== "path") return [];
    const term = setting.default === undefined ? `${flagOf(name)} <path>` : setting.defaultText;
    return [[
      term,
      `${capitalized(setting.help)}${setting.default === undefined ? "" : ` (${flagOf(name)})`}.`,
    ]];
  });
}

function closeCodeItems(): readonly Item[] {
  return Object.entries(CLOSE_CODES).flatMap(([code, { name, meaning }]) =>
    meaning === undefined ? [] : [[`${code} ${name}`, `${capitalized(meaning)}.`]]
  );
}

function formatSection(title: string, items: readonly Item[]): readonly string[] {
  return [`.SH ${title}`, ...items.flatMap(([term, text]) => formatItem(bold(term), text))];
}

function formatItem(term: string, text: string): readonly string[] {
  return [".TP", term, formatText(text)];
}

/** Lines of text, none of which looks like a roff request. */
function formatText(text: string): string {
  const lines = [""];
  for (const word of escape(text).split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= MAX_COLUMNS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => line.replace(/^[.]/, "\\&.")).join("\n");
}

function bold(text: string): string {
  return `\\fB${escape(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${escape(text)}\\fR`;
}

/** Escapes characters: otherwise a hyphen would become one that shells don't know. */
function escape(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
  };
  return text.replace(/[\\\-'`^~]/g, (character) => names[character]!);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
