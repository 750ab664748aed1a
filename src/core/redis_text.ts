// The URL of Redis, with the name and password that may be in it.

import { ipVersion } from "./ip_address.ts";
import { isHostName } from "./network_text.ts";

/** Where Redis listens, and the user to log in as. */
export type RedisAddress =
  & {
    /** Without name and password, for the log and the page. */
    readonly name: string;
    /** A user of Redis, undefined for its default one. */
    readonly user: string | undefined;
    readonly password: string | undefined;
  }
  & (
    | { readonly kind: "tcp" | "tls"; readonly hostname: string; readonly port: number }
    | { readonly kind: "unix"; readonly path: string }
  );

/** The port of Redis where a URL names none. */
const DEFAULT_PORT = 6379;

/** The longest name and password together, in characters. */
const MAX_CREDENTIALS = 1024;

/**
 * Reads `redis://host:port`, `rediss://host:port` (TLS) or `unix:///path`, each perhaps with `user:password@` or
 * `:password@` before the host or the path, percent-encoded; undefined for all else.
 */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  const [, scheme, credentials, rest = ""] =
    /^(rediss?|unix):\/\/(?:([^\s@/?#]*)@)?([^\s@?#]+)$/i.exec(text) ?? [];
  if (scheme === undefined || (credentials?.length ?? 0) > MAX_CREDENTIALS) return undefined;
  const identity = readCredentials(credentials);
  if (identity === undefined) return undefined;
  const kind = scheme.toLowerCase();
  if (kind === "unix") {
    const isPath = rest.startsWith("/") && rest.length > 1 && !/\p{C}/u.test(rest);
    return isPath ? { ...identity, name: `unix://${rest}`, kind, path: rest } : undefined;
  }
  const [, v6, host = "", port] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?\/?$/i.exec(rest) ??
    [];
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  const isHost = v6 === undefined
    ? ipVersion(host) === 4 || isHostName(host.replaceAll("_", "a"))
    : ipVersion(v6) === 6;
  if (!isHost || number < 1 || number > 65_535) return undefined;
  const name = `${kind}://${rest.replace(/\/$/, "")}`;
  return { ...identity, name, kind: kind === "rediss" ? "tls" : "tcp", hostname: v6 ?? host, port: number };
}

/** Whether `text` says where Redis is. */
export function isRedisUrl(text: string): boolean {
  return parseRedisUrl(text) !== undefined;
}

/** The address as `--allow-net` takes it; a Unix socket has to be readable and writable besides. */
export function redisPermission(address: RedisAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { hostname, port } = address;
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Whether `text` holds a name or a password, which every user of the machine sees in the arguments of a process. */
export function holdsCredentials(text: string): boolean {
  return text.includes("@");
}

function readCredentials(text: string | undefined): Pick<RedisAddress, "user" | "password"> | undefined {
  if (text === undefined) return { user: undefined, password: undefined };
  const at = text.indexOf(":");
  const user = decode(at === -1 ? text : text.slice(0, at));
  const password = at === -1 ? undefined : decode(text.slice(at + 1));
  if (user === undefined || (at !== -1 && password === undefined)) return undefined;
  // A user without a password would be logged in as the default one.
  return password === undefined ? undefined : { user: user === "" ? undefined : user, password };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
