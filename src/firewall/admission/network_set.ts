// Addresses and networks as the firewall compares them: one spelling for each address, sets of networks, client keys.

import {
  formatIpAddress,
  type IpAddress,
  ipVersion,
  parseIpAddress,
  V4_LENGTH,
} from "../../core/ip_address.ts";
import { isNetwork } from "../../core/network_text.ts";

/** A set of networks. */
export interface NetworkSet {
  /** How many networks were given. */
  readonly size: number;
  /** Whether `address`, in any spelling, is in one of the networks; false if it is not an address. Never throws. */
  has(address: string): boolean;
}

/** A network as the first and the last of its addresses. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** How many of the 8 groups of an IPv6 address are the network of one client. */
const CLIENT_GROUPS = 4;

/**
 * The one spelling of an address that everything else compares: IPv4 dotted; IPv6 in lower case, compressed, without
 * its zone (RFC 5952); an IPv4-mapped address, which is how a socket for both families shows an IPv4 peer, as IPv4.
 * Undefined for what is not an address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (!text.includes(":")) return ipVersion(text) === 4 ? text : undefined;
  const address = readAddress(text);
  return address === undefined ? undefined : formatIpAddress(address);
}

/**
 * Whether `address`, in any spelling, is a loopback address: 127.0.0.0/8 or ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
 */
export function isLoopback(address: string): boolean {
  const canonical = canonicalAddress(address);
  return canonical !== undefined && (canonical.startsWith("127.") || canonical === "::1");
}

/**
 * The key that limits on one client go by: an IPv4 address, or the /64 of an IPv6 address, written as a network. An
 * IPv6 host has a whole /64 (RFC 4291 §2.5.4), and so a new address for every connection at no cost. `::1`, and what is
 * not an address, is its own key.
 */
export function clientKey(address: string): string {
  // Each step of a handshake asks about the same address.
  if (address !== lastAddress) {
    lastKey = keyOf(address);
    lastAddress = address;
  }
  return lastKey;
}

/** The widest networks that can be banned: a typing error must not lock everybody out. */
const WIDEST_BAN = { 4: 8, 6: 16 };

/**
 * The key of a ban: that of a client, or a network such as `192.0.2.0/24`. Undefined for what is neither, for a network
 * that is too wide, and for an IPv6 network narrower than a client's /64.
 */
export function banKey(text: string): string | undefined {
  if (!text.includes("/")) return canonicalAddress(text) === undefined ? undefined : clientKey(text);
  if (!isNetwork(text)) return undefined;
  const { address, prefix } = parseNetwork(text);
  if (prefix < WIDEST_BAN[isV4(address) ? 4 : 6]) return undefined;
  const first = formatIpAddress(firstOf(address, prefix));
  if (isV4(address)) return prefix === 32 ? first : `${first}/${prefix}`;
  if (prefix === 128) return clientKey(first);
  return prefix > 16 * CLIENT_GROUPS ? undefined : `${first}/${prefix}`;
}

/** Whether a key that `banKey` gave is of a network, and not of one client. */
export function isNetworkKey(key: string): boolean {
  return key.includes("/") && !(key.includes(":") && key.endsWith(`/${16 * CLIENT_GROUPS}`));
}

let lastAddress = "";
let lastKey = "";

function keyOf(address: string): string {
  const read = address.includes(":") ? readAddress(address) : undefined;
  if (read === undefined) return address;
  const canonical = formatIpAddress(read);
  if (isV4(read) || canonical === "::1") return canonical;
  return `${formatIpAddress([...read.slice(0, CLIENT_GROUPS), 0, 0, 0, 0])}/64`;
}

/**
 * A set of `texts`, each an address or a network (see `isNetwork` in `src/core/network_text.ts`). A network of mapped
 * addresses counts as its IPv4 network; every other IPv6 network, `::/0` too, holds IPv6 addresses only.
 *
 * @throws {TypeError} when a text is not one: settings and files are checked before
 */
export function createNetworkSet(texts: readonly string[]): NetworkSet {
  // One list for each family: in a common one `::/0` would hold every IPv4 address as well.
  const v4: Range[] = [];
  const v6: Range[] = [];
  for (const text of texts) {
    const { address, prefix } = parseNetwork(text);
    (isV4(address) ? v4 : v6).push(rangeOf(address, prefix));
  }
  const v4Ranges = withoutNested(v4);
  const v6Ranges = withoutNested(v6);
  return {
    size: texts.length,
    has(text) {
      if (texts.length === 0) return false;
      const address = readAddress(text);
      if (address === undefined) return false;
      return isInOne(isV4(address) ? v4Ranges : v6Ranges, toNumber(address));
    },
  };
}

/** The address that `text` is, a mapped one as IPv4. */
function readAddress(text: string): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address !== undefined && isMapped(address) ? unmap(address) : address;
}

function isV4(address: IpAddress): boolean {
  return address.length === V4_LENGTH;
}

/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
function isMapped(address: IpAddress): boolean {
  return !isV4(address) && address[5] === 0xffff && address.slice(0, 5).every((group) => group === 0);
}

function unmap(address: IpAddress): IpAddress {
  return address.slice(6).flatMap((group) => [group >> 8, group & 255]);
}

function parseNetwork(text: string): { address: IpAddress; prefix: number } {
  const [given = "", length] = text.split("/");
  const address = parseIpAddress(given);
  if (address === undefined || !isNetwork(text)) {
    throw new TypeError(`Cannot use the network ${JSON.stringify(text)}: it is no address or network`);
  }
  const prefix = length === undefined ? (isV4(address) ? 32 : 128) : Number(length);
  return isMapped(address) && prefix >= 96
    ? { address: unmap(address), prefix: prefix - 96 }
    : { address, prefix };
}

function rangeOf(address: IpAddress, prefix: number): Range {
  const free = BigInt((isV4(address) ? 32 : 128) - prefix);
  const first = toNumber(address) >> free << free;
  return { first, last: first + (1n << free) - 1n };
}

/** The first address of a network. */
function firstOf(address: IpAddress, prefix: number): IpAddress {
  const size = isV4(address) ? 8 : 16;
  return address.map((part, i) => {
    const free = Math.min(size, Math.max(0, size * (i + 1) - prefix));
    return part >> free << free;
  });
}

function toNumber(address: IpAddress): bigint {
  const bits = isV4(address) ? 8n : 16n;
  return address.reduce((number, part) => number << bits | BigInt(part), 0n);
}

/** The ranges in ascending order, without those inside another one: networks that overlap are nested. */
function withoutNested(ranges: readonly Range[]): readonly Range[] {
  const sorted = ranges.toSorted((a, b) => compare(a.first, b.first) || compare(b.last, a.last));
  const outer: Range[] = [];
  for (const range of sorted) {
    const previous = outer.at(-1);
    if (previous === undefined || range.first > previous.last) outer.push(range);
  }
  return outer;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A binary search: a list may be long, and every peer is looked up in it. */
function isInOne(ranges: readonly Range[], number: bigint): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { first, last } = ranges[middle]!;
    if (number < first) high = middle;
    else if (number > last) low = middle + 1;
    else return true;
  }
  return false;
}
