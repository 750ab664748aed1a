// Turns declared settings into flags, and what the flags were given back into text for the settings.

import { type Command, Option } from "commander";
import type { GivenValue, Setting } from "../core/setting_types.ts";
import { declarationOf, flagOf, SETTING_NAMES, type SettingName, variableOf } from "../core/settings.ts";
import { repeatableOption } from "./strict_command.ts";

/** The flag of one setting; its help names the variable, the range and the default. */
export function settingOption(name: SettingName): Option {
  const setting = declarationOf(name);
  return describedOption(flagOf(name), setting, variableOf(name)).helpGroup(`${setting.group}:`);
}

/** A flag that is read like a setting, for what is no setting of the server. */
export function describedOption(flag: string, setting: Setting, variable?: string): Option {
  const facts = setting.kind === "switch"
    ? [`${variable}=${!setting.default}`]
    : [setting.range, `default ${setting.defaultText}`, variable];
  const description = `${setting.help} (${facts.filter(Boolean).join("; ")})`;
  if (setting.kind === "switch") return new Option(flag, description);
  const flags = `${flag} <${setting.placeholder}>`;
  return setting.kind === "list" ? repeatableOption(flags, description) : new Option(flags, description);
}

/** What the flags of `command` were given, by setting; what was not on the command line is not in it. */
export function givenSettings(command: Command): ReadonlyMap<SettingName, GivenValue> {
  const given = new Map<SettingName, GivenValue>();
  for (const name of SETTING_NAMES) {
    // The library fills in a value for a switch that was not given, so the source tells, not the value.
    if (command.getOptionValueSource(name) === "cli") {
      given.set(name, command.getOptionValue(name) as GivenValue);
    }
  }
  return given;
}
