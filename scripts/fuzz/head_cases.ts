// Request heads and PROXY preambles, valid and broken, and an independent verdict on each.

import { concat } from "../../tests/support/raw_client.ts";
import type { Random } from "./random.ts";

/** A head as bytes, and the statuses of all rules that it breaks; none means that it must be accepted. */
export interface HeadCase {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly statuses: ReadonlySet<number>;
  /** Whether the empty line is there; without it only an early refusal can be expected. */
  readonly isWhole: boolean;
}

const NAMES = [
  "Host",
  "Upgrade",
  "Connection",
  "Sec-WebSocket-Version",
  "Sec-WebSocket-Key",
  "Origin",
  "X-Other",
];
const EXTRA_LINES = [
  "Host: localhost",
  "Origin: http://localhost",
  "Origin: https://evil.example",
  "Origin: null",
  "Upgrade: websocket",
  "Upgrade: h2c,,",
  "Connection: close",
  "Sec-WebSocket-Version: 8",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "Sec-WebSocket-Protocol: a,b",
  "Sec-WebSocket-Protocol: a,,b",
  "Sec-WebSocket-Extensions: permessage-deflate",
  "Content-Length: 0",
  "Content-Length: 7",
  "Transfer-Encoding: chunked",
  "Expect: 100-continue",
  "X-Forwarded-For: 192.0.2.1",
  "X-Connection-Id: forged",
  "Cookie: a=b",
  "X-Fold: a\r\n b",
  "X-Null: a\0b",
  "X-Latin: \xe9\xff",
  `X-Blanks: a${" ".repeat(3000)}b`,
  `Connection: ${",".repeat(3000)}`,
  `X-Quotes: ${'"'.repeat(3000)}`,
  // Names of digits only that are 32768 apart collide in a hash table of V8.
  Array.from({ length: 300 }, (_, i) => `${7000 + i * 32_768}:`).join("\r\n"),
  " : nothing",
  "no colon",
  "X-Space : a",
  "X-Empty:",
  "X-Bare: a\nb",
  "X-Return: a\rb",
];

/** One head; most are valid or have one or two faults. */
export function makeHead(random: Random): HeadCase {
  let method = "GET";
  let target = "/";
  let version = "HTTP/1.1";
  let lines = [
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa(String.fromCharCode(...random.bytes(16)))}`,
  ];
  let lineBreak = "\r\n";
  for (let faults = random.pick([0, 0, 1, 1, 2, 3]); faults > 0; faults--) {
    const at = random.below(lines.length);
    switch (random.below(12)) {
      case 0:
        method = random.pick(["POST", "get", "HEAD", "OPTIONS", "", "G\0T", "A".repeat(30)]);
        break;
      case 1:
        target = random.pick([
          "/?a=b",
          "/x",
          "*",
          "http://localhost/",
          "ws://localhost",
          "WSS://evil.example/?a",
          "ftp://localhost/",
          "ws:///",
          "/a b",
          "",
          "//",
          "/\x80",
          "/" + "a".repeat(3000),
        ]);
        break;
      case 2:
        version = random.pick(["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "", "HTTP/11"]);
        break;
      case 3:
        lines.splice(at, 1);
        break;
      case 4:
      case 5:
        lines.splice(at, 0, random.pick(EXTRA_LINES));
        break;
      case 6:
        lines[at] = lines[at]!.toUpperCase();
        break;
      case 7:
        lines[at] = lines[at]!.replace(": ", random.pick([":", ":  ", ":\t", " : ", ""]));
        break;
      case 8:
        lines[at] = `${random.pick(NAMES)}: ${
          random.pick(["", "13", "websocket", "upgrade", "evil.example", "[::1]:80", "127.0.0.1"])
        }`;
        break;
      case 9:
        lines = lines.sort(() => random.below(3) - 1);
        break;
      case 10:
        if (random.chance(0.2)) lineBreak = "\n";
        break;
      default:
        lines.push(`X-${random.below(1000)}: ${"b".repeat(random.below(200))}`);
    }
    if (lines.length === 0) lines.push("Host: localhost");
  }
  const text = [`${method} ${target} ${version}`, ...lines, "", ""].join(lineBreak);
  let bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  if (random.chance(0.1)) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  if (random.chance(0.05)) bytes = bytes.slice(0, random.below(bytes.length));
  if (random.chance(0.02)) bytes = concat(random.bytes(1 + random.below(20)), bytes);
  return judgeHead(bytes);
}

/** The statuses of all rules that a head breaks, in whatever order they are checked. */
function judgeHead(bytes: Uint8Array<ArrayBuffer>): HeadCase {
  const all = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const start = /^(?:\r\n)*/.exec(all)![0].length;
  const end = all.indexOf("\r\n\r\n", start);
  const statuses = new Set<number>();
  const text = end < 0 ? all.slice(start) : all.slice(start, end);
  const [requestLine = "", ...lines] = text.split("\r\n");
  const [method = "", target = "", version = "", ...more] = requestLine.split(" ");
  if (more.length > 0 || !/^[A-Z]{1,20}$/.test(method) || !/^[!-~]+$/.test(target)) statuses.add(400);
  if (!/^HTTP\/[0-9]\.[0-9]$/.test(version)) statuses.add(400);
  else if (!version.startsWith("HTTP/1.") || version === "HTTP/1.0") statuses.add(505);
  const parts = /^(?:(?:ws|wss|http|https):\/\/([^/?]+)(?=$|[/?]))?(\/[^?]*|)/i.exec(target);
  const [whole = "", authority, path = ""] = parts ?? [];
  if (whole === "") statuses.add(400);
  else if (path !== "" && path !== "/") statuses.add(404);
  if (method !== "GET") statuses.add(405);

  const values = new Map<string, string[]>();
  for (const line of lines) {
    const match = /^([^:]+):([\s\S]*)$/.exec(line);
    const [, name = "", value = ""] = match ?? [];
    if (
      match === null || /[^!#$%&'*+.^_`|~0-9A-Za-z-]/.test(name) || hasControl(value)
    ) {
      statuses.add(400);
      continue;
    }
    const key = name.toLowerCase();
    values.set(key, [...values.get(key) ?? [], value.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "")]);
  }
  const single = [
    "host",
    "origin",
    "authorization",
    "content-length",
    "sec-websocket-key",
    "sec-websocket-version",
  ];
  for (const name of single) if ((values.get(name) ?? []).length > 1) statuses.add(400);
  const has = (name: string, token: string) =>
    (values.get(name) ?? []).some((value) =>
      value.toLowerCase().split(",").map((t) => t.trim()).includes(token)
    );
  const one = (name: string) => values.get(name)?.[0];

  const host = values.has("host") ? authority ?? one("host") ?? "" : "";
  const hostName = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+?)\.?(:[0-9]{0,5})?$/.exec(host.toLowerCase())?.[1];
  if (host === "" || hostName === undefined) statuses.add(400);
  if (!["localhost", "127.0.0.1", "[::1]"].includes(hostName ?? "")) statuses.add(421).add(400);
  if (values.has("transfer-encoding") || (one("content-length") ?? "0") !== "0") statuses.add(400);
  if (values.has("expect")) statuses.add(417);
  if (!has("upgrade", "websocket") || !has("connection", "upgrade")) statuses.add(426);
  if (one("sec-websocket-version") !== "13") statuses.add(426);
  const key = one("sec-websocket-key") ?? "";
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key) || btoa(atob(key)) !== key) statuses.add(400);
  const protocols = (values.get("sec-websocket-protocol") ?? []).join(",").split(",").map((name) =>
    name.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "")
  );
  if (protocols.some((name) => name !== "" && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))) statuses.add(400);
  const origin = one("origin");
  if (
    origin !== undefined && !/^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])\.?(:[0-9]{0,5})?$/.test(
      origin.replace(/(?<=:\/\/).*/, (host) => host.toLowerCase()),
    )
  ) statuses.add(403);
  return { bytes, statuses, isWhole: end >= 0 };
}

function hasControl(value: string): boolean {
  return [...value].some((character) => character !== "\t" && (character < " " || character === "\x7f"));
}

/** A preamble, the client it names, and where it ends; `expected` is undefined for a broken one. */
export interface PreambleCase {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly expected: { readonly size: number; readonly source: string | undefined } | undefined;
}

const V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** One PROXY preamble with a few bytes behind it; the expected result follows from how it was made. */
export function makePreamble(random: Random): PreambleCase {
  const rest = random.bytes(random.below(20));
  return random.chance(0.5) ? makeV1(random, rest) : makeV2(random, rest);
}

function makeV1(random: Random, rest: Uint8Array): PreambleCase {
  const address = [...random.bytes(4)].join(".");
  const port = random.below(65_536);
  const right = `PROXY TCP4 ${address} 192.0.2.1 ${port} 80\r\n`;
  const broken = [
    right.replace("TCP4", "TCP6"),
    right.replace("TCP4", "tcp4"),
    right.replace("TCP4 ", "TCP4  "),
    right.replace(" 80\r", " 080\r"),
    right.replace(` ${port} `, " 65536 "),
    right.replace(` ${port} `, " -1 "),
    right.replace("192.0.2.1", "192.0.2.256"),
    right.replace("192.0.2.1", "192.0.2.01"),
    right.replace("192.0.2.1", "192.0.2"),
    right.replace("\r\n", "\n"),
    right.replace("\r\n", " 1\r\n"),
    right.replace("\r\n", "\r\r\n"),
    `PROXY UNKNOWN ${"a".repeat(100)}\r\n`,
    `PROXY\r\n${" ".repeat(100)}`,
  ];
  const kind = random.below(4);
  if (kind === 0) {
    return { bytes: concat(toBytes(random.pick(broken)), random.bytes(200)), expected: undefined };
  }
  if (kind === 1) {
    const unknown = `PROXY UNKNOWN${random.pick(["", " ", " a b c"])}\r\n`;
    return { bytes: concat(toBytes(unknown), rest), expected: { size: unknown.length, source: undefined } };
  }
  return { bytes: concat(toBytes(right), rest), expected: { size: right.length, source: address } };
}

function makeV2(random: Random, rest: Uint8Array): PreambleCase {
  const isV6 = random.chance(0.5);
  // All groups are at least 0x1000, so that the address has only one spelling.
  const groups = Array.from({ length: 8 }, () => 0x1000 + random.below(0xf000));
  const v4 = [...random.bytes(4)];
  const source = isV6 ? groups.flatMap((group) => [group >> 8, group & 255]) : v4;
  const addresses = [...source, ...random.bytes(source.length + 4)];
  const extensions = [...random.bytes(random.chance(0.5) ? 0 : random.below(80))];
  const body = [...addresses, ...extensions];
  const fixed = [...V2_SIGNATURE, 0x21, isV6 ? 0x21 : 0x11, body.length >> 8, body.length & 255];
  const kind = random.below(4);
  if (kind === 0) {
    const change = random.pick([[12, 0x22], [12, 0x11], [13, 0x41], [13, 0x13], [14, 0xff], [
      random.below(12),
      0x7e,
    ]]);
    fixed[change[0]!] = change[1]!;
    if (random.chance(0.2)) {
      const short = [...V2_SIGNATURE, 0x21, isV6 ? 0x21 : 0x11, 0, addresses.length - 1, ...addresses];
      return { bytes: concat(Uint8Array.from(short), rest), expected: undefined };
    }
    return { bytes: concat(Uint8Array.from([...fixed, ...body]), random.bytes(600)), expected: undefined };
  }
  const bytes = concat(Uint8Array.from([...fixed, ...body]), rest);
  const size = fixed.length + body.length;
  if (kind === 1) {
    bytes[12] = 0x20;
    return { bytes, expected: { size, source: undefined } };
  }
  const text = isV6 ? groups.map((group) => group.toString(16)).join(":") : v4.join(".");
  return { bytes, expected: { size, source: text } };
}

function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
