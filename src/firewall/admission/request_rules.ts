// What a handshake may ask for and where it may come from: Host, path and Origin. A new rule is one function and one line.

import { ipVersion } from "../../core/ip_address.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { badRequest, detailOf, type Refusal, type RequestHead } from "../../protocol/handshake.ts";
import { isLoopback } from "./network_set.ts";

/** Returns why the handshake is refused, or undefined when it keeps the rule. */
export type RequestRule = (head: RequestHead) => Refusal | undefined;

/** What the rules of one listener are made from. */
export interface RequestRuleOptions {
  /** The paths to serve, each exact, or a prefix with a `*` at its end; any path if the list is empty. */
  readonly paths: readonly string[];
  /** Whether the listener is bound to a loopback address, so that every peer is on this machine. */
  readonly isLoopbackListener: boolean;
  readonly settings: Pick<
    Settings,
    "allowHost" | "allowOrigin" | "insecureAllowAnyOrigin" | "insecureAllowNullOrigin"
  >;
}

/** A host and its port as they stand in Host and Origin; the host in lower case, IPv6 without its brackets. */
interface HostAndPort {
  readonly host: string;
  /** Undefined when none is given. */
  readonly port: number | undefined;
}

// RFC 9110 §7.2: the port may be empty. Underscores are not legal in host names, but names of containers have them; a
// name may end with a dot.
const HOST_AND_PORT = /^(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|\[([0-9a-f:.]+)\])(?::(\d{0,5}))?$/;
const WEB_ORIGIN = /^https?:\/\/(.+)$/;

const BAD_HOST = badRequest("the header Host must be a name or an address, and may have a port");
const WRONG_LOOPBACK_HOST: Refusal = {
  status: 421,
  reason: "this server answers to localhost and loopback addresses; --allow-host adds a name",
  rule: "host",
};
const WRONG_HOST: Refusal = { status: 421, reason: "this server does not answer to this name", rule: "host" };
const WRONG_ORIGIN: Refusal = {
  status: 403,
  reason: "pages of this origin may not connect; --allow-origin adds an origin",
  rule: "origin",
};

/**
 * The rules of one listener, in the order in which they apply; a rule that can refuse nothing is left out. They are
 * for a head that `checkHandshake` has passed.
 *
 * **Host** (421), against DNS rebinding, where a page of `evil.example` has that name point here: what the browser then
 * takes for the same host is another one to us.
 * - On a loopback listener: `localhost`, names below it (RFC 6761 §6.3), loopback addresses, and --allow-host.
 * - On any other listener every name passes until --allow-host names some; then those pass, and addresses, because
 *   an address in Host cannot have been looked up.
 *
 * **Origin** (403), against pages of other sites that connect with the user's cookies or from the user's network:
 * - None passes: it is no browser. `null` (sandboxed frames, files) does with --insecure-allow-null-origin.
 * - `http` or `https` of the host in Host passes, on the same port where the origin names one; so a page on the default
 *   port may connect to another port of its host, and a page of another port may not.
 * - On a loopback listener `http` or `https` of a loopback name or address passes, on any port.
 * - What --allow-origin lists passes, to the letter.
 */
export function createRequestRules(options: RequestRuleOptions): readonly RequestRule[] {
  const { paths, isLoopbackListener, settings } = options;
  const hosts = new Set(settings.allowHost.map((name) => name.toLowerCase()));
  const origins = new Set(settings.allowOrigin);
  if (settings.insecureAllowNullOrigin) origins.add("null");
  const exact = new Set(paths.filter((path) => !path.endsWith("*")));
  const prefixes = paths.filter((path) => path.endsWith("*")).map((path) => path.slice(0, -1));
  const reason = paths.length === 1 && exact.size === 1
    ? `the endpoint is at the path ${paths[0]}`
    : "there is nothing at this path";
  const wrongPath: Refusal = { status: 404, reason, rule: "path" };

  function checkHost(head: RequestHead): Refusal | undefined {
    const text = head.headers.get("host") ?? "";
    const host = parseHost(text)?.host;
    if (host === undefined) return { ...BAD_HOST, detail: detailOf(text) };
    if (hosts.has(host)) return undefined;
    if (isLoopbackListener) {
      return isLoopbackHost(host) ? undefined : { ...WRONG_LOOPBACK_HOST, detail: detailOf(text) };
    }
    return hosts.size === 0 || ipVersion(host) !== undefined
      ? undefined
      : { ...WRONG_HOST, detail: detailOf(text) };
  }

  function checkPath(head: RequestHead): Refusal | undefined {
    const { path } = head;
    const isRight = exact.has(path) ||
      prefixes.some((prefix) => path.startsWith(prefix)) && !leadsElsewhere(path);
    return isRight ? undefined : { ...wrongPath, detail: detailOf(head.path) };
  }

  function checkOrigin(head: RequestHead): Refusal | undefined {
    const origin = head.headers.get("origin");
    if (origin === undefined || origins.has(origin)) return undefined;
    const authority = WEB_ORIGIN.exec(origin)?.[1];
    const page = authority === undefined ? undefined : parseHost(authority);
    if (page !== undefined) {
      if (isLoopbackListener && isLoopbackHost(page.host)) return undefined;
      const own = parseHost(head.headers.get("host") ?? "");
      if (own?.host === page.host && (page.port === undefined || page.port === own.port)) return undefined;
    }
    return { ...WRONG_ORIGIN, detail: detailOf(origin) };
  }

  // Host comes first: the rule about origins compares with it.
  const rules = paths.length === 0 ? [checkHost] : [checkHost, checkPath];
  return settings.insecureAllowAnyOrigin ? rules : [...rules, checkOrigin];
}

/** Whether a server may read a path as another one: because of dots, or of what it decodes to. */
function leadsElsewhere(path: string): boolean {
  return /(?:^|\/)\.{1,2}(?:[/;]|$)|\\|%(?:2e|2f|5c|00)/i.test(path);
}

/** The first refusal among `rules`. */
export function firstRefusal(rules: readonly RequestRule[], head: RequestHead): Refusal | undefined {
  for (let i = 0; i < rules.length; i++) {
    const refusal = rules[i]!(head);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function parseHost(text: string): HostAndPort | undefined {
  const match = HOST_AND_PORT.exec(text.toLowerCase());
  if (match === null) return undefined;
  const [, name, v6] = match;
  if (v6 !== undefined && ipVersion(v6) !== 6) return undefined;
  const port = match[3] ? Number(match[3]) : undefined;
  const host = name ?? v6!;
  return host.length > 253 || (port ?? 0) > 65535 ? undefined : { host, port };
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || isLoopback(host);
}
