// The playground: one WebSocket to one endpoint, and its messages.

import { byId, decimals, element, facts, quoted, say, timeOf } from "./base.js";

const MAX_LOG_ENTRIES = 200;
const MAX_SHOWN_LENGTH = 2000;
const MAX_SHOWN_BYTES = 256;
const MEASURED_ROUND_TRIPS = 10;

let socket;
/** Sent messages without a reply, oldest first: the server answers in order. */
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

/** Whether an endpoint asks for a token: the secure one, or an upstream. */
function takesToken(endpoint) {
  return endpoint !== undefined && endpoint.name !== "echo";
}

function showFields() {
  byId("secure-fields").hidden = !takesToken(chosenEndpoint());
  byId("message-field").hidden = byId("kind").value === "file";
  byId("file-field").hidden = byId("kind").value !== "file";
}

function connect() {
  const endpoint = chosenEndpoint();
  if (endpoint === undefined) return;
  const isSecure = takesToken(endpoint);
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
  const lines = [`Reason: ${reason === "" ? "none was given" : quoted(reason)}`];
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

/** A browser can't send a Ping, so a small message and its echo are measured. */
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

export function startPlayground() {
  byId("version").textContent = facts.version;
  byId("token-command").textContent = facts.tokenCommand;
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
