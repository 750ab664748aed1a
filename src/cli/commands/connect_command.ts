// The command `connect`: a client for a terminal or a pipe.

import { urlHost } from "../../core/shown.ts";
import { type Command, Option } from "commander";
import { UsageError } from "../../core/errors.ts";
import { choice, duration, parseText, size } from "../../core/settings/setting_types.ts";
import type { Target } from "../../tools/target.ts";
import { addExamples, addNote } from "../about/help.ts";
import { addSettingOptions, describedOption, settingReader } from "../setting_options.ts";
import { repeatableOption } from "../strict_command.ts";
import {
  addColorOption,
  groupedSwitch,
  readNamedFile,
  readTarget,
  readTokenFile,
  usesColor,
} from "./tool_options.ts";

const PRESENT = choice({
  group: "Token",
  help: "how the token is presented: as the first message, or in the handshake",
  choices: ["first", "header", "subprotocol", "cookie"],
  default: "first",
});
const TIMEOUT = duration({
  group: "Connection",
  help: "how long the connection, the handshake and the answer to a Close may take, each",
  default: "10s",
  min: "100ms",
  max: "10m",
});
const WAIT = duration({
  group: "Messages",
  help: "at the end of the input, close when nothing came for so long",
  default: "5s",
  min: "0s",
  max: "1d",
});
const MAX_MESSAGE_SIZE = size({
  group: "Messages",
  help: "largest message that is taken",
  default: "16MiB",
  min: "1B",
  max: "256MiB",
});
const TOKEN_LIFETIME_MS = 15 * 60_000;
/** The cookie of `--present cookie`. */
const COOKIE = "token";
// RFC 9110 §5.6.2 and §5.5.
const HEADER = {
  rule: '"Name: value" in printable ASCII, and none of those that make the handshake',
  parse: (text: string) =>
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*$/.test(text) &&
      !/^(host|upgrade|connection|content-length|transfer-encoding|sec-websocket-\w+):/i.test(text)
      ? text
      : undefined,
};
const SUBPROTOCOL = {
  rule: "a name without spaces, commas or quotes",
  parse: (text: string) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text) ? text : undefined,
};
const ORIGIN = {
  rule: "an origin such as https://example.com",
  parse: (text: string) => /^[!-~]+$/.test(text) ? text : undefined,
};

interface Flags {
  readonly user?: string;
  readonly tokenFile?: string;
  readonly present?: string;
  readonly sendTokenTo?: string;
  readonly header?: readonly string[];
  readonly origin?: string;
  readonly subprotocol?: readonly string[];
  readonly execute?: readonly string[];
  readonly wait?: string;
  readonly timeout?: string;
  readonly maxMessageSize?: string;
  readonly showPings?: boolean;
  readonly insecure?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly binary?: boolean;
  readonly json?: boolean;
  readonly one?: boolean;
  readonly close: boolean;
  readonly timestamps?: boolean;
  readonly rtt?: boolean;
  readonly reconnect?: boolean;
  readonly verbose?: boolean;
}

/** Adds `connect` to `program`; `exitWith` is called with the exit code at the end. */
export function addConnectCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("connect").description(
    "talk to a WebSocket server, from a terminal or in a pipe",
  )
    .argument(
      "[url]",
      "ws://, wss:// or unix:///SOCKET:/PATH; if left out, our own endpoint, by the same settings",
    )
    .addOption(repeatableOption("-H, --header <line>", "another header of the handshake; can be repeated"))
    .addOption(new Option("-o, --origin <origin>", "origin that a browser would send"))
    .addOption(repeatableOption("-s, --subprotocol <name>", "subprotocol to offer; can be repeated"))
    .addOption(describedOption("--timeout", TIMEOUT))
    .option("--reconnect", "connect again when the connection ends, each time a little later")
    .option("-v, --verbose", "show the heads of the handshake and what was counted");
  const switches = [
    ["TLS", "-k, --insecure", "take any certificate"],
    ["Messages", "-P, --show-pings", "show Pings and Pongs"],
    ["Messages", "--binary", "send binary messages, and write those that come as they are"],
    ["Messages", "--json", "write a JSON object a line for all that happens"],
    ["Messages", "-1, --one", "close after one message"],
    ["Messages", "-n, --no-close", "at the end of the input, stay until the server closes"],
    ["Messages", "--timestamps", "put the time in front of each line"],
    ["Messages", "--rtt", "send a Ping a second and show how long its Pong takes"],
  ] as const;
  for (const [group, flags, description] of switches) {
    command.addOption(groupedSwitch(group, flags, description));
  }
  const valued = [
    repeatableOption(
      "-x, --execute <text>",
      "send this in place of what is typed or piped in; can be repeated",
    )
      .helpGroup("Messages:"),
    new Option(
      "-w, --wait <duration>",
      "at the end of the input, close when nothing came for so long (default: when each message has an answer, " +
        "or nothing came for 5s)",
    ).helpGroup("Messages:"),
    describedOption("--max-message-size", MAX_MESSAGE_SIZE).helpGroup("Messages:"),
    new Option("--ca <path>", "certificate authority in PEM to trust besides the system's").helpGroup("TLS:"),
    new Option("--cert <path>", "certificate in PEM to show to the server").helpGroup("TLS:"),
    new Option("--key <path>", "private key of that certificate, in PEM").helpGroup("TLS:"),
    new Option("--user <name>", "make a token for this user with --key-file").helpGroup("Token:"),
    new Option("--token-file <path>", "file with a token").helpGroup("Token:"),
    describedOption("--present", PRESENT).helpGroup("Token:"),
    new Option("--send-token-to <host>", "repeat the host of the URL, to let a token leave this machine")
      .helpGroup(
        "Token:",
      ),
  ];
  for (const option of valued) command.addOption(option);
  addSettingOptions(command, ["keyFile", "keyEncoding", "issuer", "audience", "tokenType"]);
  addColorOption(command);
  addExamples(command, [
    ["wsward connect", "our echo: type, and Ctrl-D to end"],
    ["echo hello | wsward connect", "answers to stdout, all else to stderr"],
    ["wsward connect --user alice", "our secure endpoint, with a token made here"],
    ["wsward connect wss://example.com/ -x ping -1", "one message, one answer"],
  ]);
  addNote(
    command,
    "Ends with 0 after a Close with 1000, 1001 or no code, 1 after another, 2 for a command line that can't be used, " +
      "3 when it can't connect, 4 when it is refused, 5 when the connection is lost, 130 after Ctrl-C.",
  );
  command.action(async (url: string | undefined) => exitWith(await run(command, url)));
}

async function run(command: Command, url: string | undefined): Promise<number> {
  const flags = command.opts<Flags>();
  if (flags.user !== undefined && flags.tokenFile !== undefined) {
    throw new UsageError("Cannot use --user with --token-file: there is one token");
  }
  if ((flags.cert === undefined) !== (flags.key === undefined)) {
    throw new UsageError("Cannot use only one of --cert and --key: a certificate needs both");
  }
  const hasToken = flags.user !== undefined || flags.tokenFile !== undefined;
  const target = url === undefined ? await ownTarget(command, hasToken) : await readTarget(url);
  if (flags.present !== undefined && !hasToken) {
    throw new UsageError("Cannot use --present without a token: name one with --user or --token-file");
  }
  const headers = (flags.header ?? []).map((line) => parseText("--header", HEADER, line));
  if (flags.origin !== undefined) headers.push(`Origin: ${parseText("--origin", ORIGIN, flags.origin)}`);
  const subprotocols = (flags.subprotocol ?? []).map((name) => parseText("--subprotocol", SUBPROTOCOL, name));
  const present = flags.present === undefined
    ? PRESENT.default
    : parseText("--present", PRESENT, flags.present);
  const waitMs = flags.wait === undefined ? undefined : parseText("--wait", WAIT, flags.wait);
  const timeoutMs = flags.timeout === undefined
    ? TIMEOUT.default
    : parseText("--timeout", TIMEOUT, flags.timeout);
  const maxMessageSize = flags.maxMessageSize === undefined
    ? MAX_MESSAGE_SIZE.default
    : parseText("--max-message-size", MAX_MESSAGE_SIZE, flags.maxMessageSize);
  const file = async (flag: string, path: string | undefined) =>
    path === undefined ? undefined : await readNamedFile(flag, path);
  const tls = {
    insecure: flags.insecure === true,
    ca: await file("--ca", flags.ca),
    cert: await file("--cert", flags.cert),
    key: await file("--key", flags.key),
  };
  let firstMessage: string | undefined;
  if (hasToken) {
    await refuseToLeak(target, flags);
    const token = await obtainToken(command, flags);
    if (present === "first") firstMessage = token;
    if (present === "header") headers.push(`Authorization: Bearer ${token}`);
    if (present === "cookie") headers.push(`Cookie: ${COOKIE}=${token}`);
    if (present === "subprotocol") subprotocols.unshift(`bearer.${token}`);
  }
  // Loaded late, like all tools.
  const { connect } = await import("../../tools/connect/connect.ts");
  return await connect({
    open: { target, tls, headers, subprotocols, timeoutMs, maxMessageSize },
    firstMessage,
    execute: flags.execute ?? [],
    waitMs,
    showPings: flags.showPings === true,
    binary: flags.binary === true,
    json: flags.json === true,
    one: flags.one === true,
    noClose: !flags.close,
    timestamps: flags.timestamps === true,
    rtt: flags.rtt === true,
    reconnect: flags.reconnect === true,
    verbose: flags.verbose === true,
    color: usesColor(command),
  });
}

/** Where a server with the same settings listens. */
async function ownTarget(command: Command, isSecure: boolean): Promise<Target> {
  const setting = await settingReader(command);
  const port = setting(isSecure ? "securePort" : "echoPort");
  if (port === 0) {
    throw new UsageError("Cannot tell where to connect to: the port is 0, so give the URL of the ready line");
  }
  const host = setting("host");
  const isAny = host === "0.0.0.0" || host === "::";
  const scheme = setting("tlsCert") === undefined ? "ws" : "wss";
  return await readTarget(
    `${scheme}://${isAny ? "127.0.0.1" : urlHost(host)}:${port}/`,
  );
}

// A token made here allows all that its user may do, and over plain TCP anybody on the way can read it.
async function refuseToLeak(target: Target, { user, sendTokenTo }: Flags): Promise<void> {
  if (target.socketPath !== undefined || sendTokenTo === target.hostname) return;
  if (user === undefined && target.isTls) return;
  const { isThisMachine } = await import("../../tools/resolve_host.ts");
  if (await isThisMachine(target.hostname)) return;
  throw new UsageError(
    `Cannot send a token to ${JSON.stringify(target.hostname)}: it is not this machine, ` +
      `so repeat the host with --send-token-to ${target.hostname}`,
  );
}

async function obtainToken(command: Command, { user, tokenFile }: Flags): Promise<string> {
  if (tokenFile !== undefined) return await readTokenFile(tokenFile);
  const setting = await settingReader(command);
  const { mintFromFile } = await import("./token_create_command.ts");
  return await mintFromFile({ keyFile: setting("keyFile"), encoding: setting("keyEncoding") }, {
    user: user!,
    expiresInMs: TOKEN_LIFETIME_MS,
    claims: {},
    issuer: setting("issuer"),
    audience: setting("audience"),
    tokenType: setting("tokenType"),
  });
}
