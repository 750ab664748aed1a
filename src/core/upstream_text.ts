// Which texts the settings of an upstream take: addresses, paths, headers, a cookie.

import { isHostName } from "./network_text.ts";
import { ipVersion } from "./ip_address.ts";

/** Where somebody's own server listens. */
export type UpstreamAddress =
  & {
    /** As it was given; its name in the log and in metrics. */
    readonly name: string;
  }
  & (
    | { readonly kind: "tcp" | "tls"; readonly hostname: string; readonly port: number }
    | { readonly kind: "unix"; readonly path: string }
  );

/** Reads `ws://host:port`, `wss://host:port` or `unix:///path`; undefined for all else. The name has no brackets. */
export function parseUpstreamUrl(text: string): UpstreamAddress | undefined {
  const unix = /^unix:\/\/(\/[^\p{C}?#]+)$/u.exec(text)?.[1];
  if (unix !== undefined) return { name: text, kind: "unix", path: unix };
  const [, scheme, v6, host, port] =
    /^(wss?):\/\/(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?\/?$/i.exec(text) ??
      [];
  if (scheme === undefined) return undefined;
  const isTls = scheme.toLowerCase() === "wss";
  const number = port === undefined ? (isTls ? 443 : 80) : Number(port);
  const hostname = v6 ?? host!;
  const isHost = v6 === undefined
    ? ipVersion(hostname) === 4 || isHostName(hostname.replaceAll("_", "a"))
    : ipVersion(v6) === 6;
  if (!isHost || number < 1 || number > 65_535) return undefined;
  return { name: text.replace(/\/$/, ""), kind: isTls ? "tls" : "tcp", hostname, port: number };
}

/** Whether `text` is the address of an upstream. */
export function isUpstreamUrl(text: string): boolean {
  return parseUpstreamUrl(text) !== undefined;
}

/** Whether `text` is a path, or the beginning of paths with a `*` at its end. */
export function isPathPattern(text: string): boolean {
  return /^\/[\x21-\x29\x2b-\x3e\x40-\x7e]*\*?$/.test(text);
}

/** Whether `text` is the name of a cookie (RFC 6265 §4.1.1). */
export function isCookieName(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** The headers that a request to an upstream has anyway, and those that have a meaning for proxies. */
const TAKEN_HEADERS: readonly string[] = [
  ...["host", "upgrade", "connection", "origin", "user-agent", "cookie", "accept-language", "traceparent"],
  ...["tracestate", "x-connection-id", "x-real-ip", "authorization", "expect", "te", "trailer", "forwarded"],
  ...[
    "transfer-encoding",
    "content-length",
    "content-type",
    "keep-alive",
    "via",
    "referer",
    "upgrade-insecure",
  ],
];

/** Whether `text` is the name of a header that is free for a claim. */
export function isFreeHeader(text: string): boolean {
  const name = text.toLowerCase();
  return /^[a-z][a-z0-9-]*$/.test(name) && !TAKEN_HEADERS.includes(name) &&
    !/^(sec|proxy|x-forwarded|access-control)-/.test(name);
}

/** Whether `text` is a claim, `=` and a header that is free for it. */
export function isClaimHeader(text: string): boolean {
  const at = text.lastIndexOf("=");
  return at > 0 && !/\p{C}/u.test(text) && isFreeHeader(text.slice(at + 1));
}
