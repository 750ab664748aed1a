// The report as SARIF 2.1.0, as code hosts accept it: findings only, each at a relative location.

import type { CaseReport, Report } from "./run.ts";

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";
const LEVELS = { fail: "error", warn: "warning" } as const;

/** The report as SARIF; `version` is the program's. */
export function formatSarif({ url, reports, stopped }: Report, version: string): string {
  const found = reports.filter(({ result }) => result === "fail" || result === "warn");
  const log = {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [{
      tool: { driver: { name: "wsward selftest", semanticVersion: version, rules: found.map(describeRule) } },
      invocations: [{ executionSuccessful: stopped === undefined }],
      results: found.map((report, ruleIndex) => describeResult(report, ruleIndex, url)),
    }],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function describeRule({ case: { id, section, level, sends, right, group } }: CaseReport): unknown {
  return {
    id,
    name: id.replace(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase()),
    shortDescription: { text: `${sends}: ${right}` },
    fullDescription: { text: `Sends ${sends}. Right is: ${right} (${section}, ${level}).` },
    help: { text: `See ${section}. To repeat it: wsward selftest URL --only ${id}` },
    defaultConfiguration: { level: level === "MUST" ? "error" : "warning" },
    properties: { tags: ["websocket", group] },
  };
}

function describeResult(
  { case: { id, right }, result, observed }: CaseReport,
  ruleIndex: number,
  url: string,
): unknown {
  // Code hosts want a file, and there is none: a path made of the server's URL stands for it.
  const uri = `selftest/${url.replace(/[^A-Za-z0-9.]+/g, "_").replace(/^_|_$/g, "")}`;
  return {
    ruleId: id,
    ruleIndex,
    level: LEVELS[result as keyof typeof LEVELS],
    message: { text: `Expected: ${right}. Observed: ${observed}.` },
    locations: [{ physicalLocation: { artifactLocation: { uri }, region: { startLine: 1 } } }],
    partialFingerprints: { "wswardCase/v1": `${id}:${uri}` },
  };
}
