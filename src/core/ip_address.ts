// IP addresses as text: read strictly into numbers, and written in one spelling.

/** An address as numbers: the 4 bytes of IPv4, or the 8 groups of 16 bits of IPv6. */
export type IpAddress = readonly number[];

/** How many numbers an IPv4 address has. */
export const V4_LENGTH = 4;

const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const GROUP = /^[0-9a-f]{1,4}$/i;
const GROUPS = 8;
/** What may stand after an IPv6 address to say by which interface it is reached (RFC 4007 §11). */
const ZONE = /%[0-9a-z.:-]+$/i;

/**
 * Reads an address; undefined if `text` is not one. Strict, because what two readers understand differently gets past
 * one of them: IPv4 is four decimal numbers without leading zeros; IPv6 is one of the forms of RFC 4291 §2.2, and may
 * have a zone (RFC 4007 §11), which is not part of the numbers.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  return text.includes(":") ? parseV6(text.replace(ZONE, "")) : parseV4(text);
}

/** The family of the address in `text`; undefined if it is not an address. */
export function ipVersion(text: string): 4 | 6 | undefined {
  if (V4.test(text)) return 4;
  return parseIpAddress(text) === undefined ? undefined : 6;
}

/** The one spelling of an address: IPv4 dotted, IPv6 by RFC 5952 §4. */
export function formatIpAddress(address: IpAddress): string {
  if (address.length === V4_LENGTH) return address.join(".");
  const { start, length } = longestZeros(address);
  const groups = address.map((group) => group.toString(16));
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function parseV4(text: string): IpAddress | undefined {
  return V4.test(text) ? text.split(".").map(Number) : undefined;
}

function parseV6(text: string): IpAddress | undefined {
  const [left = "", right, ...rest] = withoutDots(text)?.split("::") ?? [];
  const head = parseGroups(left);
  const tail = parseGroups(right ?? "");
  if (head === undefined || tail === undefined || rest.length > 0) return undefined;
  const missing = GROUPS - head.length - tail.length;
  // A gap stands for one group at least.
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array<number>(missing).fill(0), ...tail];
}

/** The same address with the last two groups in hexadecimal where they were written as IPv4. */
function withoutDots(text: string): string | undefined {
  if (!text.includes(".")) return text;
  const start = text.lastIndexOf(":") + 1;
  const bytes = parseV4(text.slice(start));
  if (bytes === undefined) return undefined;
  const [a, b, c, d] = bytes as [number, number, number, number];
  return `${text.slice(0, start)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
}

function parseGroups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  return groups.every((group) => GROUP.test(group)) ? groups.map((group) => parseInt(group, 16)) : undefined;
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: IpAddress): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  return longest;
}
