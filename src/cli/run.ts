// The command line: every command, as the command-line library knows it.

import { CommanderError } from "commander";
import config from "../../deno.json" with { type: "json" };
import { UsageError } from "../core/errors.ts";
import { addDoctorCommand } from "./commands/doctor_command.ts";
import { addExplainCommand } from "./commands/explain_command.ts";
import { addBansCommand } from "./commands/bans_command.ts";
import { addCompletionsCommand } from "./commands/completions_command.ts";
import { addConfigCommand } from "./commands/config_command.ts";
import { addConnectionsCommand } from "./commands/connections_command.ts";
import { addConnectCommand } from "./commands/connect_command.ts";
import { addHealthCommand } from "./commands/health_command.ts";
import { addHelpEnds, formatShortHelp, helpCallOf, helpColumns, helpFormat } from "./about/help.ts";
import { addKeyCommand } from "./commands/key_command.ts";
import { addLogCommand } from "./commands/log_command.ts";
import { addManCommand } from "./commands/man_command.ts";
import { addMisbehaveCommand } from "./commands/misbehave_command.ts";
import { addRevocationsCommand } from "./commands/revocations_command.ts";
import { addRevokeCommand } from "./commands/revoke_command.ts";
import { addSelftestCommand } from "./commands/selftest_command.ts";
import { addServeCommand } from "./commands/serve_command.ts";
import { addNodesCommand } from "./commands/nodes_command.ts";
import { addSessionsCommand } from "./commands/sessions_command.ts";
import { StrictCommand } from "./strict_command.ts";
import { addTokenCommand } from "./commands/token_command.ts";
import { addTopCommand } from "./commands/top_command.ts";
import { addVersionCommand } from "./commands/version_command.ts";

/** What other servers have, and what to use here. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["--port", "--echo-port and --secure-port are the two ports"],
  ["-p", "--echo-port and --secure-port are the two ports"],
  ["--bind", "--host is the address"],
  ["--daemon", "let a service manager start it, see scripts/deploy"],
  ["start", "use serve"],
  ["reload", "send SIGHUP to the server: systemctl reload wsward, or kill -HUP and its process id"],
  ["stop", "send SIGTERM to the server: systemctl stop wsward, or kill and its process id"],
  ["restart", "send SIGTERM to the server and start it again: systemctl restart wsward"],
  ["status", "use top or health"],
]);

/**
 * Runs the command that `args` name and returns the exit code. Throws `UsageError` for a command line or a variable that
 * cannot be used, and `StartError` for what could not be done.
 */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram((code) => exitCode = code, args.includes("-h") && !args.includes("--help"));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help or the version was asked for, or there was no command: the answer is printed already.
    if (error.exitCode === 0 || error.code === "commander.help") return 0;
    const message = error.message.replace(/^error: |\.$/g, "");
    const [, word = ""] = /^unknown (?:option|command) '([^']*)'/.exec(message) ?? [];
    const hint = ELSEWHERE.get(word);
    const why = hint === undefined ? message : `there is no ${word}: ${hint}`;
    throw new UsageError(`Cannot read the command line: ${why}; see ${helpCallOf(program, args)}`);
  }
}

function createProgram(exitWith: (code: number) => void, isShort: boolean): StrictCommand {
  const program = new StrictCommand("wsward");
  // Before any subcommand is added, because subcommands copy these. The library would find out widths and colours from
  // variables that the program may not read.
  program.exitOverride().enablePositionalOptions().configureOutput({
    writeOut: printHelp,
    writeErr: printHelp,
    outputError: () => {},
    getOutHelpWidth: helpColumns,
    getErrHelpWidth: helpColumns,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  })
    .configureHelp(helpFormat(isShort));
  program.description("A hardened WebSocket server: an echo endpoint and one that asks for a token first.")
    .version(`wsward ${config.version}`, "-V, --version", "print the version")
    .helpOption("-h, --help", "show the help, -h in short");
  program.commandsGroup("Serve:");
  addServeCommand(program, exitWith);
  addConfigCommand(program, exitWith);
  addDoctorCommand(program, exitWith);
  program.commandsGroup("Tokens and keys:");
  addTokenCommand(program, exitWith);
  addKeyCommand(program);
  program.commandsGroup("Test:");
  addSelftestCommand(program, exitWith);
  addConnectCommand(program, exitWith);
  addMisbehaveCommand(program);
  program.commandsGroup("Watch and act on a running server:");
  addConnectionsCommand(program);
  addSessionsCommand(program);
  addNodesCommand(program);
  addRevokeCommand(program);
  addRevocationsCommand(program);
  addBansCommand(program);
  addTopCommand(program);
  addHealthCommand(program);
  program.commandsGroup("Read up:");
  addExplainCommand(program);
  addLogCommand(program, exitWith);
  addCompletionsCommand(program);
  addManCommand(program);
  addVersionCommand(program);
  addHelpEnds(program, isShort);
  // Only for the program itself: commands have their own.
  if (isShort) program.configureHelp({ ...helpFormat(true), formatHelp: formatShortHelp });
  return program;
}

function printHelp(text: string): void {
  console.log(text.trimEnd());
}
