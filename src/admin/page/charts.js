// Charts of the last two minutes: first the server's history, then its status once a second.

import { byId, decimals, element, formatBytes } from "./base.js";

const CHART_MS = 120_000;
/** Over a longer gap there is no line. */
const GAP_MS = 5000;

export const perSecond = (rate) => `${decimals.format(rate)}/s`;

const CHARTS = [
  {
    title: "Connections",
    format: (count) => decimals.format(count),
    series: { open: (status) => status.connections_open, sessions: (status) => status.sessions_open },
  },
  {
    title: "Messages",
    format: perSecond,
    series: { in: (status) => status.rates.messages_in, out: (status) => status.rates.messages_out },
  },
  {
    title: "Bytes",
    format: (rate) => `${formatBytes(rate)}/s`,
    series: { in: (status) => status.rates.bytes_in, out: (status) => status.rates.bytes_out },
  },
  {
    title: "Refused",
    format: perSecond,
    series: {
      refusals: (status) => status.rates.refusals,
      violations: (status) => status.rates.violations,
    },
  },
];

/** Statuses, or points of the server's history, and when they were. */
let points = [];
const drawings = [];

/** Whether the charts were not drawn for long. */
export function isChartOld() {
  return performance.now() - (points.at(-1)?.atMs ?? 0) > GAP_MS / 2;
}

/** Begins again with the server's history. */
export function startCharts(history) {
  const nowMs = performance.now();
  points = history.map((status) => ({ atMs: nowMs - status.seconds_ago * 1000, status }));
}

/** Adds the status of now, and draws. */
export function drawCharts(status) {
  const nowMs = performance.now();
  points = [...points.filter(({ atMs }) => nowMs - atMs <= CHART_MS), { atMs: nowMs, status }];
  for (const draw of drawings) draw(nowMs);
}

export function makeCharts() {
  for (const chart of CHARTS) makeChart(chart);
}

function makeChart({ title, format, series }) {
  const names = Object.keys(series);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 -2 240 64");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const caption = element("figcaption", {}, element("b", {}, title));
  const most = element("span", { className: "note" });
  const lines = names.map((_, index) => {
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("class", `series${index}`);
    svg.append(path);
    return { path, label: caption.appendChild(element("span", { className: `series${index}` })) };
  });
  byId("charts").append(element("figure", { className: "card" }, caption, svg, most));
  drawings.push((nowMs) => {
    const values = names.map((name) => points.map(({ status }) => series[name](status)));
    const top = Math.max(...values.flat());
    names.forEach((name, index) => {
      lines[index].label.textContent = `${name} ${format(values[index].at(-1))}`;
      lines[index].path.setAttribute("d", pathOf(values[index], nowMs, Math.max(top, 1)));
    });
    most.textContent = `last 2 minutes, at most ${format(top)}`;
    svg.setAttribute("aria-label", `${title}, ${lines.map(({ label }) => label.textContent).join(", ")}`);
  });
}

function pathOf(values, nowMs, top) {
  return values.map((value, index) => {
    const { atMs } = points[index];
    const isFirst = index === 0 || atMs - points[index - 1].atMs > GAP_MS;
    const x = 240 * (1 - (nowMs - atMs) / CHART_MS);
    return `${isFirst ? "M" : "L"}${x.toFixed(1)} ${(60 * (1 - value / top)).toFixed(1)}`;
  }).join("");
}
