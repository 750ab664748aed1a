// Everything that `wsward explain` knows, gathered from where each thing is declared.

import type { SettingName } from "../core/settings.ts";
import { FRAME_RULES, LIMITS, type RuleDeclaration } from "../firewall/violation.ts";
import { CLOSE_CODES, LOCAL_CODES } from "../protocol/close_code.ts";
import { REFUSAL_RULES, type RefusalRuleDeclaration } from "../protocol/refusal_rule.ts";
import { REFUSAL_STATUSES, type RefusalStatusDeclaration } from "../protocol/refusal_status.ts";
import { type EventDeclaration, EVENTS } from "../telemetry/events.ts";
import { type FieldName, FIELDS } from "../telemetry/fields.ts";

/** One thing that can be explained. */
export interface Topic {
  /** What is typed: a number or a name. */
  readonly name: string;
  readonly kind: "close code" | "HTTP status" | "rule" | "limit" | "event";
  /** What it is called besides its name, or nothing. */
  readonly title?: string;
  readonly meaning: string;
  readonly cause: string;
  readonly settings: readonly SettingName[];
  /** Further lines, such as the fields of an event. */
  readonly notes?: readonly string[];
  /** Names of other topics. */
  readonly related?: readonly string[];
}

/** All topics, by kind. No two have the same name. */
export const TOPICS: readonly Topic[] = [
  ...Object.entries({ ...CLOSE_CODES, ...LOCAL_CODES }).flatMap(([name, code]): Topic[] => {
    if (code.meaning === undefined) return [];
    const { name: title, meaning, cause, settings = [] } = code;
    return [{ name, kind: "close code", title, meaning, cause, settings, related: rulesOf(Number(name)) }];
  }),
  ...entries<RefusalStatusDeclaration>(REFUSAL_STATUSES).map(([name, status]): Topic => {
    const { name: title, meaning, cause, settings = [] } = status;
    return { name, kind: "HTTP status", title, meaning, cause, settings, related: ["handshake.refused"] };
  }),
  ...entries<RuleDeclaration>(FRAME_RULES).map(([name, rule]) => ruleTopic(name, "rule", rule)),
  ...entries<RuleDeclaration>(LIMITS).map(([name, rule]) => ruleTopic(name, "limit", rule)),
  ...entries<RefusalRuleDeclaration>(REFUSAL_RULES).map(([name, rule]): Topic => {
    const { meaning, cause, settings = [] } = rule;
    return { name, kind: "rule", meaning, cause, settings, related: ["handshake.refused"] };
  }),
  ...entries<EventDeclaration>(EVENTS).map(([name, event]): Topic => {
    const { level, text: meaning, cause, settings = [] } = event;
    const notes = [`Level: ${level}`, ...event.fields.map(describeField)];
    return { name, kind: "event", meaning, cause, settings, notes };
  }),
];

function ruleTopic(
  name: string,
  kind: "rule" | "limit",
  { code, meaning, cause, settings = [] }: RuleDeclaration,
): Topic {
  const event = kind === "rule" ? "protocol.error" : "limit.reached";
  return { name, kind, meaning, cause, settings, related: [String(code), event] };
}

function rulesOf(code: number): string[] {
  return entries<RuleDeclaration>({ ...FRAME_RULES, ...LIMITS }).filter(([, rule]) => rule.code === code)
    .map(([name]) => name);
}

function describeField(field: FieldName): string {
  return `Field ${field} (${FIELDS[field].type}): ${FIELDS[field].meaning}`;
}

// Widens a closed list to its declaration, in which what is optional is known.
function entries<Declaration>(declared: Readonly<Record<string, Declaration>>): [string, Declaration][] {
  return Object.entries(declared);
}
