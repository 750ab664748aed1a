// Addresses and networks as the firewall compares them: one spelling for each address, sets of networks, client keys.

import { BlockList, isIP } from "node:net";

/** Networks that are asked whether an address is in one of them. */
export interface NetworkSet {
  /** How many networks were given. */
  readonly size: number;
  /** Whether `address`, in any spelling, is in one of the networks; what is no address is in none. Never throws. */
  has(address: string): boolean;
}

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The one spelling of an address that everything else compares: IPv4 dotted; IPv6 in lower case, compressed, without
 * its zone (RFC 5952); an IPv4-mapped address, which is how a socket for both families shows an IPv4 peer, as IPv4.
 * Undefined for what is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family === 0) return undefined;
  const zone = text.indexOf("%");
  const host = URL.parse(`http://[${zone < 0 ? text : text.slice(0, zone)}]`)?.hostname;
  if (host === undefined) return undefined;
  const address = host.slice(1, -1);
  const mapped = MAPPED.exec(address);
  if (mapped === null) return address;
  const high = parseInt(mapped[1]!, 16);
  const low = parseInt(mapped[2]!, 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** Whether `address`, in any spelling, is of the machine itself: 127.0.0.0/8 or ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback(address: string): boolean {
  const canonical = canonicalAddress(address);
  return canonical !== undefined && (canonical.startsWith("127.") || canonical === "::1");
}

/**
 * What limits for each client count by: an IPv4 address, or the /64 of an IPv6 address, written as a network. One
 * IPv6 host is given a whole /64 (RFC 4291 §2.5.4), so it can have a new address for every connection at no cost.
 * `::1` is its own key, and what is no address too.
 */
export function clientKey(address: string): string {
  const canonical = canonicalAddress(address) ?? address;
  if (!canonical.includes(":") || canonical === "::1") return canonical;
  const gap = canonical.indexOf("::");
  const groups = (gap < 0 ? canonical : canonical.slice(0, gap) || "0").split(":");
  if (gap >= 0) {
    const tail = canonical.slice(gap + 2).split(":");
    while (groups.length + tail.length < 8) groups.push("0");
    groups.push(...tail);
  }
  groups.length = 4;
  while (groups.at(-1) === "0") groups.pop();
  return `${groups.join(":")}::/64`;
}

/**
 * A set of `texts`, each an address or a network (see `isNetwork` in `src/core/network_text.ts`). A network of mapped
 * addresses counts as its IPv4 network; every other IPv6 network, `::/0` too, holds IPv6 addresses only.
 *
 * @throws {TypeError} when a text is not one: settings and files are checked before
 */
export function createNetworkSet(texts: readonly string[]): NetworkSet {
  // One list for each family: in a common one `::/0` would hold every IPv4 address as well.
  const v4 = new BlockList();
  const v6 = new BlockList();
  let hasV4 = false;
  let hasV6 = false;
  for (const text of texts) {
    const { address, prefix } = parseNetwork(text);
    if (isIP(address) === 4) {
      v4.addSubnet(address, prefix, "ipv4");
      hasV4 = true;
    } else {
      v6.addSubnet(address, prefix, "ipv6");
      hasV6 = true;
    }
  }
  return {
    size: texts.length,
    has(address) {
      if (!hasV4 && !hasV6) return false;
      const canonical = canonicalAddress(address);
      if (canonical === undefined) return false;
      // The family must be given: a list that is asked about the wrong one says no, and lets everybody in.
      return canonical.includes(":")
        ? hasV6 && v6.check(canonical, "ipv6")
        : hasV4 && v4.check(canonical, "ipv4");
    },
  };
}

function parseNetwork(text: string): { address: string; prefix: number } {
  const slash = text.indexOf("/");
  const given = slash < 0 ? text : text.slice(0, slash);
  const address = canonicalAddress(given);
  if (address === undefined) {
    throw new TypeError(`Cannot read the network ${JSON.stringify(text)}: it has no address`);
  }
  const isV4 = isIP(address) === 4;
  const isMapped = isV4 && isIP(given) === 6;
  if (slash < 0) return { address, prefix: isV4 ? 32 : 128 };
  const prefix = Number(text.slice(slash + 1));
  if (!isMapped) return { address, prefix };
  return prefix >= 96 ? { address, prefix: prefix - 96 } : { address: given, prefix };
}
