// The address of a client behind trusted proxies: X-Forwarded-For, read from the right.

import { ipVersion } from "../../core/ip_address.ts";
import { canonicalAddress, type NetworkSet } from "./network_set.ts";

/** Entries that are looked at: no honest chain of proxies is longer. */
export const MAX_FORWARDED_ENTRIES = 32;

// With a port, as some proxies write it; an IPv6 address in brackets.
const V4_WITH_PORT = /^([0-9.]{7,15}):\d{1,5}$/;
const BRACKETED = /^\[([0-9a-fA-F:.]{2,45})\](?::\d{1,5})?$/;

/**
 * The address of the client, in canonical form. Each proxy appends the address that called it, so from the right, the
 * first address that is not `trusted` is the client; what is left of it is only its claim. The header is ignored if
 * `peerAddress` itself is not trusted. An entry that is not an address ends the walk at the last trusted proxy.
 * `xForwardedFor` is all such headers, joined by commas in the order of the head.
 */
export function clientAddress(
  peerAddress: string,
  xForwardedFor: string | undefined,
  trusted: NetworkSet,
): string {
  let address = canonicalAddress(peerAddress) ?? peerAddress;
  if (xForwardedFor === undefined) return address;
  let end = xForwardedFor.length;
  for (let i = 0; i < MAX_FORWARDED_ENTRIES && end >= 0 && trusted.has(address); i++) {
    const comma = end === 0 ? -1 : xForwardedFor.lastIndexOf(",", end - 1);
    const entry = parseEntry(xForwardedFor.slice(comma + 1, end).trim());
    if (entry === undefined) break;
    address = entry;
    end = comma;
  }
  return address;
}

function parseEntry(text: string): string | undefined {
  const bracketed = BRACKETED.exec(text);
  if (bracketed !== null) return ipVersion(bracketed[1]!) === 6 ? canonicalAddress(bracketed[1]!) : undefined;
  return canonicalAddress(V4_WITH_PORT.exec(text)?.[1] ?? text);
}
