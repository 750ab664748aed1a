// Turns samples into the report: medians over the rounds, ratios within a round, and a table for people.
import type { LoadResult } from "./load.ts";
import { describeRow, type Row } from "./rows.ts";
import type { ServerName } from "./servers.ts";

/** One measurement. */
export interface Sample {
  readonly round: number;
  readonly row: Row;
  readonly server: ServerName;
  readonly result: LoadResult;
}

/** The results of one server in one row; medians over the rounds. */
export interface Cell {
  readonly server: ServerName;
  readonly messagesPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** The server's CPU time; like the shares of a core, undefined where it can't be read. */
  readonly cpuUsPerMessage: number | undefined;
  readonly serverCores: number | undefined;
  readonly clientCores: number | undefined;
  /** Messages per second, divided by those of the bare server in the same round. */
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number } | undefined;
  /** Whether the load generator had no CPU time left while the server had. */
  readonly clientWasBottleneck: boolean;
}

/** One row of the benchmark. */
export interface RowReport {
  readonly row: Row;
  readonly cells: readonly Cell[];
}

const BUSY_CLIENT_CORES = 0.9;
const BUSY_SERVER_CORES = 0.85;

/** Sums up the samples by row and server, in the order in which these first came. */
export function summarize(samples: readonly Sample[]): RowReport[] {
  return [...Map.groupBy(samples, ({ row }) => row)].map(([row, ofRow]) => {
    const byServer = Map.groupBy(ofRow, ({ server }) => server);
    const yardstick = new Map(byServer.get("bare")?.map(({ round, result }) => [round, rate(result)]));
    return {
      row,
      cells: [...byServer].map(([server, ofServer]) => summarizeCell(server, ofServer, yardstick)),
    };
  });
}

function summarizeCell(
  server: ServerName,
  samples: readonly Sample[],
  bare: ReadonlyMap<number, number>,
): Cell {
  const results = samples.map(({ result }) => result);
  const ratios = samples.flatMap(({ round, result }) => {
    const yardstick = bare.get(round);
    return yardstick === undefined ? [] : [rate(result) / yardstick];
  });
  const serverCores = medianOfKnown(results.map((r) => r.serverCpuSeconds && r.serverCpuSeconds / r.seconds));
  const clientCores = medianOfKnown(results.map((r) => r.clientCpuSeconds && r.clientCpuSeconds / r.seconds));
  return {
    server,
    messagesPerSecond: median(results.map(rate)),
    p50Us: median(results.map(({ p50Us }) => p50Us)),
    p99Us: median(results.map(({ p99Us }) => p99Us)),
    cpuUsPerMessage: medianOfKnown(
      results.map((r) => r.serverCpuSeconds && r.serverCpuSeconds * 1e6 / r.messages),
    ),
    serverCores,
    clientCores,
    ratio: ratios.length === 0
      ? undefined
      : { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
    clientWasBottleneck: clientCores !== undefined && serverCores !== undefined &&
      clientCores >= BUSY_CLIENT_CORES && serverCores < BUSY_SERVER_CORES,
  };
}

/** The middle of the values, or the mean of the two in the middle; NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

/** The report as a table. */
export function formatReport(reports: readonly RowReport[]): string {
  return reports.map(({ row, cells }) => {
    const lines = [
      ["", "msg/s", "p50 us", "p99 us", "CPU us/msg", "of bare (min-max)"],
      ...cells.map(formatCell),
    ];
    const notes = cells.filter(({ clientWasBottleneck }) => clientWasBottleneck).map(formatBottleneck);
    return [describeRow(row), alignColumns(lines), ...notes].join("\n");
  }).join("\n\n");
}

function formatCell({ server, messagesPerSecond, p50Us, p99Us, cpuUsPerMessage, ratio }: Cell): string[] {
  return [
    server,
    messagesPerSecond.toFixed(0),
    p50Us.toFixed(0),
    p99Us.toFixed(0),
    cpuUsPerMessage?.toFixed(1) ?? "-",
    ratio === undefined
      ? "-"
      : `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`,
  ];
}

function formatBottleneck({ server, clientCores, serverCores }: Cell): string {
  const percent = (cores: number | undefined) => `${Math.round((cores ?? 0) * 100)} %`;
  return `  The client was the bottleneck for ${server}: it used ${percent(clientCores)} of a core, ` +
    `the server ${percent(serverCores)}; the server can do more`;
}

function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => {
    const [name = "", ...numbers] = line.map((text, column) =>
      column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)
    );
    return `  ${[name, ...numbers].join("  ")}`;
  }).join("\n");
}

function rate({ messages, seconds }: LoadResult): number {
  return messages / seconds;
}

function medianOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}
