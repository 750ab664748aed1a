// The report as JSON, for programs.

import { jsonLine } from "../json_line.ts";
import { type Result, RESULTS } from "./verdict.ts";
import type { Report } from "./run.ts";

/** How many cases had which result. */
export function countResults({ reports }: Pick<Report, "reports">): Readonly<Record<Result, number>> {
  const counts = Object.fromEntries(RESULTS.map((result) => [result, 0])) as Record<Result, number>;
  for (const { result } of reports) counts[result]++;
  return counts;
}

/** The report as JSON with line breaks. */
export function formatJson(report: Report, showTrace: boolean): string {
  const { url, manner, startedAt, durationMs, reports, stopped, controlLost } = report;
  return jsonLine({
    target: url,
    answers: manner.kind,
    startedAt: startedAt.toISOString(),
    seconds: seconds(durationMs),
    stopped: stopped ?? null,
    controlConnection: controlLost ?? "open throughout",
    summary: countResults(report),
    cases: reports.map((
      { case: { id, group, class: caseClass, section, level, sends, right }, ...report },
    ) => ({
      id,
      group,
      class: caseClass,
      section,
      level,
      sends,
      right,
      result: report.result,
      observed: report.observed,
      seconds: seconds(report.durationMs),
      ...(showTrace ? { trace: report.trace } : {}),
    })),
  }, 2);
}

/** Milliseconds as seconds, to the millisecond. */
export function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
