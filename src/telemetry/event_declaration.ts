// What is fixed about an event of the log.

import type { Explanation } from "../core/explanation.ts";
import type { FieldName } from "./fields.ts";

/** Severities of log records, lowest first. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "fatal"] as const;

/** Severity of a log record. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What is fixed about an event: how severe it is, the sentence that people read, and the fields it may have. */
export interface EventDeclaration extends Explanation {
  readonly level: LogLevel;
  readonly text: string;
  /** In the order in which they are shown; a field without a value is left out of the record. */
  readonly fields: readonly FieldName[];
  /** Whether a stranger can cause it again and again: then repetitions are only counted (see `RecordBrake`). */
  readonly isBraked?: true;
  /** How many of a kind are logged before they are only counted (see `RecordBrake`); five if left out. */
  readonly mostAtOnce?: number;
}
