// The command `misbehave`: a server on this machine that clients are tested against.

import type { Command } from "commander";
import { duration, integer, optionalText, parseText, port, size } from "../../core/settings/setting_types.ts";
import { addExamples } from "../about/help.ts";
import { describedOption } from "../setting_options.ts";
import { formatColumns } from "../client/printed.ts";
import { addColorOption, usesColor } from "./tool_options.ts";

const HOST = optionalText({
  group: "Listener",
  placeholder: "address",
  help: "loopback address to listen on",
  accepts: (text) => /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(text) || text === "::1",
  rule: "a loopback address, 127.0.0.1 or ::1: this server is bad for everybody else",
  unset: "127.0.0.1",
});
const PORT = port({ group: "Listener", help: "port to listen on, 0 for a free one", default: "8899" });
const MAX_CONNECTIONS = integer({
  group: "Limits",
  help: "most connections at once",
  default: "100",
  min: "1",
  max: "10000",
});
const MAX_LIFETIME = duration({
  group: "Limits",
  help: "how long a connection may last",
  default: "10m",
  min: "100ms",
  max: "1d",
});
const MAX_SENT = size({
  group: "Limits",
  help: "most bytes that one connection is sent",
  default: "1GiB",
  min: "1KiB",
  max: "64GiB",
});

interface Flags {
  readonly host?: string;
  readonly port?: string;
  readonly maxConnections?: string;
  readonly maxLifetime?: string;
  readonly maxSent?: string;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** Adds `misbehave` to `program`. */
export function addMisbehaveCommand(program: Command): void {
  const command = program.command("misbehave")
    .description("serve a WebSocket that does what its path says, to test clients against")
    .addOption(describedOption("--host", HOST).helpGroup("Listener:"))
    .addOption(describedOption("--port", PORT).helpGroup("Listener:"))
    .addOption(describedOption("--max-connections", MAX_CONNECTIONS).helpGroup("Limits:"))
    .addOption(describedOption("--max-lifetime", MAX_LIFETIME).helpGroup("Limits:"))
    .addOption(describedOption("--max-sent", MAX_SENT).helpGroup("Limits:"))
    .option("--list", "print all paths, and what clients make of them, and do not serve")
    .option("--json", "print that as JSON, and each connection that has ended as a line of it");
  addColorOption(command);
  addExamples(command, [
    ["wsward misbehave", "the catalogue is at http://127.0.0.1:8899/"],
    ["wsward misbehave --list", "all paths, a line each"],
    ["wsward connect ws://127.0.0.1:8899/bad/utf8", "what a client makes of it"],
    ["wsward connect ws://127.0.0.1:8899/delay/3s/close/4001?reason=x", "parts are done from left to right"],
  ]);
  command.action(async () => {
    const flags = command.opts<Flags>();
    if (flags.list) return console.log(await list(flags.json === true));
    const read = <Value>(
      flag: string,
      setting: { rule: string; parse(text: string): Value | undefined; default: Value },
      given?: string,
    ) => given === undefined ? setting.default : parseText(flag, setting, given);
    const options = {
      host: read("--host", HOST, flags.host) ?? "127.0.0.1",
      port: read("--port", PORT, flags.port),
      maxConnections: read("--max-connections", MAX_CONNECTIONS, flags.maxConnections),
      maxLifetimeMs: read("--max-lifetime", MAX_LIFETIME, flags.maxLifetime),
      maxSent: read("--max-sent", MAX_SENT, flags.maxSent),
    };
    // Loaded late, like all tools.
    const [{ MisbehaveServer }, { escapeShort }, { jsonLine }] = await Promise.all([
      import("../../tools/misbehave/server.ts"),
      import("../../core/visible_text.ts"),
      import("../../tools/json_line.ts"),
    ]);
    const isTerminal = Deno.stdout.isTerminal();
    const dim = usesColor(command) ? ["\x1b[2m", "\x1b[0m"] : ["", ""];
    await using server = await MisbehaveServer.start({
      ...options,
      onEnd: (path, how) => {
        if (flags.json) console.log(jsonLine({ time: new Date().toISOString(), path, how }));
        else if (isTerminal) {
          console.log(`${dim[0]}${escapeShort(path, 100)}  ${escapeShort(how, 200)}${dim[1]}`);
        }
      },
    });
    if (flags.json) console.log(jsonLine({ url: server.url }));
    else console.log(`Misbehaving on ${server.url} (the catalogue; WebSockets at its paths)`);
    await signal();
  });
}

async function signal(): Promise<void> {
  await new Promise<void>((resolve) => {
    const names = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
    for (const name of names) Deno.addSignalListener(name, () => resolve());
  });
}

async function list(asJson: boolean): Promise<string> {
  const { describeCatalogue } = await import("../../tools/misbehave/page.ts");
  const { CLIENTS } = await import("../../tools/misbehave/clients.ts");
  const paths = describeCatalogue();
  if (asJson) return JSON.stringify(paths, undefined, 2);
  const rows = paths.map(({ path, help, seen }) => {
    const by = (seen ?? {}) as Readonly<Record<string, string>>;
    return [path, help, ...CLIENTS.map((client) => by[client] ?? "")];
  });
  return formatColumns(["PATH", "WHAT IT DOES", ...CLIENTS.map((client) => client.toUpperCase())], rows);
}
