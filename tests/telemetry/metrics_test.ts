// The text of the metrics; and what uses them elsewhere names only metrics and labels that exist.

import assert from "node:assert/strict";
import { Histogram } from "../../src/telemetry/histogram.ts";
import { type MetricDeclaration, METRICS, type Samples } from "../../src/telemetry/metrics.ts";
import { formatMetrics } from "../../src/telemetry/metrics_text.ts";

const SAMPLES: Samples = {
  wsward_ready: [{ labels: {}, value: 1 }],
  wsward_bans_total: [{ labels: {}, value: 3 }],
  wsward_violations_total: [
    { labels: { endpoint: "echo", rule: "masking" }, value: 1 },
    { labels: { endpoint: "echo", rule: "utf8" }, value: 2 },
  ],
};

Deno.test("writes the samples, and nothing for metrics without any", () => {
  const text = formatMetrics(SAMPLES, "prometheus");
  assert.match(text, /^# TYPE wsward_ready gauge\nwsward_ready 1$/m);
  assert.match(text, /^# TYPE wsward_bans_total counter\nwsward_bans_total 3$/m);
  assert.match(text, /^wsward_violations_total\{endpoint="echo",rule="utf8"\} 2$/m);
  assert.doesNotMatch(text, /wsward_sessions_open|# EOF/);
});

Deno.test("writes OpenMetrics with the family without its suffix, and an end", () => {
  const text = formatMetrics(SAMPLES, "openMetrics");
  assert.match(text, /^# TYPE wsward_bans counter\nwsward_bans_total 3$/m);
  assert.match(text, /\n# EOF\n$/);
});

Deno.test("a label can't end its line or its quotes", () => {
  const text = formatMetrics(
    { wsward_build_info: [{ labels: { version: 'a"b\\c\nd' }, value: 1 }] },
    "prometheus",
  );
  assert.match(text, /^wsward_build_info\{version="a\\"b\\\\c\\nd"\} 1$/m);
});

Deno.test("writes the ranges of a histogram on top of each other", () => {
  const histogram = new Histogram([1, 5]);
  for (const value of [0.5, 2, 100]) histogram.observe(value);
  const text = formatMetrics({
    wsward_session_duration_seconds: [{ labels: {}, value: histogram }],
  }, "prometheus");
  const lines = text.split("\n").filter((line) => line.startsWith("wsward"));
  assert.deepEqual(lines, [
    'wsward_session_duration_seconds_bucket{le="1"} 1',
    'wsward_session_duration_seconds_bucket{le="5"} 2',
    'wsward_session_duration_seconds_bucket{le="+Inf"} 3',
    "wsward_session_duration_seconds_sum 102.5",
    "wsward_session_duration_seconds_count 3",
  ]);
});

for (const [name, { type, help }] of Object.entries<MetricDeclaration>(METRICS)) {
  Deno.test(`${name} is named as Prometheus asks for`, () => {
    assert.match(name, /^(wsward|process)(_[a-z]+)+$/);
    assert.equal(name.endsWith("_total"), type === "counter");
    if (type === "histogram") assert.match(name, /_(seconds|bytes)$/);
    assert.match(help, /^[A-Z].*[^.]$/);
  });
}

/** Every name in an expression that is one of a metric of ours, with the labels it is asked for. */
function metricsIn(expression: string): { name: string; labels: string[] }[] {
  return Array.from(
    expression.matchAll(/\b((?:wsward|process)_\w+)(?:\{([^}]*)\})?/g),
    ([, name, inside]) => ({
      name: name!,
      labels: Array.from((inside ?? "").matchAll(/(\w+)\s*[=!]~?/g), ([, label]) => label!),
    }),
  );
}

/** What Prometheus itself knows of a job: whether a scrape of ours succeeded. */
const UP = 'up{job="wsward"}';

function checkExpression(expression: string): void {
  if (expression.startsWith(UP)) return;
  const used = metricsIn(expression);
  assert.ok(used.length > 0, `no metric in ${expression}`);
  for (const { name, labels } of used) {
    const base = name.replace(/_(bucket|sum|count)$/, "");
    const isPart = base !== name && METRICS[base as keyof typeof METRICS]?.type === "histogram";
    const declaration: MetricDeclaration | undefined =
      METRICS[(isPart ? base : name) as keyof typeof METRICS];
    assert.ok(declaration !== undefined, `${name} is not a metric`);
    assert.ok(isPart || declaration.type !== "histogram", `${name} has no value of its own`);
    for (const label of labels) {
      assert.ok(declaration.labels.includes(label), `${name} has no label ${label}`);
    }
  }
  for (const [, inside] of expression.matchAll(/\bby\s*\(([^)]*)\)/g)) {
    const known = used.flatMap(({ name }) =>
      METRICS[name.replace(/_bucket$/, "") as keyof typeof METRICS]?.labels ?? []
    );
    for (const label of inside!.split(/\s*,\s*/)) {
      assert.ok(["le", ...known].includes(label), `${expression} has no label ${label}`);
    }
  }
}

function readScript(name: string): string {
  return Deno.readTextFileSync(new URL(`../../scripts/${name}`, import.meta.url));
}

Deno.test("the Grafana dashboard asks for metrics and labels that exist", () => {
  const dashboard = JSON.parse(readScript("grafana_dashboard.json"));
  const expressions = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr)
  );
  assert.ok(expressions.length >= 10);
  for (const expression of expressions) {
    checkExpression(expression.replaceAll(/(?:, )?instance=~"\$instance"/g, ""));
    const selectors = expression.match(/\b(wsward|process)_\w+/g);
    assert.equal(expression.match(/instance=~"\$instance"/g)?.length, selectors?.length, expression);
  }
  const upstreams = Object.keys(METRICS).filter((name) => name.startsWith("wsward_upstream_"));
  assert.deepEqual(upstreams.filter((name) => !expressions.some((one: string) => one.includes(name))), []);
  const { query } = dashboard.templating.list.find(({ name }: { name: string }) => name === "instance");
  assert.equal(query.query, "label_values(wsward_build_info, instance)");
});

Deno.test("the alert rules ask for metrics and labels that exist", () => {
  const rules = readScript("alert_rules.yml");
  const expressions = Array.from(rules.matchAll(/^\s+expr: (.+)$/gm), ([, expression]) => expression!);
  assert.equal(expressions.length, rules.match(/- alert:/g)?.length);
  assert.ok(expressions.some((expression) => expression.startsWith(UP)));
  for (const expression of expressions) checkExpression(expression);
});

Deno.test("a metric that does not exist is found in an expression", () => {
  for (
    const wrong of [
      "wsward_nothing",
      'wsward_ready{endpoint="echo"}',
      "sum by (rule) (wsward_connections_open)",
      "rate(wsward_message_size_bytes[5m])",
      "up",
    ]
  ) {
    assert.throws(() => checkExpression(wrong), wrong);
  }
});
