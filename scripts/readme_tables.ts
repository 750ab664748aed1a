// Writes the tables of README.md that are made from declarations; with --check, only tells whether they are current.

import { declarationOf, flagOf, SETTING_NAMES, type SettingName } from "../src/core/settings.ts";
import { CLOSE_CODES } from "../src/protocol/close_code.ts";
import { EVENTS } from "../src/telemetry/events.ts";
import { FIELDS } from "../src/telemetry/fields.ts";

/** The generated parts: the text between `<!-- name -->` and `<!-- /name -->` is what the function returns. */
export const PARTS: Readonly<Record<string, () => string>> = {
  "flags": flagTables,
  "close-codes": closeCodeTable,
  "events": eventTables,
};

/**
 * `readme` with every part of `parts` written anew between its marks. Throws an `Error` if a mark is missing, there
 * twice, or in the wrong order.
 */
export function fillParts(readme: string, parts: Readonly<Record<string, () => string>>): string {
  return Object.entries(parts).reduce((text, [name, write]) => fillPart(text, name, write()), readme);
}

/** A Markdown table in the form that `deno fmt` leaves alone. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    formatRow(widths.map((width, column) => (row[column] ?? "").padEnd(width)))
  );
  return [lines[0], formatRow(widths.map((width) => "-".repeat(width))), ...lines.slice(1)].join("\n");
}

function fillPart(readme: string, name: string, content: string): string {
  const [before, between, ...more] = readme.split(`<!-- ${name} -->`);
  const [, after, ...rest] = between?.split(`<!-- /${name} -->`) ?? [];
  if (before === undefined || after === undefined || more.length + rest.length > 0) {
    throw new Error(
      `Cannot fill "${name}": README.md must have <!-- ${name} --> and <!-- /${name} --> once each`,
    );
  }
  return `${before}<!-- ${name} -->\n\n${content}\n\n<!-- /${name} -->${after}`;
}

function flagTables(): string {
  const groups = Map.groupBy(SETTING_NAMES, (name) => declarationOf(name).group);
  return Array.from(groups, ([group, names]) => `**${group}**\n\n${flagTable(names)}`).join("\n\n");
}

function flagTable(names: readonly SettingName[]): string {
  const rows = names.map((name) => {
    const setting = declarationOf(name);
    if (setting.kind === "switch") return [`\`${flagOf(name)}\``, "", "", setting.help];
    const flag = `\`${flagOf(name)} <${setting.placeholder}>\``;
    return [flag, formatDefault(setting.default, setting.defaultText), setting.range, setting.help];
  });
  return formatTable(["Flag", "Default", "Range", "What it does"], rows);
}

// What stands for "nothing" is described in words, everything else is what a person would type.
function formatDefault(value: unknown, defaultText: string): string {
  return value === undefined || Array.isArray(value) ? defaultText : `\`${defaultText}\``;
}

function closeCodeTable(): string {
  const rows = Object.entries(CLOSE_CODES).flatMap(([code, declaration]) => {
    if (declaration.meaning === undefined) return [];
    const { name, meaning, cause, settings = [] } = declaration;
    return [[code, name, meaning, cause, formatCodes(settings.map(flagOf))]];
  });
  return formatTable(["Code", "Name", "What it means", "What causes it", "Settings"], rows);
}

function eventTables(): string {
  const events = Object.entries(EVENTS).map((
    [name, { level, text, fields }],
  ) => [`\`${name}\``, level, text, formatCodes(fields)]);
  const fields = Object.entries(FIELDS).map(([name, { type, meaning }]) => [`\`${name}\``, type, meaning]);
  return [
    formatTable(["Event", "Level", "What it says", "Fields"], events),
    formatTable(["Field", "Type", "What it holds"], fields),
  ].join("\n\n");
}

function formatCodes(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

function formatRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

async function main(args: readonly string[]): Promise<number> {
  const file = new URL("../README.md", import.meta.url);
  const readme = await Deno.readTextFile(file);
  const current = fillParts(readme, PARTS);
  if (args.includes("--check")) {
    if (readme === current) return 0;
    console.error(
      "README.md is not current: run deno run --allow-read --allow-write scripts/readme_tables.ts",
    );
    return 1;
  }
  if (readme !== current) await Deno.writeTextFile(file, current);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
