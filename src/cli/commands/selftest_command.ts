// The command `selftest`: attacks a WebSocket server on this machine, or one that its owner has named twice.

import { type Command, Option } from "commander";
import { UsageError } from "../../core/errors.ts";
import {
  choice,
  duration,
  integer,
  list,
  parseText,
  size,
  type ValueSetting,
} from "../../core/settings/setting_types.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { parseSettings } from "../../core/settings/settings.ts";
import type { Case } from "../../tools/selftest/case.ts";
import type { CaseClass } from "../../tools/selftest/verdict.ts";
import type { SelftestOptions } from "../../tools/selftest/options.ts";
import type { Target } from "../../tools/target.ts";
import type { OwnServer } from "./own_server.ts";
import { addExamples, addNote } from "../about/help.ts";
import {
  addSettingOptions,
  describedOption,
  ENV,
  givenSettings,
  givenValue,
  readConfig,
} from "../setting_options.ts";
import { repeatableOption } from "../strict_command.ts";
import { addColorOption, readNamedFile, readTarget, readTokenFile, usesColor } from "./tool_options.ts";

const CLASS = list({
  group: "Cases",
  placeholder: "class",
  help: "run these cases too: limit uses up what the server allows, exhaustion tries to take it down",
  accepts: (text) => ["harmless", "limit", "exhaustion"].includes(text),
  rule: "limit or exhaustion",
});
const FAIL_ON = choice({
  group: "Result",
  help: "from which result on the exit code is 1",
  choices: ["fail", "warn", "never"],
  default: "fail",
});
const PRESENT = choice({
  group: "Token",
  help: "how the token is presented: as the first message, or in the handshake",
  choices: ["first", "header", "subprotocol", "cookie"],
  default: "first",
});
const NUMBERS = {
  timeout: duration({
    group: "Budget",
    help: "how long an answer may take",
    default: "2s",
    min: "50ms",
    max: "1m",
  }),
  caseTimeout: duration({
    group: "Budget",
    help: "how long a case may take",
    default: "2m",
    min: "1s",
    max: "10m",
  }),
  maxTime: duration({
    group: "Budget",
    help: "how long all of it may take",
    default: "30m",
    min: "100ms",
    max: "1d",
  }),
  maxBytes: size({
    group: "Budget",
    help: "most bytes that are sent in all",
    default: "2GiB",
    min: "1MiB",
    max: "64GiB",
  }),
  connectionRate: integer({
    group: "Budget",
    help: "most connections that are opened in a second",
    default: "40",
    min: "1",
    max: "1000",
  }),
  frameThreshold: size({
    group: "Thresholds",
    help: "frame from which on there is said to be no limit",
    default: "32MiB",
    min: "1KiB",
    max: "1GiB",
  }),
  messageThreshold: size({
    group: "Thresholds",
    help: "message in fragments from which on there is said to be no limit",
    default: "64MiB",
    min: "1KiB",
    max: "1GiB",
  }),
  fragmentThreshold: integer({
    group: "Thresholds",
    help: "fragments of a message from which on there is said to be no limit",
    default: "100000",
    min: "10",
    max: "10000000",
  }),
  rateThreshold: integer({
    group: "Thresholds",
    help: "Pings in four seconds from which on there is said to be no limit",
    default: "50000",
    min: "100",
    max: "10000000",
  }),
  connectionThreshold: integer({
    group: "Thresholds",
    help: "connections at once from which on there is said to be no limit",
    default: "200",
    min: "1",
    max: "10000",
  }),
  silenceThreshold: duration({
    group: "Thresholds",
    help: "how long a peer may be silent at most",
    default: "30s",
    min: "100ms",
    max: "10m",
  }),
  hangUpThreshold: duration({
    group: "Thresholds",
    help: "how long a closed connection may be held at most",
    default: "10s",
    min: "100ms",
    max: "10m",
  }),
} as const satisfies Readonly<Record<string, ValueSetting<number>>>;

type NumberName = keyof typeof NUMBERS;

interface Flags extends Readonly<Partial<Record<NumberName, string>>> {
  readonly class?: readonly string[];
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly list?: boolean;
  readonly strict?: boolean;
  readonly trace?: boolean;
  readonly json?: boolean;
  readonly junit?: string;
  readonly sarif?: string;
  readonly failOn?: string;
  readonly iAmAuthorised?: string;
  readonly send?: string;
  readonly expect?: string;
  readonly tokenFile?: string;
  readonly token?: string;
  readonly present?: string;
  readonly sendTokenTo?: string;
  readonly pid?: string;
  readonly insecure?: boolean;
  readonly ca?: string;
}

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Adds `selftest` to `program`; `exitWith` is called with the exit code at the end. */
export function addSelftestCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("selftest")
    .description("attack a WebSocket server and tell what it does wrong; without a URL, one of our own")
    .argument(
      "[url]",
      "ws://, wss:// or unix:///SOCKET:/PATH; a server with these settings is started if left out",
    )
    .addOption(describedOption("--class", CLASS).helpGroup("Cases:"));
  const options = [
    repeatableOption(
      "--only <name>",
      "run this case or group only, or all that begin so: close-*; can be repeated",
    ),
    repeatableOption("--skip <name>", "leave this case or group out; can be repeated"),
    new Option("--list", "list the cases with what they send and what is right, and run none"),
  ].map((option) => option.helpGroup("Cases:"));
  const results = [
    new Option("--strict", "take each warning for a fail"),
    new Option("--trace", "show the bytes on the wire"),
    new Option("--json", "print the report as JSON"),
    new Option("--junit <path>", "write the report as JUnit XML to this file too"),
    new Option("--sarif <path>", "write the findings as SARIF to this file too"),
    describedOption("--fail-on", FAIL_ON),
  ].map((option) => option.helpGroup("Result:"));
  const target = [
    new Option(
      "--i-am-authorised <host>",
      "repeat the host of the URL: whose server is not on this machine must agree",
    ),
    new Option("--send <text>", "text to send where any would do (default: wsward selftest)"),
    new Option("--expect <text>", "what the server answers to it, if it does not echo"),
    new Option("--pid <number>", "process of the server, whose descriptors are counted; needs --allow-all"),
    new Option("-k, --insecure", "take any certificate"),
    new Option("--ca <path>", "certificate authority in PEM to trust besides the system's"),
  ].map((option) => option.helpGroup("Target:"));
  const token = [
    new Option("--token <token>", "token that opens a session; others can see arguments, so prefer a file"),
    new Option("--token-file <path>", "file with a token that opens a session"),
    describedOption("--present", PRESENT),
    new Option("--send-token-to <host>", "repeat the host of the URL, to let a token leave this machine"),
  ].map((option) => option.helpGroup("Token:"));
  const numbers = Object.entries(NUMBERS).map(([name, setting]) =>
    describedOption(flagOf(name), setting).helpGroup(`${setting.group}:`)
  );
  for (const option of [...options, ...results, ...target, ...token, ...numbers]) command.addOption(option);
  addColorOption(command);
  addSettingOptions(command);
  addExamples(command, [
    ["wsward selftest", "a server of our own, in about half a minute"],
    ["wsward selftest ws://127.0.0.1:8080/ --class limit", "any server, and what it allows"],
    ["wsward selftest --only close-code-invalid --trace", "one case, with the bytes on the wire"],
    ["wsward selftest ws://ws.example.com/ --i-am-authorised ws.example.com", "your own server elsewhere"],
  ]);
  addNote(
    command,
    "Ends with 0 without findings, 1 with some (--fail-on), 2 for a command line that can't be used or a host that is not " +
      "repeated, 3 when the server can't be tested, 4 when it stopped answering, 130 after Ctrl-C.",
  );
  command.action(async (url: string | undefined) => exitWith(await run(command, url)));
}

async function run(command: Command, url: string | undefined): Promise<number> {
  const flags = command.opts<Flags>();
  const classes = new Set<CaseClass>(["harmless"]);
  for (const given of flags.class ?? []) classes.add(parseText("--class", CLASS, given) as CaseClass);
  const failOn = flags.failOn === undefined ? FAIL_ON.default : parseText("--fail-on", FAIL_ON, flags.failOn);
  const selection = { classes, only: flags.only ?? [], skip: flags.skip ?? [] };
  // Loaded late, like all tools.
  const [{ selectCases }, { SelftestSession }] = await Promise.all([
    import("../../tools/selftest/run.ts"),
    import("./selftest_session.ts"),
  ]);
  const cases = selectCases(selection);
  if (flags.list) return await printList(cases);
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, setting]) => {
      const given = flags[name as NumberName];
      return [name, given === undefined ? setting.default : parseText(flagOf(name), setting, given)];
    }),
  ) as Record<NumberName, number>;
  if (flags.token !== undefined && flags.tokenFile !== undefined) {
    throw new UsageError("Cannot use --token with --token-file: there is one token");
  }
  const settings = parseSettings(givenSettings(command), ENV, await readConfig(command));
  const target = url === undefined ? undefined : await readTarget(url);
  if (target === undefined && flags.iAmAuthorised !== undefined) {
    throw new UsageError("Cannot use --i-am-authorised without a URL: a server of our own is tested");
  }
  const common = {
    ...selection,
    strict: flags.strict === true,
    timeoutMs: numbers.timeout,
    caseTimeoutMs: numbers.caseTimeout,
    maxTimeMs: numbers.maxTime,
    maxBytes: numbers.maxBytes,
    connectionRate: numbers.connectionRate,
    thresholds: {
      frame: numbers.frameThreshold,
      message: numbers.messageThreshold,
      fragments: numbers.fragmentThreshold,
      messages: numbers.rateThreshold,
      connections: numbers.connectionThreshold,
      silenceMs: numbers.silenceThreshold,
      hangUpMs: numbers.hangUpThreshold,
    },
    send: flags.send === undefined ? "wsward selftest" : parseText("--send", SEND, flags.send),
    expect: flags.expect,
    present: flags.present === undefined ? PRESENT.default : parseText("--present", PRESENT, flags.present),
    pid: flags.pid === undefined ? undefined : parseText("--pid", PID, flags.pid),
    tls: {
      insecure: flags.insecure === true,
      ca: await readCa(flags, target === undefined ? settings : undefined),
    },
  };
  const session = new SelftestSession({
    ...flags,
    json: flags.json === true,
    trace: flags.trace === true,
    color: usesColor(command),
    failOn,
    url: target?.url,
    cases,
  });
  if (target !== undefined) {
    const address = await authorise(target, flags.iAmAuthorised);
    const { token, forge } = await credentials(command, flags, target, settings);
    return await session.test([{ ...common, target, address, token, forge }]);
  }
  const { startOwnServer } = await import("./own_server.ts");
  const server = await startOwnServer(settings);
  try {
    // It runs in this process.
    return await session.test(await ownTargets(server, { ...common, pid: common.pid ?? Deno.pid }));
  } finally {
    await server.stop();
  }
}

// ASCII, because it is cut in two, and not inside a character.
const SEND = {
  rule: "2 to 100 characters of printable ASCII",
  parse: (text: string) => /^[ -~]{2,100}$/.test(text) ? text : undefined,
};

const PID = {
  rule: "the number of a process",
  parse: (text: string) => /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined,
};

async function printList(cases: readonly Case[]): Promise<number> {
  const { listCases } = await import("../../tools/selftest/report_text.ts");
  console.log(listCases(cases));
  return 0;
}

async function readCa(flags: Flags, own: Settings | undefined): Promise<string | undefined> {
  if (flags.ca !== undefined) return await readNamedFile("--ca", flags.ca);
  // Our own server's certificate is trusted.
  return own?.tlsCert === undefined ? undefined : await readNamedFile("--tls-cert", own.tlsCert);
}

/**
 * The address of the target, which must be on this machine, or its host must be repeated. Throws {@linkcode
 * UsageError}.
 */
async function authorise(target: Target, authorised: string | undefined): Promise<string | undefined> {
  if (target.socketPath !== undefined) return undefined;
  if (authorised !== undefined && authorised !== target.hostname) {
    throw new UsageError(
      `Cannot use --i-am-authorised ${JSON.stringify(authorised)}: the host of the URL is ${
        JSON.stringify(target.hostname)
      }`,
    );
  }
  const [{ isLoopback }, { resolveHost }] = await Promise.all([
    import("../../tools/target.ts"),
    import("../../tools/resolve_host.ts"),
  ]);
  const addresses = await resolveHost(target.hostname);
  if (authorised === undefined && !addresses.every(isLoopback)) {
    throw new UsageError(
      `Cannot test ${JSON.stringify(target.hostname)}: it is not this machine. If it is yours to test, ` +
        `repeat its name: --i-am-authorised ${target.hostname}`,
    );
  }
  return await firstThatListens(addresses, target.port);
}

/** A name can have an address of each family, and the server may listen on one of them. */
async function firstThatListens(addresses: readonly string[], port: number): Promise<string | undefined> {
  for (const hostname of addresses.slice(0, -1)) {
    try {
      (await Deno.connect({ hostname, port })).close();
      return hostname;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) return hostname;
    }
  }
  return addresses.at(-1);
}

/** A token, or a key to make tokens with, if one was given. */
async function credentials(
  command: Command,
  flags: Flags,
  target: Target,
  settings: Settings,
): Promise<Pick<SelftestOptions, "token" | "forge">> {
  const hasKey = givenValue(command, "keyFile") !== undefined;
  const token = flags.tokenFile === undefined ? flags.token : await readTokenFile(flags.tokenFile);
  if (!hasKey && token === undefined) return { token: undefined, forge: undefined };
  const { isThisMachine } = await import("../../tools/resolve_host.ts");
  const isHere = target.socketPath !== undefined || await isThisMachine(target.hostname);
  if (!isHere && flags.sendTokenTo !== target.hostname) {
    throw new UsageError(
      `Cannot send tokens to ${JSON.stringify(target.hostname)}: it is not this machine, ` +
        `so repeat the host with --send-token-to ${target.hostname}`,
    );
  }
  if (!hasKey) return { token, forge: undefined };
  const { openForge } = await import("../../tools/selftest/forge.ts");
  const forge = await openForge(settings);
  return { token: token ?? await forge.valid(3_600_000), forge };
}

/** The targets on our own server: its echo endpoint, and the tokens of its secure endpoint. */
async function ownTargets(
  { urls, keyFile }: OwnServer,
  common: Omit<SelftestOptions, "target" | "address" | "token" | "forge">,
): Promise<readonly SelftestOptions[]> {
  const { echo, secure } = urls;
  const targets: SelftestOptions[] = [];
  const address = "127.0.0.1";
  if (echo !== undefined) {
    const skip = secure === undefined ? common.skip : [...common.skip, "token"];
    targets.push({
      ...common,
      skip,
      target: await readTarget(echo),
      address,
      token: undefined,
      forge: undefined,
    });
  }
  if (secure !== undefined) {
    const { openForge } = await import("../../tools/selftest/forge.ts");
    const forge = await openForge({ keyFile, issuer: undefined, audience: [], tokenType: undefined });
    // All cases if there is no echo endpoint.
    const only = echo === undefined ? common.only : ["token"];
    targets.push({
      ...common,
      only,
      target: await readTarget(secure),
      address,
      token: await forge.valid(3_600_000),
      forge,
    });
  }
  return targets;
}
