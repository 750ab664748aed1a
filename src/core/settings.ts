// Every setting, declared once: flags, variables, help, the README's table and validation come from here.

import { UsageError } from "./errors.ts";
import {
  choice,
  duration,
  type Environment,
  type GivenValue,
  optionalPath,
  path,
  port,
  readSetting,
  type Setting,
  size,
  text,
  toggle,
  type ValueOf,
} from "./setting_types.ts";

/** All settings, in the order and the groups in which people read them. */
export const SETTINGS = {
  host: text({
    group: "Endpoints",
    help: "address or name to listen on",
    default: "127.0.0.1",
  }),
  echoPort: port({
    group: "Endpoints",
    help: "port of the echo endpoint, 0 for a free one",
    default: "8765",
  }),
  securePort: port({
    group: "Endpoints",
    help: "port of the secure endpoint, 0 for a free one",
    default: "8888",
  }),
  echo: toggle({
    group: "Endpoints",
    help: "leave the echo endpoint out",
    default: true,
  }),
  secure: toggle({
    group: "Endpoints",
    help: "leave the secure endpoint out",
    default: true,
  }),
  echoPrefix: text({
    group: "Endpoints",
    help: "what stands before an echoed text, empty for a verbatim echo",
    accepts: () => true,
    rule: "any text",
    default: "Server received: ",
  }),
  keyFile: path({
    group: "Authentication",
    help: "key that signs the tokens, created at the first start",
    default: "wsward.key",
  }),
  authTimeout: duration({
    group: "Authentication",
    help: "how long the secure endpoint waits for the token",
    default: "10s",
    min: "100ms",
    max: "10m",
  }),
  maxMessageSize: size({
    group: "Limits",
    help: "largest message a peer may send, all its fragments together",
    default: "1MiB",
    min: "1B",
    // The runtime refuses frames above 64 MiB with an error of its own, so a higher limit could not be kept.
    max: "64MiB",
  }),
  handshakeTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may take to send its handshake",
    default: "10s",
    min: "100ms",
    max: "1m",
  }),
  closeTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may take to answer a Close frame",
    default: "5s",
    min: "100ms",
    max: "1m",
  }),
  drainTimeout: duration({
    group: "Timeouts",
    help: "how long open connections have to end when the server stops",
    default: "10s",
    min: "100ms",
    max: "1h",
  }),
  logFile: path({
    group: "Log",
    help: "file that errors are appended to",
    default: "websocket_errors.log",
  }),
  logLevel: choice({
    group: "Log",
    help: "least severe record that the terminal shows",
    choices: ["debug", "info", "warning", "error", "fatal"],
    default: "info",
  }),
  runtimeDir: optionalPath({
    group: "Process",
    help: "folder for the private sockets",
    unset: "a fresh temporary folder",
  }),
} as const satisfies Record<string, Setting>;

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** The names of all settings, in the order of declaration. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** All settings, read and in range: durations in ms, sizes in bytes, rates per second; no limit is `Infinity`. */
export type Settings = { readonly [Name in SettingName]: ValueOf<typeof SETTINGS[Name]> };

/** The declaration of one setting, where it does not matter which one it is. */
export function declarationOf(name: SettingName): Setting {
  return SETTINGS[name];
}

/** The flag of a setting, without a value: `--echo-port`, and `--no-echo` for a switch that is on by default. */
export function flagOf(name: SettingName): string {
  const setting = declarationOf(name);
  const prefix = setting.kind === "switch" && setting.default ? "--no-" : "--";
  return prefix + splitWords(name, "-");
}

/** The environment variable of a setting: `WSWARD_ECHO_PORT`. */
export function variableOf(name: SettingName): string {
  return `WSWARD_${splitWords(name, "_").toUpperCase()}`;
}

/**
 * Reads one setting: what its flag was given wins over its variable, which wins over its default. Throws
 * {@linkcode UsageError} if the text breaks the setting's rule. A variable that is set to nothing counts as given.
 */
export function parseSetting<Name extends SettingName>(
  name: Name,
  given: GivenValue | undefined,
  env: Environment,
): Settings[Name] {
  const labels = { flag: flagOf(name), variable: variableOf(name) };
  // The declaration's type says what its parse returns, but TypeScript cannot follow that through the name.
  return readSetting(declarationOf(name), labels, given, env) as Settings[Name];
}

/**
 * Reads every setting, see {@linkcode parseSetting}. Throws {@linkcode UsageError} for the first one that is wrong, and
 * when both endpoints are turned off.
 */
export function parseSettings(given: ReadonlyMap<SettingName, GivenValue>, env: Environment): Settings {
  const entries = SETTING_NAMES.map((name) => [name, parseSetting(name, given.get(name), env)]);
  const settings = Object.fromEntries(entries) as Settings;
  if (!settings.echo && !settings.secure) {
    throw new UsageError("Cannot leave out both endpoints: nothing is left to serve");
  }
  return settings;
}

function splitWords(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => separator + letter.toLowerCase());
}
