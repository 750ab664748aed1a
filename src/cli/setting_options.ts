// Turns declared settings into flags, and given flags back into values for the settings.

import { type Command, Option } from "commander";
import type { ConfigFile } from "../config/config_file.ts";
import { UsageError } from "../core/errors.ts";
import {
  type Environment,
  type GivenValue,
  readSetting,
  type Setting,
} from "../core/settings/setting_types.ts";
import { SETTING_NAMES, type SettingName, type Settings } from "../core/settings/declarations.ts";
import {
  CONFIG_FILE,
  CONFIG_LABELS,
  declarationOf,
  flagOf,
  parseSetting,
  variableOf,
} from "../core/settings/settings.ts";
import { repeatableOption } from "./strict_command.ts";

/** Adds the flags of settings to `command`, and the one that names a file of settings. */
export function addSettingOptions<Program extends Command>(
  command: Program,
  names: readonly SettingName[] = SETTING_NAMES,
): Program {
  const { flag, variable } = CONFIG_LABELS;
  const config = describedOption(flag, CONFIG_FILE, variable).helpGroup(`${CONFIG_FILE.group}:`);
  for (const option of [config, ...names.map(settingOption)]) command.addOption(option);
  return command;
}

/** The flag of one setting; its help names the variable, the range and the default. */
export function settingOption(name: SettingName): Option {
  const setting = declarationOf(name);
  return describedOption(flagOf(name), setting, variableOf(name)).helpGroup(`${setting.group}:`);
}

/** A flag that is read like a setting, but is not a setting of the server. */
export function describedOption(flag: string, setting: Setting, variable?: string): Option {
  const facts = setting.kind === "switch"
    ? [`${variable}=${!setting.default}`]
    : [setting.range, `default ${setting.defaultText}`, variable];
  const description = `${setting.help} (${facts.filter(Boolean).join("; ")})`;
  if (setting.kind === "switch") return new Option(flag, description);
  const flags = `${flag} <${setting.placeholder}>`;
  if (setting.kind === "list") return repeatableOption(flags, description);
  const option = new Option(flags, description);
  // For completions only: the setting itself reports wrong values.
  if (setting.choices !== undefined) option.argChoices = [...setting.choices];
  return option;
}

/** The flags that were given to `command`, by setting. */
export function givenSettings(command: Command): ReadonlyMap<SettingName, GivenValue> {
  const given = SETTING_NAMES.map((name) => [name, givenValue(command, name)] as const);
  return new Map(given.filter((pair): pair is [SettingName, GivenValue] => pair[1] !== undefined));
}

/** The value of a flag, given to the command itself or one above it. */
export function givenValue(command: Command, name: string): GivenValue | undefined {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    // The library fills in a value for a switch that was not given, so its source is asked, not the value.
    if (at.getOptionValueSource(name) === "cli") return at.getOptionValue(name);
  }
  return undefined;
}

/** Looks variables up. */
export const ENV: Environment = (variable) => Deno.env.get(variable);

/**
 * The name of the settings file of a command, if there is one.
 *
 * @throws {UsageError} when it can't be used
 */
export function configPath(command: Command): string | undefined {
  return readSetting(CONFIG_FILE, CONFIG_LABELS, givenValue(command, "config"), ENV) as string | undefined;
}

/**
 * The settings file of a command, with its mistakes, if one is named.
 *
 * @throws {UsageError} when its name can't be right
 * @throws {StartError} when it can't be read
 */
export async function openConfig(command: Command): Promise<ConfigFile | undefined> {
  const path = configPath(command);
  if (path === undefined) return undefined;
  // Loaded late, and the library of its language later still: most starts have no file.
  const { readConfigFile } = await import("../config/config_file.ts");
  return await readConfigFile(path);
}

/** As {@linkcode openConfig}, but throws the first mistake as a {@linkcode UsageError}. */
export async function readConfig(command: Command): Promise<ConfigFile | undefined> {
  const file = await openConfig(command);
  if (file?.mistakes[0] !== undefined) throw new UsageError(file.mistakes[0]);
  return file;
}

/**
 * Returns a function that reads single settings from flags, variables and file. Throws as {@linkcode readConfig} does.
 */
export async function settingReader(
  command: Command,
): Promise<<Name extends SettingName>(name: Name) => Settings[Name]> {
  const file = await readConfig(command);
  return (name) => parseSetting(name, givenValue(command, name), ENV, file);
}
