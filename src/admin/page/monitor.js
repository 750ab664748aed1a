// The monitor: the token and its end, the state of the server, and its counts since the start.

import { askJson, watched } from "./admin_api.js";
import { byId, decimals, element, facts, formatBytes, formatDuration, momentOf, pause, say } from "./base.js";
import { drawCharts, isChartOld, makeCharts, perSecond, startCharts } from "./charts.js";
import { readEvents, startEvents } from "./events.js";
import { refreshLists, startLists } from "./lists.js";

const POLL_MS = 1000;
/** Lists cost the server more than its status does. */
const LISTS_EVERY = 3;
/** How long before its end another token is asked for, in seconds. */
const ENDS_SOON_S = 300;

const TILES = {
  "Connections": (status) => decimals.format(status.connections_open),
  "Sessions": (status) => decimals.format(status.sessions_open),
  "Opened": (status) => perSecond(status.rates.connections),
  "Closed": (status) => perSecond(status.rates.closes),
  "Refused": (status) => decimals.format(status.totals.refusals),
  "Violations": (status) => decimals.format(status.totals.violations),
  "Bans": (status) => decimals.format(status.bans_active),
  "Throttled": (status) => `${decimals.format(status.throttled_seconds)} s`,
  "Held for peers": (status) => formatBytes(status.buffered_bytes),
  "Memory": (status) => formatBytes(status.resident_bytes),
  "Lag": (status) => `${decimals.format(status.lag_seconds * 1000)} ms`,
  "Up for": (status) => formatDuration(status.uptime_seconds),
};

const COUNTS = {
  "Refusals, by rule": "refusals",
  "Closes, by code": "closes",
  "Violations, by rule": "violations",
  "Authentications": "authentications",
};

async function poll({ signal }) {
  for (let count = 0; !signal.aborted; count++) {
    try {
      // Also after a browser has let the page sleep.
      if (count === 0 || isChartOld()) startCharts((await askJson("/history")).points);
      const status = await askJson("/status");
      if (signal.aborted) return;
      showStatus(status);
      if (count % LISTS_EVERY === 0) await refreshLists();
    } catch (error) {
      if (signal.aborted) return;
      byId("live").classList.add("stale");
      if (error.status === 401 || error.status === 403) {
        return unwatch(`This token is refused: ${error.message}`, "bad");
      }
      const why = error.status === undefined
        ? "The server does not answer"
        : `The server answers ${error.status}: ${error.message}`;
      say("monitor-state", `${why}. Trying again every second.`, "bad");
    }
    await pause(POLL_MS, signal);
  }
}

function showStatus(status) {
  byId("live").hidden = false;
  byId("live").classList.remove("stale");
  say(
    "monitor-state",
    status.ready ? "Watching: all is well" : `Watching: ${status.problems.join(", ")}`,
    status.ready ? "good" : "bad",
  );
  showTokenEnd(new Date(status.token_expires_at));
  for (const [name, read] of Object.entries(TILES)) byId(`tile ${name}`).textContent = read(status);
  drawCharts(status);
  showUpstreams(status.upstreams);
  showCounts(status);
}

/** Shows until when the token is valid, and asks for another one in time. */
function showTokenEnd(end) {
  const seconds = (end - Date.now()) / 1000;
  const isSoon = seconds <= ENDS_SOON_S;
  const left = isSoon && seconds < 60 ? "less than a minute" : formatDuration(seconds);
  const text = isSoon
    ? `The token ends in ${left}: put in another one.`
    : `The token is good until ${momentOf(end)}, ${left} more.`;
  byId("token-end").hidden = false;
  // Each minute of the last ones is read out, and none of the many before.
  byId("token-end").ariaLive = isSoon ? "polite" : "off";
  say("token-end", text, isSoon ? "bad" : "");
  showTokenField(isSoon);
}

function showTokenField(areShown) {
  const isWatching = watched.stop !== undefined;
  byId("monitor-fields").hidden = !areShown;
  byId("watch").hidden = !areShown;
  byId("watch").textContent = isWatching ? "Use this token" : "Watch";
  byId("stop").hidden = !isWatching;
  // Without a token nothing there could be done.
  byId("lists").inert = !isWatching;
}

function showUpstreams(upstreams) {
  byId("upstreams").hidden = upstreams.length === 0;
  byId("upstreams-rows").replaceChildren(
    ...upstreams.map(({ name, up, connections_open, connects, connect_seconds_mean }) => {
      const { ok = 0, ...failed } = connects;
      const failures = Object.entries(failed).filter(([, count]) => count > 0);
      const cells = {
        Server: [name],
        State: [element("span", { className: up ? "good" : "bad" }, up ? "in use" : "left out for a time")],
        Open: [decimals.format(connections_open)],
        Connected: [decimals.format(ok)],
        Took: [ok > 0 ? `${decimals.format(connect_seconds_mean * 1000)} ms` : "-"],
        Failed: [
          failures.map(([result, count]) => `${result} ${decimals.format(count)}`).join(", ") || "none",
        ],
      };
      return element(
        "tr",
        {},
        ...Object.entries(cells).map(([label, children]) => {
          const cell = element("td", {}, element("span", {}, ...children));
          cell.dataset.label = label;
          return cell;
        }),
      );
    }),
  );
}

function showCounts(status) {
  byId("counts").replaceChildren(
    ...Object.entries(COUNTS).map(([title, field]) => {
      const counts = Object.entries(status[field]).filter(([, count]) => count > 0);
      const list = element("dl", {});
      for (const [name, count] of counts.sort((a, b) => b[1] - a[1])) {
        const meaning = field === "closes" ? facts.codes[name]?.name : facts.rules[name];
        const shown = meaning === undefined ? [name] : [`${name} `, element("small", {}, meaning)];
        list.append(element("dt", {}, ...shown), element("dd", {}, decimals.format(count)));
      }
      return element("div", {}, element("h4", {}, title), counts.length > 0 ? list : "none");
    }),
  );
}

function watch() {
  watched.token = byId("admin-token").value.trim();
  byId("admin-token").value = "";
  if (watched.stop !== undefined) return showTokenField(false);
  watched.stop = new AbortController();
  showTokenField(false);
  say("monitor-state", "Asking…");
  void poll(watched.stop);
  void readEvents(watched.stop);
}

function unwatch(text, mood) {
  watched.stop?.abort();
  watched.stop = undefined;
  watched.token = "";
  byId("token-end").hidden = true;
  byId("live").classList.add("stale");
  showTokenField(true);
  say("monitor-state", text, mood);
}

export function startMonitor() {
  byId("admin-command").textContent = facts.adminCommand;
  for (const name of Object.keys(TILES)) {
    byId("tiles").append(
      element("div", {}, element("dt", {}, name), element("dd", { id: `tile ${name}` })),
    );
  }
  makeCharts();
  startLists();
  startEvents();
  byId("monitor-form").addEventListener("submit", (event) => {
    event.preventDefault();
    watch();
  });
  byId("stop").addEventListener("click", () => unwatch("Not watching"));
}
