// The self-test's reports for programs, whatever a server says: SARIF by its schema, JUnit by its structure, and JSON.

import schema from "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json" with { type: "json" };
import { Ajv } from "ajv";
import assert from "node:assert/strict";
import { CASES } from "../../src/tools/selftest/cases.ts";
import { formatJson } from "../../src/tools/selftest/report_json.ts";
import { formatJunit } from "../../src/tools/selftest/report_junit.ts";
import { formatSarif } from "../../src/tools/selftest/report_sarif.ts";
import { TextReport } from "../../src/tools/selftest/report_text.ts";
import type { Report } from "../../src/tools/selftest/run.ts";
import { RESULTS } from "../../src/tools/selftest/verdict.ts";

const AWKWARD = 'a\x00\x1b[31m<b attr="x">&amp;]]>\n\u202e\ud800 \u{1f600}\ufffe';

const REPORT: Report = {
  url: "ws://127.0.0.1:8765/",
  manner: { kind: "echo", prefix: AWKWARD, answer: AWKWARD },
  startedAt: new Date(0),
  durationMs: 1234.5,
  // Each result, with something awkward observed.
  reports: CASES.slice(0, 18).map((one, index) => ({
    case: one,
    result: RESULTS[index % RESULTS.length]!,
    observed: `${index}: ${AWKWARD}`,
    durationMs: index,
    trace: [AWKWARD],
  })),
  stopped: undefined,
  controlLost: AWKWARD,
};

Deno.test("writes SARIF that its schema accepts and a code host takes", () => {
  const ajv = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false });
  // The schema is of an older draft, of which only the names of itself differ.
  const { $schema: _draft, id: _id, ...rules } = schema;
  const validate = ajv.compile<unknown>(rules);
  assert.equal(validate({ version: "2.1.0", runs: [{ tool: {} }] }), false, "the schema is heeded");
  const log = JSON.parse(formatSarif(REPORT, "1.2.3"));
  assert.ok(validate(log) as boolean, JSON.stringify(validate.errors));
  assert.ok(
    validate(JSON.parse(formatSarif({ ...REPORT, reports: [] }, "1.2.3"))),
    JSON.stringify(validate.errors),
  );

  const [run] = log.runs;
  assert.equal(run.results.length, 6, "no passes");
  for (const { ruleId, ruleIndex, level, locations, partialFingerprints } of run.results) {
    assert.equal(run.tool.driver.rules[ruleIndex].id, ruleId);
    assert.match(level, /^(error|warning)$/);
    const { uri } = locations[0].physicalLocation.artifactLocation;
    assert.match(uri, /^[A-Za-z0-9._/]+$/, "a relative location");
    assert.ok(!uri.startsWith("/"));
    assert.ok(Object.keys(partialFingerprints).length > 0);
  }
});

/** An element of XML, with what is in it. */
interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** Reads XML strictly, as much of it as there is here. Throws for anything that is not well-formed. */
function parseXml(xml: string): Element {
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  assert.ok(xml.startsWith(declaration));
  assert.doesNotMatch(
    xml,
    /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u,
    "characters of XML 1.0",
  );
  const token = /<(\/?)([a-z-]+)((?: [a-z]+="[^"<&]*(?:&(?:amp|lt|gt|quot|#10);[^"<&]*)*")*)(\/?)>|([^<]+)/gy;
  token.lastIndex = declaration.length;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    assert.ok(match !== null, `malformed at ${JSON.stringify(xml.slice(at, at + 80))}`);
    const [, end, name, attributeText = "", empty, text] = match;
    if (text !== undefined) {
      assert.doesNotMatch(text, /&(?!(?:amp|lt|gt|quot|#10);)|\]\]>/);
      open.at(-1)!.text += text;
    } else if (end === "/") {
      assert.equal(open.pop()!.name, name);
    } else {
      const pairs = Array.from(
        attributeText.matchAll(/ ([a-z]+)="([^"]*)"/g),
        ([, key, value]) => [key!, value!],
      );
      assert.equal(new Set(pairs.map(([key]) => key)).size, pairs.length, "an attribute twice");
      const element = { name: name!, attributes: Object.fromEntries(pairs), children: [], text: "" };
      open.at(-1)!.children.push(element);
      if (empty !== "/") open.push(element);
    }
  }
  assert.deepEqual(open, [root]);
  assert.equal(root.children.length, 1);
  return root.children[0]!;
}

/** The attributes that each element must have, and the elements that it may hold. */
const JUNIT: Readonly<
  Record<string, { readonly attributes: readonly string[]; readonly children: readonly string[] }>
> = {
  testsuites: {
    attributes: ["errors", "failures", "name", "skipped", "tests", "time"],
    children: ["testsuite"],
  },
  testsuite: {
    attributes: ["errors", "failures", "hostname", "name", "skipped", "tests", "time", "timestamp"],
    children: ["testcase"],
  },
  testcase: {
    attributes: ["classname", "name", "time"],
    children: ["error", "failure", "skipped", "system-out"],
  },
  failure: { attributes: ["message", "type"], children: [] },
  error: { attributes: ["message", "type"], children: [] },
  skipped: { attributes: ["message"], children: [] },
  "system-out": { attributes: [], children: [] },
};

function checkJunit({ name, attributes, children }: Element): void {
  const rule = JUNIT[name];
  assert.ok(rule !== undefined, `an element ${name}`);
  assert.deepEqual(Object.keys(attributes).sort(), rule.attributes);
  for (const [key, value] of Object.entries(attributes)) {
    if (["tests", "failures", "errors", "skipped"].includes(key)) assert.match(value, /^\d+$/);
    if (key === "time") assert.match(value, /^\d+(\.\d+)?$/);
    if (key === "timestamp") assert.match(value, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  }
  for (const child of children) {
    assert.ok(rule.children.includes(child.name), `${child.name} in ${name}`);
    checkJunit(child);
  }
  if (name === "testcase") assert.ok(children.length <= 1);
}

Deno.test("writes JUnit XML with a name and a class name for each case, and counts that are right", () => {
  const suites = parseXml(formatJunit(REPORT, new Set(["fail"])));
  checkJunit(suites);
  assert.equal(suites.name, "testsuites");
  const cases = suites.children.flatMap(({ children }) => children);
  const count = (child: string) => cases.filter(({ children }) => children[0]?.name === child).length;
  const { tests, failures, errors, skipped } = suites.attributes;
  assert.deepEqual([tests, failures, errors, skipped].map(Number), [18, 3, 3, 3]);
  assert.deepEqual([cases.length, count("failure"), count("error"), count("skipped")], [18, 3, 3, 3]);
  assert.deepEqual(
    cases.map(({ attributes }) => [attributes["name"], attributes["classname"]]),
    REPORT.reports.map(({ case: { id, group } }) => [id, `wsward.selftest.${group.replaceAll(" ", "-")}`]),
  );
  assert.equal(parseXml(formatJunit(REPORT, new Set(["fail", "warn"]))).attributes["failures"], "6");
});

Deno.test("writes JSON with the count of each result, and what a server said escaped", () => {
  const text = formatJson(REPORT, false);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  const { summary, cases } = JSON.parse(text);
  assert.deepEqual(summary, { pass: 3, info: 3, skip: 3, error: 3, warn: 3, fail: 3 });
  assert.equal(cases[0].observed, `0: ${AWKWARD}`);
  assert.equal(cases[0].trace, undefined);
  assert.deepEqual(JSON.parse(formatJson(REPORT, true)).cases[0].trace, [AWKWARD]);
});

Deno.test("writes text in which nothing of a server can paint the terminal, the worst at the end", () => {
  const report = new TextReport({ color: false, repeat: "wsward selftest", showTrace: false });
  const text = [
    report.head(REPORT.url, REPORT.manner),
    report.group("handshake", REPORT.reports),
    report.summary(REPORT),
  ].join("\n");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  const summary = report.summary(REPORT);
  assert.match(summary, /^fail hs-/);
  assert.match(summary, /\n {2}repeat: {3}wsward selftest --only hs-[a-z0-9-]+ --trace\n/);
  assert.match(summary, /\n18 cases in 1\.2 s: 3 fail, 3 warn, 3 error, 3 skip, 3 info, 3 pass$/);
});
