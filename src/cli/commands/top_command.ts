// The command `top`: the state of a running server, redrawn every second in a terminal, or printed once.

import type { Command } from "commander";
import type { EndpointStatus, Status } from "../../admin/status.ts";
import { formatDuration } from "../../core/duration.ts";
import { StartError } from "../../core/errors.ts";
import { formatValue } from "../../telemetry/line.ts";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { escapeText, formatColumns } from "../client/printed.ts";

type LogRecord = Readonly<Record<string, unknown>>;

const INTERVAL_MS = 1000;
/** The size for an output that is not a terminal. */
const PAGE = { columns: 80, rows: 24 };

/** Room for a word beside the names of the lists. */
const MIN_COLUMNS = 40;

// The second screen, a hidden cursor, and lines that are cut at the edge; and back.
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

const CTRL_C = 3;
const QUIT = "q".charCodeAt(0);

/** Adds `top` to `program`. */
export function addTopCommand(program: Command): void {
  const command = addAdminOptions(
    program.command("top").description("show the state of a running server, every second; q ends it"),
  ).option("--once", "print it once, as for an output that is not a terminal");
  command.action(async () => {
    const client = AdminClient.fromCommand(command);
    const { once = false } = command.opts<{ once?: boolean }>();
    const isTerminal = Deno.stdout.isTerminal();
    if (once || !isTerminal) console.log(await draw(client, isTerminal ? Deno.consoleSize() : PAGE));
    else await watch(client);
  });
}

/**
 * The whole picture, with no line longer than `columns`: short numbers, whole lists, and below them as many of the
 * newest records as there is room for.
 */
export function formatTop(
  status: Status,
  events: readonly LogRecord[],
  page: { readonly columns: number; readonly rows: number },
): string {
  // A terminal that does not know its size says 0.
  const columns = Math.max(MIN_COLUMNS, page.columns);
  const { lag_seconds: lag, rates_window_seconds: window } = status;
  const state = status.ready ? "ready" : `NOT READY: ${status.problems.join(", ")}`;
  const paragraphs = [
    `wsward ${status.version}  up ${formatDuration(Math.floor(status.uptime_seconds) * 1000)}  ${state}`,
    `${status.connections_open} connections  ${status.sessions_open} sessions  ${status.bans_active} bans  ` +
    `(rates over ${window.toFixed(1)} s)`,
    "",
    ...formatColumns(
      ["ENDPOINT", "OPEN", "NEW/s", "REF/s", "IN/s", "OUT/s", "IN B/s", "OUT B/s"],
      status.endpoints.map(endpointRow),
    ).split("\n"),
    "",
    ...upstreamLines(status.upstreams),
    ...nodeLines(status.nodes),
    `Refused     ${formatCounts(status.refusals)}`,
    `Closes      ${formatCounts(status.closes)}`,
    `Violations  ${formatCounts(status.violations)}`,
    `Tokens      ${formatCounts(status.authentications)}`,
    `Lag         ${(lag * 1000).toFixed(1)} ms`,
    `Memory      ${formatBytes(status.resident_bytes)}, ${formatBytes(status.buffered_bytes)} held for peers`,
    `Throttled   ${status.throttled_seconds.toFixed(1)} s`,
    "",
  ];
  const lines = paragraphs.flatMap((text) => wrap(escapeText(text), columns));
  const room = Math.max(1, page.rows - lines.length - 1);
  const records = events.slice(-room).map((record) => cut(escapeText(formatRecord(record)), columns));
  return [...lines, ...records].join("\n");
}

function endpointRow({ name, connections_open, rates }: EndpointStatus): readonly string[] {
  const perSecond = [rates.connections, rates.refusals, rates.messages_in, rates.messages_out];
  return [
    name,
    formatNumber(connections_open),
    ...perSecond.map((rate) => formatNumber(rate)),
    formatNumber(rates.bytes_in, 1024),
    formatNumber(rates.bytes_out, 1024),
  ];
}

function upstreamLines(upstreams: Status["upstreams"]): readonly string[] {
  if (upstreams.length === 0) return [];
  const rows = upstreams.map(({ name, up, connections_open, connects, connect_seconds_mean }) => {
    const { ok = 0, ...failed } = connects;
    const took = ok > 0 ? `${formatNumber(connect_seconds_mean * 1000)} ms` : "-";
    const state = up ? "up" : "DOWN";
    return [name, state, formatNumber(connections_open), formatNumber(ok), took, formatCounts(failed)];
  });
  return [...formatColumns(["UPSTREAM", "", "OPEN", "OK", "TOOK", "FAILED"], rows).split("\n"), ""];
}

function nodeLines(nodes: Status["nodes"]): readonly string[] {
  if (nodes === undefined) return [];
  if (nodes.length === 0) return ["Nodes       Redis is lost: this one decides alone", ""];
  const rows = nodes.map((node) => [
    node.this ? `${node.name} (this)` : node.name,
    formatNumber(node.connections),
    formatNumber(node.sessions),
    `${(node.lag_seconds * 1000).toFixed(0)} ms`,
    `${node.silent_seconds.toFixed(0)} s ago`,
  ]);
  return [...formatColumns(["NODE", "OPEN", "SESSIONS", "LAG", "HEARD"], rows).split("\n"), ""];
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const most = Object.entries(counts).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  return most.length === 0 ? "none" : most.map(([name, count]) => `${name} ${count}`).join(", ");
}

/** At most five characters: `0.5`, `999`, `12.3k`; `1.5M` is a million, or a mebibyte where a thousand is 1024. */
function formatNumber(value: number, thousand = 1000): string {
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  while (value >= thousand * 0.9995 && unit < units.length - 1) {
    value /= thousand;
    unit++;
  }
  const isWhole = Number.isInteger(value) || value >= 99.95;
  return value.toFixed(isWhole ? 0 : 1) + units[unit];
}

/** The lines of a text, broken at spaces; those after the first stand below where a list begins. */
function wrap(text: string, columns: number): readonly string[] {
  const [indent = ""] = /^[A-Z][a-z]+ {2,}(?=\S)/.exec(text) ?? [];
  const lines: string[] = [];
  let rest = [...text];
  while (rest.length > columns) {
    const space = rest.slice(0, columns + 1).lastIndexOf(" ");
    const end = space > indent.length ? space : columns;
    lines.push(rest.slice(0, end).join(""));
    rest = [..." ".repeat(indent.length), ...rest.slice(rest[end] === " " ? end + 1 : end)];
  }
  return [...lines, rest.join("")];
}

function cut(text: string, columns: number): string {
  const characters = [...text];
  return characters.length <= columns ? text : `${characters.slice(0, columns - 1).join("")}…`;
}

function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${bytes.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

// The id of a connection, which says little to people, comes last.
function formatRecord({ time, level, event, message: _, connection, ...fields }: LogRecord): string {
  const pairs = Object.entries({ ...fields, ...connection === undefined ? {} : { connection } }).map((
    [name, value],
  ) => `${name}=${formatValue(String(value))}`);
  return [String(time).slice(11, 19), String(level), String(event), ...pairs].join(" ");
}

async function draw(client: AdminClient, page: { columns: number; rows: number }): Promise<string> {
  const status = await client.call("GET", "/status") as Status;
  if (!Array.isArray(status?.endpoints)) {
    throw new StartError("Cannot understand the server: it does not answer like wsward");
  }
  return formatTop(status, await client.list("/events", "events"), page);
}

/** Redraws until `q`, Ctrl-C or a signal; the terminal is as it was when this resolves. */
async function watch(client: AdminClient): Promise<void> {
  const end = Promise.withResolvers<"end">();
  const stop = () => end.resolve("end");
  const isKeyboard = Deno.stdin.isTerminal();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  if (isKeyboard) {
    Deno.stdin.setRaw(true);
    void readKeys(stop);
  }
  write(ENTER);
  try {
    let next: "end" | "tick" = "tick";
    while (next === "tick") {
      const text = await Promise.race([end.promise, drawOrExplain(client)]);
      if (text === "end") break;
      write(HOME + text.split("\n").map((line) => line + CLEAR_LINE).join("\r\n") + CLEAR_BELOW);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const tick = new Promise<"tick">((resolve) => timer = setTimeout(() => resolve("tick"), INTERVAL_MS));
      next = await Promise.race([end.promise, tick]);
      clearTimeout(timer);
    }
  } finally {
    write(LEAVE);
    if (isKeyboard) Deno.stdin.setRaw(false);
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  }
}

// A server that is started again is shown again.
async function drawOrExplain(client: AdminClient): Promise<string> {
  try {
    return await draw(client, Deno.consoleSize());
  } catch (error) {
    return escapeText(error instanceof Error ? error.message : String(error));
  }
}

async function readKeys(stop: () => void): Promise<void> {
  const keys = new Uint8Array(64);
  for (;;) {
    const count = await Deno.stdin.read(keys).catch(() => null);
    if (count === null || keys.subarray(0, count).some((key) => key === QUIT || key === CTRL_C)) {
      return stop();
    }
  }
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
}
