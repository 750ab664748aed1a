// Which texts a setting may give for networks, host names and origins.

import { ipVersion } from "./ip_address.ts";

/** Whether `text` is an IPv4 or IPv6 address, or one with a prefix length that fits its family (RFC 4632, RFC 4291). */
export function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = ipVersion(address);
  if (family === undefined || address.includes("%") || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

/**
 * Whether `text` is a loopback address and a port, `127.0.0.1:9090` or `[::1]:9090`. Names are refused: what they
 * resolve to is decided elsewhere.
 */
export function isLoopbackAddress(text: string): boolean {
  const [, v4, port] = /^(?:(127\.[\d.]+)|\[::1\]):(0|[1-9]\d{0,4})$/.exec(text) ?? [];
  return port !== undefined && Number(port) <= 65_535 && (v4 === undefined || ipVersion(v4) === 4);
}

/** Whether `text` is an IP address and a port, `0.0.0.0:9091` or `[::]:9091`. */
export function isIpAddressAndPort(text: string): boolean {
  const [, v4, v6, port] = /^(?:([\d.]+)|\[([\da-f:.]+)\]):(0|[1-9]\d{0,4})$/i.exec(text) ?? [];
  return port !== undefined && Number(port) <= 65_535 &&
    (v4 === undefined ? ipVersion(v6!) === 6 : ipVersion(v4) === 4);
}

/** Whether `text` is a path as it stands in a request (RFC 3986 §3.3), at most 256 characters. */
export function isPlainPath(text: string): boolean {
  return text.length <= 256 && /^(?:\/(?:[\w.~!$&'()*+,;=:@-]|%[\da-f]{2})*)+$/i.test(text);
}

/** Whether `text` is a host name of letters, digits, hyphens and dots, at most 253 characters (RFC 1123 §2.1). */
export function isHostName(text: string): boolean {
  return text.length <= 253 &&
    text.split(".").every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
}

/** Whether `text` is an origin as a browser sends it: scheme, host and a port that is not the default (RFC 6454 §6.2). */
export function isOrigin(text: string): boolean {
  // The platform takes a star as a character of a host name, and there are no patterns here.
  if (text.includes("*") || !URL.canParse(text)) return false;
  const { origin, protocol, host } = new URL(text);
  // The platform gives an origin to well-known schemes only, and not to those of extensions and apps.
  return text === (origin === "null" ? `${protocol}//${host}` : origin) && host !== "";
}
