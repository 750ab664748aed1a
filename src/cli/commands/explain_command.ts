// The command `explain`: what a close code, an HTTP status, a rule or an event means, and which setting governs it.

import type { Command } from "commander";
import { UsageError } from "../../core/errors.ts";
import { findNearest } from "../../core/nearest.ts";
import { SETTING_NAMES, type SettingName } from "../../core/settings/declarations.ts";
import { declarationOf, flagOf, keyOf, variableOf } from "../../core/settings/settings.ts";
import type { Topic } from "../about/topics.ts";

/** Adds `explain` to `program`. */
export function addExplainCommand(program: Command): void {
  program.command("explain").description("say what a close code, an HTTP status, a rule or an event means")
    .argument(
      "[topic...]",
      'such as 1009, 429, message_size, protocol.error, "Token Expired" or --idle-timeout; without one: all of them',
    )
    // A flag of serve is a topic here.
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const name = words.length === 0 ? undefined : words.join(" ");
      const { TOPICS } = await import("../about/topics.ts");
      console.log(name === undefined ? listTopics(TOPICS) : explainTopic(TOPICS, name));
    });
}

/** All topics, one a line, by kind. */
export function listTopics(topics: readonly Topic[]): string {
  const width = Math.max(...topics.map(({ name }) => name.length));
  const groups = Map.groupBy(topics, ({ kind }) => kind);
  return Array.from(groups, ([kind, members]) => {
    const lines = members.map(({ name, title, meaning }) => `  ${name.padEnd(width)}  ${title ?? meaning}`);
    return [`${kind}:`, ...lines].join("\n");
  }).join("\n\n");
}

/**
 * The explanation of one topic.
 *
 * @throws {UsageError} when there is no such topic; names the nearest one.
 */
export function explainTopic(topics: readonly Topic[], name: string): string {
  const setting = findFlag(name);
  if (setting !== undefined) return describeSetting(setting);
  const topic = findTopic(topics, name);
  if (topic === undefined) {
    const nearest = findNearest(topics.map((topic) => topic.name), name.toLowerCase());
    throw new UsageError(
      `Cannot explain ${JSON.stringify(name)}: it is no topic, the nearest one is ${nearest}`,
    );
  }
  const { kind, title, meaning, cause, settings, notes = [], related = [] } = topic;
  const lines = [
    `${topic.name}${title === undefined ? "" : ` ${title}`} (${kind})`,
    "",
    `Meaning: ${meaning}`,
    `Cause: ${cause}`,
    ...notes,
    ...settings.map(describeSetting),
  ];
  if (settings.length === 0) lines.push("Setting: none governs it");
  if (related.length > 0) lines.push(`See also: ${related.join(", ")}`);
  return lines.join("\n");
}

/** Finds a topic by name, or else by title, in any case. Private close codes share one topic. */
function findTopic(topics: readonly Topic[], name: string): Topic | undefined {
  const lower = /^4\d{3}$/.test(name) ? "4000-4999" : name.toLowerCase();
  return topics.find((topic) => topic.name === lower) ??
    topics.find(({ title }) => title?.toLowerCase() === lower.replaceAll("_", " "));
}

/** The setting of a flag, in its positive form too, or of a variable. */
function findFlag(name: string): SettingName | undefined {
  return SETTING_NAMES.find((setting) =>
    [flagOf(setting), `--${keyOf(setting)}`, variableOf(setting)].includes(name)
  );
}

function describeSetting(name: SettingName): string {
  const { help, defaultText, range } = declarationOf(name);
  const facts = [range, `default ${defaultText}`, variableOf(name)].filter(Boolean).join("; ");
  return `Setting ${flagOf(name)}: ${help} (${facts})`;
}
