// What the page does: a playground for the endpoints, and a monitor that asks this server once a second.
// What a peer, a user or the server sends becomes text, never markup.

const MAX_LOG_ENTRIES = 200;
const MAX_EVENTS = 100;
const MAX_SHOWN_LENGTH = 2000;
const MAX_SHOWN_NAME = 48;
const MAX_SHOWN_BYTES = 256;
const CHART_MS = 120_000;
const POLL_MS = 1000;
const ANSWER_TIMEOUT_MS = 5000;
const MEASURED_ROUND_TRIPS = 10;

const facts = JSON.parse(byId("facts").textContent);
const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

function byId(id) {
  return document.getElementById(id);
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(id, text, mood = "") {
  const state = byId(id);
  state.className = `state ${mood}`;
  // An unchanged text is not read out again.
  if (state.textContent !== text) state.textContent = text;
}

function timeOf(date) {
  return date.toTimeString().slice(0, 8);
}

function formatBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${decimals.format(bytes)} ${units[unit]}`;
}

function formatDuration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

// Playground

let socket;
/** What was sent and has no reply yet, the oldest first: the server answers in order. */
let pending = [];
let lastId = 0;

function addEntry(kind, heading, detail, text = "") {
  const log = byId("log");
  const meta = element("span", { className: "meta" }, element("b", {}, heading), ` ${detail}`);
  log.append(element("li", { className: kind }, meta, text));
  while (log.children.length > MAX_LOG_ENTRIES) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

function describeData(data) {
  if (typeof data === "string") {
    const rest = data.length - MAX_SHOWN_LENGTH;
    return {
      size: `text, ${decimals.format(new TextEncoder().encode(data).length)} B`,
      text: rest > 0 ? `${data.slice(0, MAX_SHOWN_LENGTH)} … and ${rest} more characters` : data,
    };
  }
  const shown = [...new Uint8Array(data, 0, Math.min(data.byteLength, MAX_SHOWN_BYTES))];
  const hex = shown.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const rest = data.byteLength - shown.length;
  return {
    size: `binary, ${decimals.format(data.byteLength)} B`,
    text: rest > 0 ? `${hex} … and ${rest} more bytes` : hex,
  };
}

function chosenEndpoint() {
  const name = document.querySelector("[name=endpoint]:checked")?.value;
  return facts.endpoints.find((endpoint) => endpoint.name === name);
}

function showEndpoints() {
  const area = byId("endpoints");
  for (const { name, url } of facts.endpoints) {
    const radio = element("input", { type: "radio", name: "endpoint", value: name, autocomplete: "off" });
    radio.addEventListener("change", showFields);
    area.append(element("label", { className: "choice" }, radio, `${name}: `, element("code", {}, url)));
  }
  const first = area.querySelector("input");
  if (first === null) area.append("No endpoint is listening at the moment; reload this page in a while.");
  else first.checked = true;
}

function showFields() {
  byId("secure-fields").hidden = chosenEndpoint()?.name !== "secure";
  byId("message-field").hidden = byId("kind").value === "file";
  byId("file-field").hidden = byId("kind").value !== "file";
}

function connect() {
  const endpoint = chosenEndpoint();
  if (endpoint === undefined) return;
  const isSecure = endpoint.name === "secure";
  const token = isSecure ? byId("token").value.trim() : "";
  const inHandshake = token !== "" && byId("presentation").value === "subprotocol";
  const subprotocol = byId("subprotocol").value || (inHandshake ? "wsward.text" : "");
  const offered = [inHandshake ? `bearer.${token}` : "", isSecure ? subprotocol : ""].filter(Boolean);
  let made;
  try {
    made = new WebSocket(endpoint.url, offered);
  } catch {
    addEntry("bad", "Not connected", "", "This token has characters that a subprotocol can't have.");
    return;
  }
  socket = made;
  pending = [];
  let wasOpen = false;
  made.binaryType = "arraybuffer";
  say("connection", "Connecting…");
  byId("connect").textContent = "Disconnect";
  made.addEventListener("open", () => {
    wasOpen = true;
    const spoken = made.protocol === "" ? "no subprotocol" : made.protocol;
    say("connection", `Connected to ${endpoint.name}`, "good");
    addEntry("good", "Connected", `${timeOf(new Date())}, ${spoken}`);
    if (token !== "" && !inHandshake) {
      track();
      made.send(token);
      addEntry("sent", "Sent", `${timeOf(new Date())}, a token, not shown here`);
    }
  });
  made.addEventListener("message", ({ data }) => receive(data));
  made.addEventListener("close", (event) => {
    if (socket === made) socket = undefined;
    for (const { done } of pending.splice(0)) done?.(undefined);
    say(
      "connection",
      wasOpen ? `Closed: ${event.code}` : "Refused, or nothing is there",
      event.code === 1000 ? "" : "bad",
    );
    byId("connect").textContent = "Connect";
    if (wasOpen) explainClose(event);
    else explainRefusal(endpoint.url);
  });
}

function explainClose({ code, reason }) {
  const known = facts.codes[code];
  const lines = [`Reason: ${reason === "" ? "none was given" : reason}`];
  if (known?.meaning !== undefined) {
    lines.push(`Meaning: ${known.meaning}`, `Usual cause: ${known.cause}`);
    if (known.flags.length > 0) lines.push(`Settings: ${known.flags.join(", ")}`);
  }
  const name = known?.name ?? "a code of this application's own";
  addEntry(code === 1000 ? "" : "bad", `Closed: ${code} ${name}`, timeOf(new Date()), lines.join("\n"));
}

function explainRefusal(url) {
  const lines = [
    "A browser does not say why. The event handshake.refused in the monitor, or in the log, does.",
    `This page's origin is ${location.origin}. An endpoint on a loopback address accepts it; one on another ` +
    `address needs --allow-origin ${location.origin}.`,
  ];
  if (url.startsWith("wss:")) {
    lines.push(`The browser must trust the certificate: open ${url.replace("wss", "https")} to see.`);
  }
  addEntry("bad", "Not connected", timeOf(new Date()), lines.join("\n"));
}

/** Remembers when something was sent; `done` gets the milliseconds until its reply. */
function track(data, done) {
  pending.push({ id: idOf(data), atMs: performance.now(), done });
}

function idOf(data) {
  if (socket?.protocol !== "wsward.v1" || typeof data !== "string") return undefined;
  return parseObject(data).id;
}

function parseObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function receive(data) {
  const id = idOf(data);
  const isNotification = socket?.protocol === "wsward.v1" && typeof data === "string" &&
    parseObject(data).method !== undefined;
  const index = id === undefined || id === null ? 0 : pending.findIndex((sent) => sent.id === id);
  const sent = isNotification || index < 0 ? undefined : pending.splice(index, 1)[0];
  const ms = sent === undefined ? undefined : performance.now() - sent.atMs;
  if (sent?.done !== undefined) return sent.done(ms);
  const { size, text } = describeData(data);
  const time = ms === undefined ? "" : `, after ${decimals.format(ms)} ms`;
  addEntry("received", "Received", `${timeOf(new Date())}, ${size}${time}`, text);
}

function isConnected() {
  if (socket?.readyState === WebSocket.OPEN) return true;
  addEntry("bad", "Not sent", timeOf(new Date()), "Connect first.");
  return false;
}

async function readMessage() {
  const kind = byId("kind").value;
  if (kind === "file") return await byId("file").files[0]?.arrayBuffer() ?? "Choose a file first.";
  const text = byId("message").value;
  if (kind === "text") return text;
  const hex = text.replace(/\s/g, "");
  if (!/^(?:[\da-f]{2})*$/i.test(hex)) return "This is not hex: two digits a byte, such as 00 ff 7a.";
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
}

async function send() {
  if (!isConnected()) return;
  const data = await readMessage();
  // For binary, a text is what is wrong.
  if (typeof data === "string" && byId("kind").value !== "text") {
    return addEntry("bad", "Not sent", timeOf(new Date()), data);
  }
  if (!isConnected()) return;
  track(data);
  socket.send(data);
  const { size, text } = describeData(data);
  addEntry("sent", "Sent", `${timeOf(new Date())}, ${size}`, text);
}

/** A browser can't send a Ping: a small message and its echo are the next best thing. */
async function measure() {
  if (!isConnected()) return;
  const times = [];
  while (times.length < MEASURED_ROUND_TRIPS) {
    const ms = await new Promise((resolve) => {
      const data = socket?.protocol === "wsward.v1" ? makeRequest("echo", { message: "ping" }) : "ping";
      track(data, resolve);
      socket?.send(data);
      if (socket === undefined) resolve(undefined);
    });
    if (ms === undefined) return;
    times.push(ms);
  }
  times.sort((a, b) => a - b);
  const [least, middle, most] = [times[0], times[times.length >> 1], times.at(-1)].map((ms) =>
    decimals.format(ms)
  );
  addEntry(
    "received",
    `${times.length} round trips`,
    timeOf(new Date()),
    `fastest ${least} ms, median ${middle} ms, slowest ${most} ms`,
  );
}

function makeRequest(method, params, space) {
  return JSON.stringify({ jsonrpc: "2.0", id: ++lastId, method, params }, undefined, space);
}

function startPlayground() {
  byId("version").textContent = facts.version;
  showEndpoints();
  showFields();
  for (const name of Object.keys(facts.methods)) byId("method").append(element("option", {}, name));
  byId("connect-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket === undefined) connect();
    else socket.close(1000);
  });
  byId("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  byId("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void send();
  });
  byId("kind").addEventListener("change", showFields);
  byId("method").addEventListener("change", ({ target }) => {
    if (target.value === "") return;
    byId("kind").value = "text";
    byId("message").value = makeRequest(target.value, facts.methods[target.value] ?? undefined, 1);
    target.value = "";
    showFields();
  });
  byId("measure").addEventListener("click", () => void measure());
  byId("clear").addEventListener("click", () => byId("log").replaceChildren());
}

// Monitor

const perSecond = (rate) => `${decimals.format(rate)}/s`;
const bytesPerSecond = (rate) => `${formatBytes(rate)}/s`;

const TILES = {
  "Connections": (status) => status.connections_open,
  "Sessions": (status) => status.sessions_open,
  "Opened": (status) => perSecond(status.rates.connections),
  "Closed": (status) => perSecond(status.rates.closes),
  "Refused": (status) => status.totals.refusals,
  "Violations": (status) => status.totals.violations,
  "Bans": (status) => status.bans_active,
  "Held for peers": (status) => formatBytes(status.buffered_bytes),
  "Memory": (status) => formatBytes(status.resident_bytes),
  "Lag": (status) => `${decimals.format(status.lag_seconds * 1000)} ms`,
  "Up for": (status) => formatDuration(status.uptime_seconds),
};

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
    format: bytesPerSecond,
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

const COUNTS = {
  Refusals: "refusals",
  Closes: "closes",
  Violations: "violations",
  Authentications: "authentications",
};

/** The token of the administrator and what ends the watching; undefined while nothing is watched. */
let watched;
/** The statuses of the last two minutes. */
let history = [];
const drawings = [];
const rows = new Map();

/** Asks this server; throws what it answers when that is a problem. */
async function ask(path, init = {}) {
  const { token, stop } = watched;
  const response = await fetch(path, {
    ...init,
    cache: "no-store",
    headers: { authorization: `Bearer ${token}`, ...init.headers },
    signal: init.isStream
      ? stop.signal
      : AbortSignal.any([stop.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  if (response.ok) return response;
  const { detail = response.statusText } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(detail), { status: response.status });
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

async function poll({ signal }) {
  while (!signal.aborted) {
    try {
      const answers = await Promise.all([ask("/status"), ask("/sessions")]);
      const [status, { sessions }] = await Promise.all(answers.map((answer) => answer.json()));
      if (signal.aborted) return;
      showStatus(status);
      showSessions(sessions);
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
  for (const [name, read] of Object.entries(TILES)) byId(`tile ${name}`).textContent = read(status);
  const now = performance.now();
  history = [...history.filter(({ atMs }) => now - atMs <= CHART_MS), { atMs: now, status }];
  for (const draw of drawings) draw(now);
  byId("counts").replaceChildren(
    ...Object.entries(COUNTS).map(([title, field]) => {
      const counts = Object.entries(status[field]).filter(([, count]) => count > 0);
      const list = element("dl", {});
      for (const [name, count] of counts.sort((a, b) => b[1] - a[1])) {
        const known = field === "closes" ? facts.codes[name]?.name ?? "" : "";
        list.append(element("dt", {}, `${name} ${known}`), element("dd", {}, decimals.format(count)));
      }
      return element("div", {}, element("h4", {}, title), counts.length > 0 ? list : "none");
    }),
  );
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
  drawings.push((now) => {
    const values = names.map((name) => history.map(({ status }) => series[name](status)));
    const top = Math.max(...values.flat());
    names.forEach((name, index) => {
      lines[index].label.textContent = `${name} ${format(values[index].at(-1))}`;
      lines[index].path.setAttribute("d", pathOf(values[index], now, Math.max(top, 1)));
    });
    most.textContent = `last 2 minutes, at most ${format(top)}`;
    svg.setAttribute("aria-label", `${title}, ${lines.map(({ label }) => label.textContent).join(", ")}`);
  });
}

function pathOf(values, now, top) {
  return values.map((value, index) => {
    const { atMs } = history[index];
    // Where the server did not answer for a while there is no line.
    const isFirst = index === 0 || atMs - history[index - 1].atMs > 5 * POLL_MS;
    const x = 240 * (1 - (now - atMs) / CHART_MS);
    return `${isFirst ? "M" : "L"}${x.toFixed(1)} ${(60 * (1 - value / top)).toFixed(1)}`;
  }).join("");
}

/** Rows stay where they are, so that a button keeps its focus. */
function showSessions(sessions) {
  const ids = new Set(sessions.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  for (const session of sessions) {
    let row = rows.get(session.id);
    if (row === undefined) {
      const button = element("button", { type: "button", className: "danger" }, "Close");
      button.setAttribute("aria-label", `Close the session of ${session.user}`);
      button.addEventListener("click", () => void closeSession(session));
      row = element(
        "tr",
        {},
        ...Array.from({ length: 5 }, () => element("td", {})),
        element("td", {}, button),
      );
      row.title = `${session.user}, session ${session.id}, connection ${session.connection}`;
      rows.set(session.id, row);
      byId("sessions").append(row);
    }
    const cells = [
      session.user.length > MAX_SHOWN_NAME ? `${session.user.slice(0, MAX_SHOWN_NAME)}…` : session.user,
      session.address,
      timeOf(new Date(session.started_at)),
      timeOf(new Date(session.expires_at)),
      `${session.messages_in} / ${session.messages_out}`,
    ];
    cells.forEach((text, index) => row.cells[index].textContent = text);
  }
  byId("sessions-area").hidden = sessions.length === 0;
  byId("no-sessions").hidden = sessions.length > 0;
}

async function closeSession({ id, user }) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = `The session ${id} of ${user} ends with the close code 1008.`;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "close" || watched === undefined) return;
  try {
    await ask(`/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
  } catch (error) {
    say("monitor-state", `Cannot close the session: ${error.message}`, "bad");
  }
}

async function readEvents({ signal }) {
  while (!signal.aborted) {
    try {
      const response = await ask("/events", { headers: { accept: "text/event-stream" }, isStream: true });
      // The stream begins with what is kept, so a server that was started anew shows its own.
      byId("events").replaceChildren();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (text + part.value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const data = block.split("\n").find((line) => line.startsWith("data: "));
          if (data !== undefined) showEvent(JSON.parse(data.slice("data: ".length)));
        }
      }
    } catch {
      // The next status says what is wrong.
    }
    await pause(POLL_MS, signal);
  }
}

function showEvent({ time, level, event, message, ...fields }) {
  const list = byId("events");
  const meta = element(
    "span",
    { className: "meta" },
    element("b", {}, event),
    ` ${timeOf(new Date(time))}, ${level}`,
  );
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");
  list.prepend(element("li", { className: level }, meta, `${message} ${shown}`));
  while (list.children.length > MAX_EVENTS) list.lastChild.remove();
}

function watch() {
  watched = { token: byId("admin-token").value.trim(), stop: new AbortController() };
  history = [];
  byId("watch").textContent = "Stop";
  say("monitor-state", "Asking…");
  void poll(watched.stop);
  void readEvents(watched.stop);
}

function unwatch(text, mood) {
  watched?.stop.abort();
  watched = undefined;
  byId("watch").textContent = "Watch";
  byId("live").classList.add("stale");
  say("monitor-state", text, mood);
}

function startMonitor() {
  for (const name of Object.keys(TILES)) {
    byId("tiles").append(
      element("div", {}, element("dt", {}, name), element("dd", { id: `tile ${name}` })),
    );
  }
  for (const chart of CHARTS) makeChart(chart);
  byId("monitor-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (watched === undefined) watch();
    else unwatch("Not watching");
  });
}

startPlayground();
startMonitor();
