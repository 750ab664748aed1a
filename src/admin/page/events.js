// The log records as they happen, and a filter for them.

import { ask, watched } from "./admin_api.js";
import { byId, decimals, element, pause, quoted, timeOf } from "./base.js";

const MAX_KEPT_EVENTS = 500;
const MAX_SHOWN_EVENTS = 100;
const RETRY_MS = 1000;
/** The least severe first. */
const LEVELS = ["debug", "info", "warning", "error", "fatal"];

/** The records as the server sent them, newest last. */
let kept = [];

export async function readEvents({ signal }) {
  while (!signal.aborted) {
    try {
      const response = await ask("/events", { headers: { accept: "text/event-stream" }, isStream: true });
      // The stream begins with all records that the server keeps.
      kept = [];
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (text + part.value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const data = block.split("\n").find((line) => line.startsWith("data: "));
          if (data !== undefined) kept.push(JSON.parse(data.slice("data: ".length)));
        }
        kept = kept.slice(-MAX_KEPT_EVENTS);
        showEvents();
      }
    } catch {
      // The next status says what is wrong.
    }
    if (watched.stop !== undefined) await pause(RETRY_MS, signal);
  }
}

function showEvents() {
  const words = byId("event-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const least = LEVELS.indexOf(byId("event-level").value);
  const found = kept.filter((event) => {
    if (LEVELS.indexOf(event.level) < least) return false;
    if (words.length === 0) return true;
    const { name, when, text, fields } = describe(event);
    const all = [name, when, text, ...fields.map((field) => field.join(""))].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const shown = found.slice(-MAX_SHOWN_EVENTS).reverse();
  byId("events").replaceChildren(...shown.map(makeEvent));
  const count = (list) => decimals.format(list.length);
  byId("event-count").textContent = found.length === 0
    ? `None of the last ${count(kept)} events fits.`
    : `${count(shown)} of the last ${count(kept)} events, the newest first.`;
}

/** Its name, when it was, and what it says; a value that a peer chose can't be taken for another field or line. */
function describe({ time, level, event, message, ...fields }) {
  return {
    name: event,
    when: `${timeOf(new Date(time))}, ${level}`,
    text: saysMore(event, message) ? message : "",
    fields: Object.entries(fields).map(([name, value]) => [`${name}=`, quoted(value)]),
  };
}

/** Whether a message has a word that the name of its event does not have, as in the log. */
function saysMore(event, message) {
  const known = [...event.split(/[._]/), "a", "an", "the", "was"];
  return message.toLowerCase().split(" ").some((word) => !known.includes(word));
}

function makeEvent(event) {
  const { name, when, text, fields } = describe(event);
  const meta = element("span", { className: "meta" }, element("b", {}, name), ` ${when}`);
  const values = fields.flatMap(([field, value], index) => [
    `${index > 0 || text !== "" ? " " : ""}${field}`,
    element("bdi", {}, value),
  ]);
  return element("li", { className: event.level }, meta, text, ...values);
}

export function startEvents() {
  const options = LEVELS.map((level) => element("option", { value: level }, level));
  byId("event-level").append(...options);
  for (const id of ["event-filter", "event-level"]) byId(id).addEventListener("input", showEvents);
}
