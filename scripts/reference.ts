// Writes src/reference.md, tables made from the declarations in the code; with --check, only tells if it is current.

import type { Explanation } from "../src/core/explanation.ts";
import { SETTING_NAMES, type SettingName } from "../src/core/settings/declarations.ts";
import { declarationOf, flagOf } from "../src/core/settings/settings.ts";
import { METHODS } from "../src/endpoints/secure/methods/list.ts";
import { FRAME_RULES, LIMITS, type RuleDeclaration } from "../src/firewall/violation.ts";
import { CLOSE_CODES } from "../src/protocol/close_code.ts";
import { REFUSAL_RULES, type RefusalRuleDeclaration } from "../src/protocol/refusal_rule.ts";
import { REFUSAL_STATUSES, type RefusalStatusDeclaration } from "../src/protocol/refusal_status.ts";
import { EVENTS } from "../src/telemetry/events.ts";
import { FIELDS } from "../src/telemetry/fields.ts";
import { type MetricDeclaration, METRICS } from "../src/telemetry/metrics.ts";
import { CATALOGUE } from "../src/tools/misbehave/catalogue.ts";
import { CLIENTS, SEEN } from "../src/tools/misbehave/clients.ts";
import { CASES } from "../src/tools/selftest/cases.ts";

/** The path of the page from the root of the repository. */
const PAGE = "src/reference.md";

/** The whole page, in the form that `deno fmt` leaves alone. */
export function writeReference(): string {
  return `# Reference

Made by \`scripts/reference.ts\` from where each thing is declared; \`deno task wsward explain WORD\` tells the
same about one of them.

## Flags

Each flag is also a variable (\`--echo-port\` is \`WSWARD_ECHO_PORT\`) and a key of a settings file (\`echo-port\`).
Durations are written \`30s\` or \`1h30m\`, sizes \`64KiB\` or \`1MiB\`.

${flagTables()}

## Close codes

${closeCodeTable()}

## Rules and limits of a connection

${ruleTable({ ...FRAME_RULES, ...LIMITS })}

## Statuses of refused handshakes

${statusTable()}

## Rules for handshakes

${refusalTable()}

## Methods of a session with \`wsward.v1\`

${formatTable(["Method", "Params", "Result"], METHODS.map(({ name, takes, gives }) => [name, takes, gives]))}

## Events of the log

${eventTable()}

## Fields of the log

${fieldTable()}

## Metrics

${metricTable()}

## Cases of \`wsward selftest\`

${caseTable()}

## Paths of \`wsward misbehave\`

The last columns are what clients show that send \`hello\` and close after an answer.

${pathTable()}
`;
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

function flagTables(): string {
  const groups = Map.groupBy(SETTING_NAMES, (name) => declarationOf(name).group);
  return Array.from(groups, ([group, names]) => `### ${group}\n\n${flagTable(names)}`).join("\n\n");
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

// A value that stands for "nothing" is described in words; any other is shown as a user would type it.
function formatDefault(value: unknown, defaultText: string): string {
  return value === undefined || Array.isArray(value) ? defaultText : `\`${defaultText}\``;
}

function closeCodeTable(): string {
  const rows = Object.entries(CLOSE_CODES).flatMap(([code, declaration]) => {
    if (declaration.meaning === undefined) return [];
    const { name, meaning } = declaration;
    return [[code, name, meaning, ...explain(declaration)]];
  });
  return formatTable(["Code", "Name", "What it means", "What causes it", "Settings"], rows);
}

function ruleTable(rules: Readonly<Record<string, RuleDeclaration>>): string {
  const rows = Object.entries(rules).map(([name, rule]) => [
    `\`${name}\``,
    String(rule.code),
    rule.meaning,
    ...explain(rule),
  ]);
  return formatTable(["Rule", "Code", "What it asks for", "What breaks it", "Settings"], rows);
}

function statusTable(): string {
  const statuses: Readonly<Record<string, RefusalStatusDeclaration>> = REFUSAL_STATUSES;
  const rows = Object.entries(statuses).map((
    [status, declaration],
  ) => [status, declaration.name, declaration.meaning, ...explain(declaration)]);
  return formatTable(["Status", "Name", "What it means", "What causes it", "Settings"], rows);
}

function refusalTable(): string {
  const rules: Readonly<Record<string, RefusalRuleDeclaration>> = REFUSAL_RULES;
  const rows = Object.entries(rules).map(([name, rule]) => [`\`${name}\``, rule.meaning, ...explain(rule)]);
  return formatTable(["Rule", "What it asks for", "What breaks it", "Settings"], rows);
}

function eventTable(): string {
  const rows = Object.entries(EVENTS).map((
    [name, { level, text, fields }],
  ) => [`\`${name}\``, level, text, formatCodes(fields)]);
  return formatTable(["Event", "Level", "What it says", "Fields"], rows);
}

function fieldTable(): string {
  const rows = Object.entries(FIELDS).map(([name, { type, meaning }]) => [`\`${name}\``, type, meaning]);
  return formatTable(["Field", "Type", "What it holds"], rows);
}

function metricTable(): string {
  const metrics: Readonly<Record<string, MetricDeclaration>> = METRICS;
  const rows = Object.entries(metrics).map((
    [name, { type, help, labels }],
  ) => [`\`${name}\``, type, help, formatCodes(labels)]);
  return formatTable(["Metric", "Type", "What it counts", "Labels"], rows);
}

function caseTable(): string {
  const rows = CASES.map((
    one,
  ) => [`\`${one.id}\``, one.class, `${one.section}, ${one.level}`, one.sends, one.right]);
  return formatTable(["Case", "Class", "Where the rule is", "What is sent", "What is right"], rows);
}

function pathTable(): string {
  const rows = CATALOGUE.map(({ example, help }) => [
    `\`${example}\``,
    help,
    ...CLIENTS.map((client) =>
      formatCodes(SEEN[example]?.[client] === undefined ? [] : [SEEN[example][client]])
    ),
  ]);
  return formatTable(["Path", "What it does", ...CLIENTS], rows);
}

/** The last two cells of a row, for what has an explanation. */
function explain({ cause, settings = [] }: Explanation): [string, string] {
  return [cause, formatCodes(settings.map(flagOf))];
}

function formatCodes(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

function formatRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

async function main(args: readonly string[]): Promise<number> {
  const file = new URL(`../${PAGE}`, import.meta.url);
  const current = writeReference();
  if (!args.includes("--check")) {
    await Deno.writeTextFile(file, current);
    return 0;
  }
  if (await Deno.readTextFile(file) === current) return 0;
  console.error(
    `${PAGE} is not current: run deno run --allow-read --allow-write scripts/reference.ts`,
  );
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
