// Reads the flags of most starts without the command-line library, which takes longer to load than the server.

import type { GivenValue } from "../core/settings/setting_types.ts";
import { SETTING_NAMES, type SettingName } from "../core/settings/declarations.ts";
import { declarationOf, flagOf } from "../core/settings/settings.ts";

/**
 * The settings in `args`, exactly as the library would read them. Undefined if anything is not plainly a setting's flag
 * with its value (a request for help, a mistake, another flag): then the library reads them.
 */
export function readPlainFlags(args: readonly string[]): ReadonlyMap<SettingName, GivenValue> | undefined {
  const names = new Map(SETTING_NAMES.map((name) => [flagOf(name), name]));
  const given = new Map<SettingName, GivenValue>();
  for (let i = 0; i < args.length; i++) {
    const [flag = "", ...parts] = args[i]!.split("=");
    const name = names.get(flag);
    if (name === undefined) return undefined;
    const setting = declarationOf(name);
    const previous = given.get(name);
    if (setting.kind !== "list" && previous !== undefined) return undefined;
    if (setting.kind === "switch") {
      if (parts.length > 0) return undefined;
      given.set(name, !setting.default);
      continue;
    }
    const next = parts.length > 0 ? parts.join("=") : args[++i];
    if (next === undefined || (parts.length === 0 && next.startsWith("-"))) return undefined;
    given.set(
      name,
      setting.kind === "list" ? [...(previous as readonly string[] | undefined) ?? [], next] : next,
    );
  }
  return given;
}
