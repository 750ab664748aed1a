// Settings are read: flags win over variables, variables over the file, the file over the defaults.

import { UsageError } from "../errors.ts";
import { COMBINATIONS } from "./combinations.ts";
import { SETTING_NAMES, type SettingName, SETTINGS, type Settings } from "./declarations.ts";
import {
  type Environment,
  findGiven,
  type Given,
  type GivenValue,
  optionalText,
  readGiven,
  readSetting,
  type Setting,
} from "./setting_types.ts";

/**
 * The settings file. Not a setting itself: a file can't say which file to read.
 */
export const CONFIG_FILE = optionalText({
  group: "Configuration",
  placeholder: "path",
  help: "file of settings, named like the flags: echo-port = 0, and echo = false for --no-echo; flags and " +
    "variables win over it; its relative paths start at the working directory, like those of flags",
  accepts: (given) => /^\P{Cc}+\.(json|toml)$/u.test(given),
  rule: "a file that ends in .json or .toml",
  unset: "none",
});

/** The flag and the variable that name {@linkcode CONFIG_FILE}. */
export const CONFIG_LABELS = { flag: "--config", variable: "WSWARD_CONFIG" } as const;

/** The declaration of a setting, as any kind. */
export function declarationOf(name: SettingName): Setting {
  return SETTINGS[name];
}

/** Whether tokens are verified, so that there are keys and revocations. */
export function judgesTokens({ secure, upstream, upstreamAuth, adminListen }: Settings): boolean {
  return secure && (upstream.length === 0 || upstreamAuth === "required") || adminListen !== undefined;
}

/** The name of a setting in a file: `echo-port`. */
export function keyOf(name: SettingName): string {
  return splitWords(name, "-");
}

/** The flag of a setting, without a value: `--echo-port`, and `--no-echo` for a switch that is on by default. */
export function flagOf(name: SettingName): string {
  const setting = declarationOf(name);
  const prefix = setting.kind === "switch" && setting.default ? "--no-" : "--";
  return prefix + keyOf(name);
}

/** The environment variable of a setting: `WSWARD_ECHO_PORT`. */
export function variableOf(name: SettingName): string {
  return `WSWARD_${splitWords(name, "_").toUpperCase()}`;
}

/** What a file says about the settings. */
export interface FileSettings {
  /** The values it gives, labelled with file and line; each keeps its setting's rule. */
  readonly given: ReadonlyMap<SettingName, Given>;
  /** The settings for which it is not clear what the file gives. */
  readonly unknown: ReadonlySet<SettingName>;
}

/** What gives a setting its value, see {@linkcode findGiven}. */
export function findSetting(
  name: SettingName,
  flag: GivenValue | undefined,
  env: Environment,
  file?: FileSettings,
): Given | undefined {
  return findGiven(declarationOf(name), labelsOf(name), flag, env, file?.given.get(name));
}

/**
 * Reads one setting: what its flag was given wins over its variable, then the file, then its default. Throws
 * {@linkcode UsageError} if the text breaks the setting's rule. A variable that is set to nothing counts as given.
 */
export function parseSetting<Name extends SettingName>(
  name: Name,
  flag: GivenValue | undefined,
  env: Environment,
  file?: FileSettings,
): Settings[Name] {
  // The type of the declaration says what is returned, but TypeScript can't follow that through the name.
  return readSetting(
    declarationOf(name),
    labelsOf(name),
    flag,
    env,
    file?.given.get(name),
  ) as Settings[Name];
}

/**
 * Reads every setting, see {@linkcode parseSetting}. Throws {@linkcode UsageError} for the first one that is wrong, and
 * for settings that cannot be together.
 */
export function parseSettings(
  flags: ReadonlyMap<SettingName, GivenValue>,
  env: Environment,
  file?: FileSettings,
): Settings {
  const { settings, mistakes } = checkSettings(flags, env, file);
  if (mistakes[0] !== undefined) throw new UsageError(mistakes[0]);
  return settings;
}

/**
 * Reads every setting, and returns all mistakes in flags, variables and combinations. Settings with a mistake are
 * missing from `settings`.
 */
export function checkSettings(
  flags: ReadonlyMap<SettingName, GivenValue>,
  env: Environment,
  file?: FileSettings,
): { readonly settings: Settings; readonly mistakes: readonly string[] } {
  const values = new Map<SettingName, unknown>();
  const given = new Map<SettingName, Given>();
  const mistakes: string[] = [];
  for (const name of SETTING_NAMES) {
    const found = findSetting(name, flags.get(name), env, file);
    const setting = declarationOf(name);
    if (found === undefined) {
      if (!file?.unknown.has(name)) values.set(name, setting.default);
      continue;
    }
    given.set(name, found);
    try {
      values.set(name, readGiven(setting, found));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      mistakes.push(error.message);
    }
  }
  // With an upstream there is no echo endpoint, unless it was asked for.
  if (values.get("upstream") instanceof Array && (values.get("upstream") as readonly string[]).length > 0) {
    if (!given.has("echo") && !given.has("echoPort")) values.set("echo", false);
  }
  const settings = Object.fromEntries(values) as Settings;
  for (const { names, isBroken, mistake } of COMBINATIONS) {
    // A missing setting has been reported already, and without it the rule can't be checked.
    if (!names.every((name) => values.has(name)) || !isBroken(settings)) continue;
    const place = names.map((name) => given.get(name)).find((found) => found?.source === "file");
    mistakes.push(place === undefined ? mistake : `${place.label}: ${mistake}`);
  }
  return { settings, mistakes };
}

function labelsOf(name: SettingName): { readonly flag: string; readonly variable: string } {
  return { flag: flagOf(name), variable: variableOf(name) };
}

function splitWords(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => separator + letter.toLowerCase());
}
