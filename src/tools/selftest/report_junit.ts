// The report as JUnit XML, which CI systems read.

import type { Result } from "./verdict.ts";
import { seconds } from "./report_json.ts";
import type { CaseReport, Report } from "./run.ts";

/** The report as JUnit XML. `failures` are the results that count as failures. */
export function formatJunit(report: Report, failures: ReadonlySet<Result>): string {
  const groups = Map.groupBy(report.reports, (one) => one.case.group);
  const suites = Array.from(groups, ([group, members]) => {
    const head = `  <testsuite name="${escapeXml(group)}" ${counts(members, failures)} timestamp="${
      report.startedAt.toISOString().slice(0, 19)
    }" hostname="localhost">`;
    return [head, ...members.map((one) => formatCase(one, failures)), "  </testsuite>"].join("\n");
  });
  const name = escapeXml(`wsward selftest ${report.url}`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${name}" ${counts(report.reports, failures)}>`,
    ...suites,
    "</testsuites>",
    "",
  ].join("\n");
}

function counts(reports: readonly CaseReport[], failures: ReadonlySet<Result>): string {
  const count = (isIt: (result: Result) => boolean) => reports.filter(({ result }) => isIt(result)).length;
  const time = seconds(reports.reduce((sum, { durationMs }) => sum + durationMs, 0));
  return `tests="${reports.length}" failures="${count((result) => failures.has(result))}" ` +
    `errors="${count((result) => result === "error")}" skipped="${
      count((result) => result === "skip")
    }" time="${time}"`;
}

function formatCase(
  { case: one, result, observed, durationMs }: CaseReport,
  failures: ReadonlySet<Result>,
): string {
  const head = `    <testcase name="${one.id}" classname="wsward.selftest.${
    one.group.replaceAll(" ", "-")
  }" time="${seconds(durationMs)}"`;
  const message = escapeXml(observed);
  const text = escapeXml(
    `${one.section} (${one.level})\nsends: ${one.sends}\nright: ${one.right}\nobserved: ${observed}`,
  );
  if (failures.has(result)) {
    return `${head}>\n      <failure message="${message}" type="${result}">${text}</failure>\n    </testcase>`;
  }
  if (result === "error") {
    return `${head}>\n      <error message="${message}" type="error">${text}</error>\n    </testcase>`;
  }
  if (result === "skip") return `${head}>\n      <skipped message="${message}"/>\n    </testcase>`;
  return result === "pass"
    ? `${head}/>`
    : `${head}>\n      <system-out>${escapeXml(`${result}: ${observed}`)}</system-out>\n    </testcase>`;
}

/** Text for XML 1.0, in which some characters can't even be escaped. */
function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\n": "&#10;",
  };
  return text.replace(
    /[&<>"\n]|[^\n -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,
    (character) => names[character] ?? `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
