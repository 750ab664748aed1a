// Every setting, declared once: flags, variables, help, the reference's tables and validation come from here.

import { LIMITS } from "./declared/limits.ts";
import { OPERATION } from "./declared/operation.ts";
import { SERVING } from "./declared/serving.ts";
import { TOKENS } from "./declared/tokens.ts";
import type { Setting, ValueOf } from "./setting_types.ts";

/** All settings, in the order and the groups in which people read them. */
export const SETTINGS = { ...SERVING, ...TOKENS, ...LIMITS, ...OPERATION } as const satisfies Record<
  string,
  Setting
>;

/** What --log-file is given for no file. */
export const NO_LOG_FILE = "none";

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** The names of all settings, in the order of declaration. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** All settings, read and in range: durations in ms, sizes in bytes, rates per second; no limit is `Infinity`. */
export type Settings = { readonly [Name in SettingName]: ValueOf<typeof SETTINGS[Name]> };
