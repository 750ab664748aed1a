// The commands `config check`, `config init` and `config show`: mistakes in the settings, a sample file, and where each
// value comes from.

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
  const config = program.command("config").description(
    "check and show the settings that serve would use, or print a sample",
  );
  const check = addSettingOptions(
    config.command("check").description(
      "list all mistakes in a settings file, flags and variables",
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

  config.command("init").description(
    "print a sample settings file: every setting with its default, as a comment",
  )
    .action(() => console.log(sampleConfig()));

  const show = addSettingOptions(
    config.command("show").description("print the value of every setting and where it comes from")
      .option("--json", "print one JSON object"),
  );
  show.action(async () => {
    const file = await readConfig(show);
    // Settings with a mistake are not shown.
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

/** A settings file in TOML, with every setting and its default as a comment. */
function sampleConfig(): string {
  const groups = Map.groupBy(SETTING_NAMES, (name) => declarationOf(name).group);
  const parts = Array.from(groups, ([group, names]) => {
    const settings = names.map((name) => {
      const { range, help } = declarationOf(name);
      // The help of a switch is about its flag.
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
  /** The value as a file would have it; `undefined` for none. */
  readonly value: unknown;
}

function valueInFile(setting: Setting, given: Given | undefined): unknown {
  if (setting.kind === "list") return given?.value ?? setting.default;
  if (setting.kind === "switch") return String(given?.value ?? setting.default) === "true";
  const text = hidden(setting, given?.value ?? setting.defaultGiven);
  const number = setting.isNumber ? Number(text) : NaN;
  return Number.isNaN(number) ? text : number;
}

/** The given value, without its secrets. */
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
