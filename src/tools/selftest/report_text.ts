// The report for people: a line for each case, and at the end the findings and the count of each result.

import { escapeShort } from "../../core/visible_text.ts";
import type { Case } from "./case.ts";
import { type Result, RESULTS } from "./verdict.ts";
import { CASES } from "./cases.ts";
import type { Manner } from "./probe.ts";
import { countResults } from "./report_json.ts";
import type { CaseReport, Report } from "./run.ts";

const COLORS: Readonly<Record<Result, string>> = {
  pass: "32",
  info: "36",
  skip: "2",
  error: "35",
  warn: "33",
  fail: "31",
};
const ID_WIDTH = Math.max(...CASES.map(({ id }) => id.length));
const MAX_OBSERVED = 300;

/** Writes lines with or without colour. */
export class TextReport {
  readonly #color: boolean;
  readonly #repeat: string;
  readonly #showTrace: boolean;

  /** `repeat` is the command line that repeats a case, but for the flags that choose the case. */
  constructor(options: { readonly color: boolean; readonly repeat: string; readonly showTrace: boolean }) {
    this.#color = options.color;
    this.#repeat = options.repeat;
    this.#showTrace = options.showTrace;
  }

  /** The first line. */
  head(url: string, { kind, prefix, answer }: Manner): string {
    const how = {
      echo: prefix === "" ? "an echo" : `an echo after ${JSON.stringify(prefix)}`,
      fixed: `answers ${JSON.stringify(answer)}`,
      none: "answers no message",
    }[kind];
    return `${escapeShort(url, 200)}: ${escapeShort(how, 200)}`;
  }

  /** The cases of one group, as aligned lines under its name. */
  group(name: string, reports: readonly CaseReport[]): string {
    const lines = reports.flatMap((
      report,
    ) => [this.#line(report), ...this.#showTrace ? this.#trace(report) : []]);
    return [this.#paint("1", name), ...lines].join("\n");
  }

  /** What is wrong, and the count of each result. */
  summary(report: Report): string {
    const wrong = report.reports.filter(({ result }) => ["fail", "warn", "error"].includes(result)).toSorted((
      a,
      b,
    ) => RESULTS.indexOf(b.result) - RESULTS.indexOf(a.result));
    const blocks = wrong.map((one) => this.#finding(one));
    if (report.controlLost !== undefined) {
      blocks.push(
        `The connection that was open throughout was lost: ${escapeShort(report.controlLost, MAX_OBSERVED)}`,
      );
    }
    if (report.stopped === "dead") blocks.push("The server stopped answering: the rest was not run");
    if (report.stopped === "late") blocks.push("The time is over (--max-time): the rest was not run");
    if (report.stopped === "interrupted") blocks.push("Interrupted: the rest was not run");
    const counts = Object.entries(countResults(report)).toReversed().filter(([, count]) => count > 0)
      .map(([result, count]) => this.#paint(COLORS[result as Result], `${count} ${result}`));
    const time = `${(report.durationMs / 1000).toFixed(1)} s`;
    return [...blocks, `${report.reports.length} cases in ${time}: ${counts.join(", ") || "none"}`].join(
      "\n\n",
    );
  }

  #line({ case: { id }, result, observed }: CaseReport): string {
    return `  ${this.#paint(COLORS[result], result.padEnd(5))}  ${id.padEnd(ID_WIDTH)}  ${
      escapeShort(observed, 120)
    }`;
  }

  #trace({ trace }: CaseReport): readonly string[] {
    return trace.map((line) => `           ${this.#paint("2", line)}`);
  }

  #finding({ case: one, result, observed }: CaseReport): string {
    const classes = one.class === "harmless" ? "" : ` --class ${one.class}`;
    return [
      `${this.#paint(COLORS[result], result)} ${one.id} (${one.section}, ${one.level})`,
      `  sends:    ${one.sends}`,
      `  expected: ${one.right}`,
      `  observed: ${escapeShort(observed, MAX_OBSERVED)}`,
      `  repeat:   ${this.#repeat}${classes} --only ${one.id} --trace`,
    ].join("\n");
  }

  #paint(style: string, text: string): string {
    return this.#color ? `\x1b[${style}m${text}\x1b[0m` : text;
  }
}

/** All cases, a line each under their groups. */
export function listCases(cases: readonly Case[]): string {
  const classWidth = 10;
  return Array.from(Map.groupBy(cases, ({ group }) => group), ([group, members]) => {
    const lines = members.map((one) =>
      `  ${one.id.padEnd(ID_WIDTH)}  ${
        one.class.padEnd(classWidth)
      }  ${one.section}, ${one.level}: ${one.sends}: ${one.right}`
    );
    return [group, ...lines].join("\n");
  }).join("\n\n");
}
