// The server that a tool talks to, read from a URL.

/** A WebSocket server as a URL names it. */
export interface Target {
  /** Normalised; for a Unix socket as it was given. */
  readonly url: string;
  readonly isTls: boolean;
  /** The value of the header Host: `localhost:8765`. */
  readonly host: string;
  /** The name or address, without port and brackets; `localhost` for a Unix socket. */
  readonly hostname: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** The request target: path and query. */
  readonly path: string;
  /** The path of the Unix socket to connect to, in place of host and port. */
  readonly socketPath?: string;
}

/** What a URL must be, worded to follow "it must be". */
export const URL_RULE = "ws://HOST[:PORT]/PATH, wss:// the same, or unix:///SOCKET[:/PATH]";

/** Reads a URL; undefined if it names no WebSocket server, or has credentials or a fragment (RFC 6455 §3). */
export function parseTarget(text: string): Target | undefined {
  const [, socketPath, path = "/"] = /^(?:ws\+)?unix:(?:\/\/)?(\/[^:\0]+)(?::(\/[!-~]*))?$/.exec(text) ?? [];
  if (socketPath !== undefined) {
    return { url: text, isTls: false, host: "localhost", hostname: "localhost", port: 0, path, socketPath };
  }
  if (!/^wss?:\/\/[!-~]+$/.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, host, pathname, search, username, password, hash } = new URL(text);
  if (username !== "" || password !== "" || hash !== "" || hostname === "") return undefined;
  const isTls = protocol === "wss:";
  return {
    url: `${protocol}//${host}${pathname}${search}`,
    isTls,
    host,
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (isTls ? 443 : 80) : Number(port),
    path: pathname + search,
  };
}

/** Whether an address is this machine's own: 127.0.0.0/8, also as an IPv4-mapped IPv6 address, or ::1. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address) || address === "::1";
}

/** What to do about a missing permission for a host. */
export function permissionHint(host: string): string {
  return `permission was not granted; run with --allow-net=${host}`;
}
