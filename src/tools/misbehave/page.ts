// The catalogue as a page and as JSON, with what clients show of each path.

import { CATALOGUE } from "./catalogue.ts";
import { CLIENTS, SEEN } from "./clients.ts";

/** The catalogue as data. */
export function describeCatalogue(): readonly Readonly<Record<string, unknown>>[] {
  return CATALOGUE.map(({ name, group, help, example, parameter }) => ({
    path: `/${name}${parameter === undefined ? "" : `/${parameter.placeholder}`}`,
    group,
    help,
    example,
    ...(parameter === undefined ? {} : { value: parameter.rule }),
    ...(SEEN[example] === undefined ? {} : { seen: SEEN[example] }),
  }));
}

/** The answer to `GET /`, head and body: JSON if `accept` names it, else the page, which can try each path. */
export async function encodePage(host: string, accept: string): Promise<Uint8Array<ArrayBuffer>> {
  const isJson = /\bapplication\/json\b/.test(accept);
  const body = isJson ? JSON.stringify({ query: QUERY, paths: describeCatalogue() }, undefined, 2) : page();
  const bytes = new TextEncoder().encode(body);
  // The page repeats nothing of the request, loads nothing, and may only open WebSockets to this server.
  const policy =
    `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${await digest(SCRIPT)}'; ` +
    `connect-src ws://${host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;
  const head = [
    "HTTP/1.1 200 OK",
    `Content-Type: ${isJson ? "application/json" : "text/html; charset=utf-8"}`,
    `Content-Length: ${bytes.length}`,
    `Content-Security-Policy: ${policy}`,
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-store",
    "Connection: close",
  ];
  const start = new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`);
  const answer = new Uint8Array(start.length + bytes.length);
  answer.set(start);
  answer.set(bytes, start.length);
  return answer;
}

const QUERY: Readonly<Record<string, string>> = {
  "reason": "the reason of the Close frame",
  "probability": "how likely the path is done, from 0 to 1; otherwise it only echoes",
  "seed": "which connections chance meets: the same for the same seed, from a start on",
  "key": "whose failures /fail/N/then/PATH counts",
};

const SCRIPT = `
addEventListener("click", ({ target }) => {
  if (target.tagName !== "BUTTON") return;
  const out = target.nextElementSibling;
  out.textContent = "";
  const say = (text) => out.textContent = (out.textContent + " " + text).slice(-300);
  const ws = new WebSocket("ws://" + location.host + target.dataset.path);
  ws.onopen = () => (say("open;"), ws.send("hello"));
  ws.onmessage = ({ data }) => say("message " + (typeof data === "string" ? data.slice(0, 40) : data.size + " bytes") + ";");
  ws.onerror = () => say("error;");
  ws.onclose = ({ code, reason }) => say("close " + code + " " + reason);
});
`;
async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return btoa(String.fromCharCode(...bytes));
}

function page(): string {
  const groups = Map.groupBy(CATALOGUE, ({ group }) => group);
  const tables = Array.from(groups, ([name, members]) => {
    const rows = members.map(({ name, parameter, help, example }) => {
      const path = `/${name}${parameter === undefined ? "" : `/${parameter.placeholder}`}`;
      const seen = CLIENTS.map((client) => `<td>${escapeHtml(SEEN[example]?.[client] ?? "")}</td>`).join("");
      const button = `<button data-path="${escapeHtml(example)}">${
        escapeHtml(example)
      }</button> <output></output>`;
      return `<tr><td><code>${escapeHtml(path)}</code></td><td>${
        escapeHtml(help)
      }</td><td>${button}</td>${seen}</tr>`;
    });
    const head = ["path", "what it does", "try it here", ...CLIENTS].map((cell) => `<th>${cell}</th>`).join(
      "",
    );
    return `<h2>${name}</h2><table><tr>${head}</tr>${rows.join("")}</table>`;
  });
  const query = Object.entries(QUERY).map(([name, help]) => `<li><code>?${name}=</code> ${help}</li>`).join(
    "",
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>wsward misbehave</title>
<style>body{font:15px/1.5 system-ui;margin:2em auto;max-width:90em;padding:0 1em;color-scheme:light dark}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #8886;padding:.3em .6em;text-align:left;
vertical-align:top}td:first-child{white-space:nowrap}</style>
<h1>A WebSocket server that misbehaves</h1>
<p>Connect to a path. Its parts are done from left to right, then every message is echoed:
<code>/delay/3s/fragments/100/close/4001?reason=x</code>. <code>/fail/2/then/echo?key=a</code> refuses two connections
with 503 and takes the third.</p><ul>${query}</ul>
<p>The last columns are what clients show that send <code>hello</code> and close after an answer.</p>
${tables.join("\n")}<script>${SCRIPT}</script></html>`;
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => names[character]!);
}
