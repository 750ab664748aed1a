// Everything that `wsward explain` knows, collected from the declarations.

import type { SettingName } from "../../core/settings/declarations.ts";
import { type Ending, ENDINGS } from "../../endpoints/sessions/ending.ts";
import { FRAME_RULES, LIMITS, type RuleDeclaration } from "../../firewall/violation.ts";
import { CLOSE_CODES, LOCAL_CODES, type SentCloseCode } from "../../protocol/close_code.ts";
import { REFUSAL_RULES, type RefusalRuleDeclaration } from "../../protocol/refusal_rule.ts";
import { REFUSAL_STATUSES, type RefusalStatusDeclaration } from "../../protocol/refusal_status.ts";
import type { EventDeclaration } from "../../telemetry/event_declaration.ts";
import { EVENTS } from "../../telemetry/events.ts";
import { type FieldName, FIELDS } from "../../telemetry/fields.ts";

/** One thing that can be explained. */
export interface Topic {
  /** What is typed: a number or a name. */
  readonly name: string;
  readonly kind: "close code" | "HTTP status" | "rule" | "limit" | "event" | "end of a session" | "signal";
  /** Another name for it, if there is one. */
  readonly title?: string;
  readonly meaning: string;
  readonly cause: string;
  readonly settings: readonly SettingName[];
  /** Further lines, such as the fields of an event. */
  readonly notes?: readonly string[];
  /** Names of other topics. */
  readonly related?: readonly string[];
}

/** What people ask for though it is not a code, status or rule of ours. */
const FOREIGN: readonly Topic[] = [
  {
    name: "101",
    kind: "HTTP status",
    title: "Switching Protocols",
    meaning: "the handshake was accepted: from here on frames are spoken",
    cause: "a WebSocket handshake that keeps every rule",
    settings: [],
    related: ["connection.opened"],
  },
  ...([
    ["1010", "Mandatory Ext.", "the client wants an extension that the server has not agreed to"],
    ["1012", "Service Restart", "the server behind this one starts again; connect anew in some seconds"],
    ["1014", "Bad Gateway", "a server behind this one broke a rule of the protocol"],
    ["1015", "TLS handshake", "the TLS handshake has failed; in events of a client only, never on the wire"],
    ["4000-4999", "private use", "a code of the application's own, which wsward passes on and never sends"],
  ] as const).map(([name, title, meaning]): Topic => ({
    name,
    kind: "close code",
    title,
    meaning,
    cause: "a client, or a server behind this one, that closes with it",
    settings: [],
    related: ["connection.closed"],
  })),
  {
    name: "sigusr1",
    kind: "signal",
    meaning: "the runtime opens a debugger on 127.0.0.1:9229, in which any local user can run code",
    cause: "somebody sends it; unless it is blocked (env --block-signal=USR1) it ends the server at once",
    settings: [],
    related: ["process.debugger_opened"],
  },
  {
    name: "sighup",
    kind: "signal",
    meaning: "rules, certificates and keys are read again, and the log file is opened again",
    cause: "systemctl reload, kill -HUP; or the terminal was closed, which ends the server",
    settings: ["rulesFile", "tlsCert", "keyFile", "logFile"],
  },
];

/** All topics, by kind. No two have the same name. */
export const TOPICS: readonly Topic[] = [
  ...FOREIGN,
  ...Object.values<Ending>(ENDINGS).map(({ why, text, reason, code }): Topic => {
    const { meaning, cause, settings = [] } = CLOSE_CODES[code] as SentCloseCode;
    const title = text ?? reason;
    // As the metrics name it.
    const name = why.replace(/[^a-z]+/g, "_");
    return { name, kind: "end of a session", title, meaning, cause, settings, related: [String(code)] };
  }),
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

// The entries of a closed list, with the type of its declarations.
function entries<Declaration>(declared: Readonly<Record<string, Declaration>>): [string, Declaration][] {
  return Object.entries(declared);
}
