// The commands `config check` and `config show`: what is wrong with the settings, and where each one comes from.

import type { Command } from "commander";
import {
  type Given,
  type GivenValue,
  hideCredentials,
  type Setting,
} from "../../core/settings/setting_types.ts";
import { SETTING_NAMES } from "../../core/settings/declarations.ts";
import {
  checkSettings,
  declarationOf,
  findSetting,
  flagOf,
  keyOf,
  parseSettings,
} from "../../core/settings/settings.ts";
import { wrap } from "../about/help.ts";
import {
  addSettingOptions,
  ENV,
  givenSettings,
  givenValue,
  openConfig,
  readConfig,
} from "../setting_options.ts";
import { refuseUnknownVariables } from "../variables.ts";
import { escapeText, formatColumns } from "../client/printed.ts";

/** Adds `config` with its subcommands to `program`; `exitWith` is called with 2 if `check` finds a mistake. */
export function addConfigCommand(program: Command, exitWith: (code: number) => void): void {
  const config = program.command("config").description("check and show the settings that serve would use");
  const check = addSettingOptions(
    config.command("check").description(
      "tell all that is wrong with a file of settings, flags and variables",
    ),
  );
  check.action(async () => {
    await refuseUnknownVariables();
    const file = await openConfig(check);
    const { mistakes } = checkSettings(givenSettings(check), ENV, file);
    const all = [...file?.mistakes ?? [], ...mistakes];
    for (const mistake of all) console.log(escapeText(mistake));
    if (all.length > 0) return exitWith(2);
    console.log(
      `All is well (${file === undefined ? "no file" : `settings in the file: ${file.given.size}`})`,
    );
  });

  config.command("init").description("print a file of settings in which every one stands as a comment")
    .action(() => console.log(sampleConfig()));

  const show = addSettingOptions(
    config.command("show").description("print the value of every setting and where it comes from")
      .option("--json", "print one JSON object"),
  );
  show.action(async () => {
    const file = await readConfig(show);
    // What can't be served is no setting to be shown.
    parseSettings(givenSettings(show), ENV, file);
    const rows = SETTING_NAMES.map((name): Row => {
      const given = findSetting(name, givenValue(show, name), ENV, file);
      const setting = declarationOf(name);
      return { key: keyOf(name), setting, given, value: valueInFile(setting, given) };
    });
    const { json = false } = show.opts<{ json?: boolean }>();
    console.log(
      json ? await formatJson(rows) : formatColumns(["SETTING", "VALUE", "FROM"], rows.map(describe)),
    );
  });
}

/** A settings file in TOML, in which every setting stands with its default, as a comment. */
function sampleConfig(): string {
  const groups = Map.groupBy(SETTING_NAMES, (name) => declarationOf(name).group);
  const parts = Array.from(groups, ([group, names]) => {
    const settings = names.map((name) => {
      const { range, help } = declarationOf(name);
      // What a switch's help tells about is its flag.
      const subject = declarationOf(name).kind === "switch" ? `${flagOf(name)}: ${help}` : help;
      const facts = range === "" ? subject : `${subject} (${range})`;
      return [
        ...wrap(facts, 98).map((line) => `# ${line}`),
        `#${keyOf(name)} = ${sampleValue(declarationOf(name))}`,
      ];
    });
    return [`## ${group}`, ...settings.map((lines) => lines.join("\n"))].join("\n\n");
  });
  return [
    "# Settings of wsward. Each stands with its default: remove the # before its name to change it.\n" +
    "# A flag or a variable of the same name wins over what stands here. wsward config check looks for mistakes.",
    ...parts,
  ].join("\n\n");
}

function sampleValue(setting: Setting): string {
  if (setting.kind === "switch") return String(setting.default);
  if (setting.kind === "list") return "[]";
  const { defaultGiven, isNumber } = setting;
  if (defaultGiven === undefined) return `"" # ${setting.defaultText}, as long as this is a comment`;
  return isNumber && /^\d+$/.test(defaultGiven) ? defaultGiven : JSON.stringify(defaultGiven);
}

interface Row {
  readonly key: string;
  readonly setting: Setting;
  readonly given: Given | undefined;
  /** What a file would have to say for it; `undefined` for nothing. */
  readonly value: unknown;
}

function valueInFile(setting: Setting, given: Given | undefined): unknown {
  if (setting.kind === "list") return given?.value ?? setting.default;
  if (setting.kind === "switch") return String(given?.value ?? setting.default) === "true";
  const text = hidden(setting, given?.value ?? setting.defaultGiven);
  const number = setting.isNumber ? Number(text) : NaN;
  return Number.isNaN(number) ? text : number;
}

/** What is given, without what nobody may see. */
function hidden(setting: Setting, text: GivenValue | undefined): GivenValue | undefined {
  if (setting.kind !== "value" || typeof text !== "string" || setting.refuseFlag?.(text) === undefined) {
    return text;
  }
  return hideCredentials(text);
}

function describe({ key, setting, given, value }: Row): readonly string[] {
  const from = given?.label ?? "default";
  if (value === undefined) return [key, setting.defaultText, from];
  if (Array.isArray(value)) return [key, value.join(", ") || "none", from];
  const text = String(value);
  return [key, /^\S+$/.test(text) ? text : JSON.stringify(text), from];
}

async function formatJson(rows: readonly Row[]): Promise<string> {
  const { escapeInvisible } = await import("../../auth/inspection.ts");
  const entries = rows.map(({ key, given, value = null }) => [
    key,
    { value, source: given?.source ?? "default", from: given?.label },
  ]);
  return escapeInvisible(JSON.stringify(Object.fromEntries(entries)));
}
