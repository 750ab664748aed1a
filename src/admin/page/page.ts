// The page at `/`: one document that loads nothing else, and the policy that ensures it.

import { createHash } from "node:crypto";
import { flagOf } from "../../core/settings/settings.ts";
import { quoteForShell } from "../../core/shown.ts";
import { typed } from "../../core/typed.ts";
import { METHODS } from "../../endpoints/secure/methods/list.ts";
import { CLOSE_CODES, LOCAL_CODES } from "../../protocol/close_code.ts";
import { FRAME_RULES, LIMITS } from "../../firewall/violation.ts";
import { REFUSAL_RULES } from "../../protocol/refusal_rule.ts";
import { endpointUrl } from "../status.ts";
import monitorStyle from "./monitor.css" with { type: "text" };
import style from "./page.css" with { type: "text" };
import template from "./page.html" with { type: "text" };
import api from "./admin_api.js" with { type: "text" };
import base from "./base.js" with { type: "text" };
import charts from "./charts.js" with { type: "text" };
import events from "./events.js" with { type: "text" };
import lists from "./lists.js" with { type: "text" };
import main from "./main.js" with { type: "text" };
import monitor from "./monitor.js" with { type: "text" };
import playground from "./playground.js" with { type: "text" };

/** What depends on the server and the request. */
export interface PageOptions {
  readonly version: string;
  /** Whether the endpoints speak TLS. */
  readonly isSecure: boolean;
  /** What is listened on; empty while nothing is. */
  readonly addresses: readonly { readonly name: string; readonly hostname: string; readonly port: number }[];
  /** The word that the token of an administrator must have in its claim `scope`. */
  readonly scope: string;
  /** The host, without a port, by which the browser reached this listener. */
  readonly host: string;
}

const STYLE = `${style.trim()}\n${monitorStyle.trim()}`;
/** One script of all its modules, which share no name: the page loads nothing. */
const SCRIPT = [base, api, playground, charts, lists, events, monitor, main]
  .map((text) => text.replace(/^import [^;]*;\n/gm, "").replace(/^export /gm, "").trim()).join("\n\n");
const STYLE_SOURCE = sourceOf(STYLE);
const SCRIPT_SOURCE = sourceOf(SCRIPT);

// If an endpoint listens on all addresses, the browser uses the host by which it came here.
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

const CODES = Object.fromEntries(
  Object.entries({ ...CLOSE_CODES, ...LOCAL_CODES }).map(([code, { name, ...rest }]) => {
    if (rest.meaning === undefined) return [code, { name }];
    const { meaning, cause, settings = [] } = rest;
    return [code, { name, meaning, cause, flags: settings.map(flagOf) }];
  }),
);

/** What each rule for peers asks for. */
const RULES = Object.fromEntries(
  Object.entries({ ...REFUSAL_RULES, ...FRAME_RULES, ...LIMITS }).map((
    [name, { meaning }],
  ) => [name, meaning]),
);

const TOKEN_COMMAND = typed("wsward token create --user NAME");

/** An example for each method of a session. */
const EXAMPLES = Object.fromEntries(METHODS.map(({ name, example = null }) => [name, example]));

/** The page, with a Content-Security-Policy that lets it run its own script and reach this server only. */
export function renderPage({ version, isSecure, addresses, scope, host }: PageOptions): Response {
  const reachable = addresses.map(({ name, hostname, port }) => ({
    name,
    port,
    hostname: ANY_ADDRESS.has(hostname) ? host.replace(/^\[|\]$/g, "") : hostname,
  }));
  const endpoints = reachable.map((address) => ({ name: address.name, url: endpointUrl(address, isSecure) }));
  // A "<" could end the element that holds this (WHATWG HTML, restrictions of script elements).
  const facts = JSON.stringify({
    version,
    endpoints,
    codes: CODES,
    rules: RULES,
    methods: EXAMPLES,
    tokenCommand: TOKEN_COMMAND,
    adminCommand: `${TOKEN_COMMAND} --claim ${quoteForShell(`scope=${scope}`)}`,
  }).replaceAll("<", "\\u003c");
  const page = template
    .replace("<style></style>", () => `<style>${STYLE}</style>`)
    .replace('<script type="application/json" id="facts"></script>', (tag) => tag.replace("><", `>${facts}<`))
    .replace('<script type="module"></script>', () => `<script type="module">${SCRIPT}</script>`);
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy(reachable, isSecure ? "wss" : "ws"),
    },
  });
}

function policy(
  addresses: readonly { readonly hostname: string; readonly port: number }[],
  scheme: string,
): string {
  // A policy can't name an IPv6 address (CSP Level 3 §2.3.1), so any host with its port is allowed.
  const sources = addresses.map(({ hostname, port }) =>
    `${scheme}://${hostname.includes(":") ? "*" : hostname}:${port}`
  );
  return [
    "default-src 'none'",
    `script-src ${SCRIPT_SOURCE}`,
    `style-src ${STYLE_SOURCE}`,
    "img-src data:",
    ["connect-src 'self'", ...sources].join(" "),
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    // The browser refuses to turn text into markup.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function sourceOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
