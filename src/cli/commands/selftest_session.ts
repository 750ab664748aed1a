// One run of `selftest`: its output, files and exit code.

import config from "../../../deno.json" with { type: "json" };
import { StartError } from "../../core/errors.ts";
import type { Case } from "../../tools/selftest/case.ts";
import type { SelftestOptions } from "../../tools/selftest/options.ts";
import { formatJson } from "../../tools/selftest/report_json.ts";
import { TextReport } from "../../tools/selftest/report_text.ts";
import { CannotTest, type CaseReport, type Report, runSelftest } from "../../tools/selftest/run.ts";
import type { Result } from "../../tools/selftest/verdict.ts";
import { escapeShort } from "../../core/visible_text.ts";

const EXIT = { ok: 0, findings: 1, cannotTest: 3, dead: 4, interrupted: 130 } as const;

/** How a session reports. */
export interface SessionOptions {
  readonly json: boolean;
  readonly trace: boolean;
  readonly color: boolean;
  /** Files to write to. */
  readonly junit?: string;
  readonly sarif?: string;
  readonly failOn: "fail" | "warn" | "never";
  /** As it was given. */
  readonly url: string | undefined;
  /** All that may be run. */
  readonly cases: readonly Case[];
}

/** One run of the command: its output, files and exit code. */
export class SelftestSession {
  readonly #options: SessionOptions;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Tests each target, and returns the exit code. */
  async test(targets: readonly SelftestOptions[]): Promise<number> {
    const abort = new AbortController();
    const onSignal = () => abort.abort();
    Deno.addSignalListener("SIGINT", onSignal);
    try {
      const reports: Report[] = [];
      for (const options of targets) {
        const chosen = this.#options.cases.filter((one) =>
          options.only[0] !== "token" || one.group === "token"
        );
        if (chosen.length === 0 || abort.signal.aborted) continue;
        reports.push(await this.#one(options, abort.signal));
      }
      return await this.#finish(merge(reports));
    } catch (error) {
      if (!(error instanceof CannotTest)) throw error;
      console.error(
        `Cannot test ${escapeShort(targets[0]!.target.url, 200)}: ${escapeShort(error.message, 500)}`,
      );
      return EXIT.cannotTest;
    } finally {
      Deno.removeSignalListener("SIGINT", onSignal);
    }
  }

  async #one(options: SelftestOptions, signal: AbortSignal): Promise<Report> {
    const text = this.#text();
    const isQuiet = this.#options.json;
    const progress = new Progress();
    const open = new Map<string, CaseReport[]>();
    const left = Map.groupBy(this.#options.cases, ({ group }) => group);
    return await runSelftest(options, {
      started: (manner) => isQuiet || console.log(`${text.head(options.target.url, manner)}\n`),
      running: ({ id }, index, count) => progress.show(`${index} of ${count}: ${id}`),
      done: (report) => {
        const { group } = report.case;
        const members = open.get(group) ?? [];
        open.set(group, [...members, report]);
        // A group is shown when it is complete, so that cases that run at once stay in order.
        if (members.length + 1 < left.get(group)!.length || isQuiet) return;
        progress.hide();
        const order = new Map(left.get(group)!.map((one, index) => [one.id, index]));
        const sorted = open.get(group)!.toSorted((a, b) => order.get(a.case.id)! - order.get(b.case.id)!);
        console.log(`${text.group(group, sorted)}\n`);
      },
    }, signal).finally(() => progress.hide());
  }

  async #finish(report: Report): Promise<number> {
    const { json, junit, sarif, trace } = this.#options;
    if (json) {
      console.log(formatJson(report, trace));
    } else console.log(this.#text().summary(report));
    const failures = new Set<Result>(this.#options.failOn === "warn" ? ["fail", "warn"] : ["fail"]);
    if (junit !== undefined) {
      const { formatJunit } = await import("../../tools/selftest/report_junit.ts");
      await write("--junit", junit, formatJunit(report, failures));
    }
    if (sarif !== undefined) {
      const { formatSarif } = await import("../../tools/selftest/report_sarif.ts");
      await write("--sarif", sarif, formatSarif(report, config.version));
    }
    if (report.stopped === "interrupted") return EXIT.interrupted;
    if (report.stopped === "dead") return EXIT.dead;
    // Losing somebody else's connection is worth a warning.
    const isFinding = (this.#options.failOn === "warn" && report.controlLost !== undefined) ||
      (this.#options.failOn !== "never" && report.reports.some(({ result }) => failures.has(result)));
    if (isFinding) return EXIT.findings;
    // Cases that were not run may be wrong.
    return report.stopped === "late" ? EXIT.cannotTest : EXIT.ok;
  }

  #text(): TextReport {
    return new TextReport({
      color: this.#options.color,
      repeat: `wsward selftest${this.#options.url === undefined ? "" : ` ${this.#options.url}`}`,
      showTrace: this.#options.trace,
    });
  }
}

/** The line with the running case; on a terminal only. */
class Progress {
  readonly #isTerminal = Deno.stderr.isTerminal() && Deno.stdout.isTerminal();
  #isShown = false;

  show(text: string): void {
    if (!this.#isTerminal) return;
    this.#isShown = true;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
  }

  hide(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
  }
}

/** Several targets of one server as one report. */
function merge(reports: readonly Report[]): Report {
  const [first, ...others] = reports;
  if (first === undefined) throw new StartError("Cannot test anything: no case was run");
  return others.reduce((sum, report) => ({
    ...sum,
    durationMs: sum.durationMs + report.durationMs,
    reports: [...sum.reports, ...report.reports],
    stopped: sum.stopped ?? report.stopped,
    controlLost: sum.controlLost ?? report.controlLost,
  }), first);
}

async function write(flag: string, path: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, text);
  } catch (cause) {
    throw new StartError(`Cannot write ${flag} ${JSON.stringify(path)}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
