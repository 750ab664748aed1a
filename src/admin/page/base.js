// What all parts of the page use. What a peer, a user or the server sends becomes text, never markup.

/** What the server says about itself. */
export const facts = JSON.parse(byId("facts").textContent);

export const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function byId(id) {
  return document.getElementById(id);
}

export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function say(id, text, mood = "") {
  const state = byId(id);
  state.className = `state ${mood}`;
  // A screen reader reads every set text, even an unchanged one.
  if (state.textContent !== text) state.textContent = text;
}

/** What could break a line, hide, or turn other text around stands as an escape, as in the log. */
export function visible(text) {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
}

/** A text of somebody else within a sentence of ours, whose order it leaves alone (UAX #9, isolates). */
export function apart(text) {
  return `\u2068${visible(text)}\u2069`;
}

/** A value as it stands in the log: in quotes where it could be taken for more than one. */
export function quoted(value) {
  const text = String(value);
  return /^[\w.:/@-]+$/.test(text) ? text : `"${visible(text.replace(/["\\]/g, "\\$&"))}"`;
}

export function timeOf(date) {
  return date.toTimeString().slice(0, 8);
}

/** The time, with the date if that is not today. */
export function momentOf(date) {
  return date.toDateString() === new Date().toDateString()
    ? timeOf(date)
    : `${date.toLocaleDateString("en-CA")} ${timeOf(date).slice(0, 5)}`;
}

export function formatBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${decimals.format(bytes)} ${units[unit]}`;
}

/** Not below zero, when the clock of this machine is behind that of the server. */
export function formatDuration(given) {
  const seconds = Math.max(0, given);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds % 86_400 / 3600)} h`;
}

export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
