// The preamble of the PROXY protocol, versions 1 and 2 (HAProxy, proxy-protocol.txt), read strictly. No I/O.

import { ipVersion } from "../../core/ip_address.ts";
import { latin1 } from "../../core/latin1.ts";
import { canonicalAddress } from "./network_set.ts";

/** What the bytes are so far. A state other than `incomplete` does not change when more bytes come. */
export type ProxyHeader =
  | { readonly state: "incomplete" }
  | {
    readonly state: "invalid";
    /** Fixed text, never the peer's words. */
    readonly reason: string;
  }
  | {
    readonly state: "complete";
    /** Bytes of the preamble; what follows is the client's. */
    readonly size: number;
    /** The client, in canonical form; undefined when the proxy speaks for itself (a health check) or knows no address. */
    readonly source: { readonly address: string; readonly port: number } | undefined;
  };

/** The longest preamble of version 1, with its line break (§2.1). */
export const MAX_V1_SIZE = 107;

/** The longest preamble of version 2: its 16 fixed bytes and 536 of addresses and extensions (§2.2). */
export const MAX_V2_SIZE = 16 + 536;

const V1_START = new TextEncoder().encode("PROXY ");
const V2_START = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V2_FIXED_SIZE = 16;

const INCOMPLETE: ProxyHeader = { state: "incomplete" };
const NOT_PROXY = invalid("this is not a PROXY preamble");
const BAD_LINE = invalid("the PROXY line is malformed");
const LONG_LINE = invalid(`the PROXY line may have at most ${MAX_V1_SIZE} bytes`);
const BAD_COMMAND = invalid("the PROXY version or command is unknown");
const BAD_FAMILY = invalid("the PROXY address family is unknown");
const BAD_LENGTH = invalid("the PROXY length does not fit its addresses");
const LONG_HEADER = invalid(`the PROXY preamble may have at most ${MAX_V2_SIZE} bytes`);

const V1_ADDRESSES = /^(TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/;
const V1_UNKNOWN = /^UNKNOWN(?: [\x20-\x7e]*)?$/;

const CR = 13;
const LF = 10;

/** Family and transport of version 2 (§2.2), and the bytes that their two addresses take. */
const V2_ADDRESS_SIZES: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x12, 12],
  [0x21, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
]);
const TCP4 = 0x11;
const TCP6 = 0x21;

/**
 * Reads the preamble that the bytes from `start` to `end` begin with. Extensions (TLVs) are skipped. A Unix or datagram
 * address can't be a TCP client's, so it counts as unknown.
 *
 * @param from Where to go on looking for the end: where the last look ended, or `start`.
 */
export function parseProxyHeader(bytes: Uint8Array, start: number, end: number, from = start): ProxyHeader {
  if (start === end) return INCOMPLETE;
  const isV1 = bytes[start] === V1_START[0];
  const signature = isV1 ? V1_START : V2_START;
  const known = Math.min(signature.length, end - start);
  for (let i = 0; i < known; i++) {
    if (bytes[start + i] !== signature[i]) return NOT_PROXY;
  }
  if (known < signature.length) return INCOMPLETE;
  return isV1 ? parseV1(bytes, start, end, from) : parseV2(bytes, start, end);
}

function parseV1(bytes: Uint8Array, start: number, end: number, from: number): ProxyHeader {
  const stop = Math.min(end, start + MAX_V1_SIZE);
  const textStart = start + V1_START.length;
  for (let at = Math.max(textStart, from - 1); at < stop; at++) {
    const byte = bytes[at]!;
    if (byte === CR) {
      if (at + 1 === stop) break;
      return bytes[at + 1] === LF ? parseV1Line(latin1(bytes, textStart, at), at + 2 - start) : BAD_LINE;
    }
    if (byte < 0x20 || byte > 0x7e) return BAD_LINE;
  }
  return end - start < MAX_V1_SIZE ? INCOMPLETE : LONG_LINE;
}

function parseV1Line(text: string, size: number): ProxyHeader {
  if (V1_UNKNOWN.test(text)) return { state: "complete", size, source: undefined };
  const match = V1_ADDRESSES.exec(text);
  if (match === null) return BAD_LINE;
  const [, family, source, destination] = match as unknown as [string, string, string, string];
  const port = Number(match[4]);
  const version = family === "TCP4" ? 4 : 6;
  const address = canonicalAddress(source);
  if (ipVersion(source) !== version || ipVersion(destination) !== version || address === undefined) {
    return BAD_LINE;
  }
  if (port > 65535 || Number(match[5]) > 65535) return BAD_LINE;
  return { state: "complete", size, source: { address, port } };
}

function parseV2(bytes: Uint8Array, start: number, end: number): ProxyHeader {
  if (end - start < V2_FIXED_SIZE) return INCOMPLETE;
  const command = bytes[start + 12];
  const family = bytes[start + 13]!;
  const length = bytes[start + 14]! << 8 | bytes[start + 15]!;
  const size = V2_FIXED_SIZE + length;
  if (size > MAX_V2_SIZE) return LONG_HEADER;
  const isLocal = command === 0x20;
  if (!isLocal && command !== 0x21) return BAD_COMMAND;
  // The family and addresses of a local connection mean nothing and must be skipped (§2.2).
  if (!isLocal) {
    const addressSize = V2_ADDRESS_SIZES.get(family);
    if (addressSize === undefined) return BAD_FAMILY;
    if (length < addressSize) return BAD_LENGTH;
  }
  if (end - start < size) return INCOMPLETE;
  const source = isLocal ? undefined : readSource(bytes, start + V2_FIXED_SIZE, family);
  return { state: "complete", size, source };
}

function readSource(bytes: Uint8Array, at: number, family: number) {
  // Both addresses come first, then both ports; the source is the first of each.
  if (family === TCP4) {
    return { address: bytes.subarray(at, at + 4).join("."), port: readUint16(bytes, at + 8) };
  }
  if (family !== TCP6) return undefined;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(readUint16(bytes, at + i).toString(16));
  const address = canonicalAddress(groups.join(":"));
  return address === undefined ? undefined : { address, port: readUint16(bytes, at + 32) };
}

function readUint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}

function invalid(reason: string): ProxyHeader {
  return { state: "invalid", reason };
}
