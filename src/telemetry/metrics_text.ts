// The text of the metrics, in the two forms that scrapers ask for: Prometheus 0.0.4 and OpenMetrics 1.0.0.

import { type MetricDeclaration, type MetricName, METRICS, type Samples } from "./metrics.ts";

/** The forms of text, by content type. */
export const METRICS_CONTENT_TYPES = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;

/** The name of one of the forms. */
export type MetricsForm = keyof typeof METRICS_CONTENT_TYPES;

/** Writes the metrics in one of the forms of text; one without samples is left out. */
export function formatMetrics(samples: Samples, form: MetricsForm): string {
  const lines: string[] = [];
  for (const [name, { type, help }] of Object.entries<MetricDeclaration>(METRICS)) {
    const series = samples[name as MetricName] ?? [];
    if (series.length === 0) continue;
    // OpenMetrics names a counter without the suffix, and its samples with it.
    const family = form === "openMetrics" && type === "counter" ? name.slice(0, -"_total".length) : name;
    lines.push(`# HELP ${family} ${escape(help)}`, `# TYPE ${family} ${type}`);
    for (const { labels, value } of series) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
      if (typeof value === "number") {
        lines.push(line(name, pairs, value));
        continue;
      }
      let count = 0;
      for (const [i, inRange] of value.counts.entries()) {
        count += inRange;
        lines.push(
          line(`${name}_bucket`, [...pairs, `le="${formatNumber(value.bounds[i] ?? Infinity)}"`], count),
        );
      }
      lines.push(line(`${name}_sum`, pairs, value.sum), line(`${name}_count`, pairs, count));
    }
  }
  if (form === "openMetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function line(name: string, pairs: readonly string[], value: number): string {
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${formatNumber(value)}`;
}

function formatNumber(value: number): string {
  return value === Infinity ? "+Inf" : String(value);
}

function escape(text: string): string {
  return text.replace(/[\\\n"]/g, (character) => character === "\n" ? "\\n" : `\\${character}`);
}
