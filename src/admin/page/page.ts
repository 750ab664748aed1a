// The page at `/`: one document that needs nothing else, and the policy that keeps it so.

import { createHash } from "node:crypto";
import { flagOf } from "../../core/settings/settings.ts";
import { METHODS } from "../../endpoints/secure/methods/list.ts";
import { CLOSE_CODES, LOCAL_CODES } from "../../protocol/close_code.ts";
import { endpointUrl } from "../status.ts";
import style from "./page.css" with { type: "text" };
import template from "./page.html" with { type: "text" };
import script from "./page.js" with { type: "text" };

/** What differs from one server, and one request, to the next. */
export interface PageOptions {
  readonly version: string;
  /** Whether the endpoints speak TLS. */
  readonly isSecure: boolean;
  /** What is listened on; empty while nothing is. */
  readonly addresses: readonly { readonly name: string; readonly hostname: string; readonly port: number }[];
  /** The host, without a port, by which the browser reached this listener. */
  readonly host: string;
}

const STYLE = style.trim();
const SCRIPT = script.trim();
const STYLE_SOURCE = sourceOf(STYLE);
const SCRIPT_SOURCE = sourceOf(SCRIPT);

// Where a listener takes all addresses of the machine, the browser goes to the one that it came here by.
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

const CODES = Object.fromEntries(
  Object.entries({ ...CLOSE_CODES, ...LOCAL_CODES }).map(([code, { name, ...rest }]) => {
    if (rest.meaning === undefined) return [code, { name }];
    const { meaning, cause, settings = [] } = rest;
    return [code, { name, meaning, cause, flags: settings.map(flagOf) }];
  }),
);

/** What each method of a session can be tried with. */
const EXAMPLES = Object.fromEntries(METHODS.map(({ name, example = null }) => [name, example]));

/** The page, with a Content-Security-Policy that lets it run its own script and reach this server only. */
export function renderPage({ version, isSecure, addresses, host }: PageOptions): Response {
  const reachable = addresses.map(({ name, hostname, port }) => ({
    name,
    port,
    hostname: ANY_ADDRESS.has(hostname) ? host.replace(/^\[|\]$/g, "") : hostname,
  }));
  const endpoints = reachable.map((address) => ({ name: address.name, url: endpointUrl(address, isSecure) }));
  // A "<" could end the element that holds this (WHATWG HTML, restrictions of script elements).
  const facts = JSON.stringify({ version, endpoints, codes: CODES, methods: EXAMPLES }).replaceAll(
    "<",
    "\\u003c",
  );
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
  // A source of a policy can't name an IPv6 address (CSP Level 3 §2.3.1): its port has to do.
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
    // Text can't become markup: the browser refuses what could do that.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function sourceOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
