// The opening handshake of RFC 6455 §4, on the strictest reading of HTTP/1.1 (RFC 9112). No I/O.

import { latin1 } from "../core/latin1.ts";
import type { RefusalRule } from "./refusal_rule.ts";
import { REFUSAL_STATUSES, type RefusalStatus } from "./refusal_status.ts";

export type { RefusalStatus };

/** What a refused client is told: an HTTP status and one line of text; never the client's own words. */
export interface Refusal {
  readonly status: RefusalStatus;
  readonly reason: string;
  /** The rule that was broken, a word for the log; `handshake` if left out. */
  readonly rule?: RefusalRule;
  /** What the rule allows, in its own unit, where it is a limit. */
  readonly limit?: number;
  /** Further header lines, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request head: names in lower case, values trimmed, both checked against RFC 9110 §5. */
export interface RequestHead {
  readonly method: string;
  /** The path, without the query. */
  readonly path: string;
  /** The query with its `?`, or the empty text. */
  readonly query: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** Either a value or why there is none. */
export type HeadResult =
  | { readonly ok: true; readonly head: RequestHead }
  | { readonly ok: false; readonly refusal: Refusal };

const CR = 13;
const LF = 10;

// RFC 9110 §5.6.2 and §5.5; the bytes of a value are read as Latin-1.
const REQUEST_LINE = /^([A-Z]{1,20}) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** Headers of which a second one would leave open which of the two is meant. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "upgrade",
  "authorization",
  "content-length",
  "sec-websocket-key",
  "sec-websocket-version",
]);

/** A refusal with the status 400. */
export function badRequest(reason: string): Refusal {
  return { status: 400, reason };
}

/**
 * The offset after the empty line that ends the head, or -1 if it is not there yet. `from` is where to go on looking:
 * the offset at which the last look ended, or the start of the head.
 */
export function findHeadEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let at = Math.max(from - 3, 0); at + 3 < end; at++) {
    if (bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) {
      return at + 4;
    }
  }
  return -1;
}

/**
 * Whether the first line can still become a request line. Lets junk, a TLS hello or another protocol be refused at once
 * instead of at the deadline.
 *
 * @param from The first of the bytes that have not been looked at yet; the line begins at 0. Once there is a line feed
 * there is nothing left to ask.
 */
export function canBeRequest(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (at > 0 && bytes[at - 1] === CR) return byte === LF && REQUEST_LINE.test(latin1(bytes, 0, at - 1));
    if (byte === CR) continue;
    if (byte < 0x20 || byte > 0x7e) return false;
    // A method is in capitals and has at least three letters.
    const isCapital = byte >= 0x41 && byte <= 0x5a;
    if (at < 4 && !isCapital && !(at === 3 && byte === 0x20)) return false;
  }
  return true;
}

/** Reads a whole request head, the bytes from `start` to `end` with the empty line at its end. */
export function parseRequestHead(bytes: Uint8Array, start: number, end: number): HeadResult {
  const lines = latin1(bytes, start, end - 4).split("\r\n");
  const [, method, target, version] = REQUEST_LINE.exec(lines[0]!) ?? [];
  if (method === undefined || target === undefined) {
    return refuse(badRequest("the request line must be: GET /path HTTP/1.1"));
  }
  if (version !== "1.1") return refuse({ status: 505, reason: "the HTTP version must be 1.1" });
  if (!target.startsWith("/")) return refuse(badRequest("the request target must be a path"));
  const headers = parseHeaders(lines);
  if (!(headers instanceof Map)) return refuse(headers);
  const mark = target.indexOf("?");
  return {
    ok: true,
    head: {
      method,
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? "" : target.slice(mark),
      headers,
    },
  };
}

/** The headers in all lines but the first, which is the request or status line. */
function parseHeaders(lines: readonly string[]): Map<string, string> | Refusal {
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1);
    // Folded lines, spaces before the colon and control characters are how two readers come to disagree (RFC 9112 §5).
    if (!NAME.test(name) || !VALUE.test(value)) return badRequest(`header line ${i} is malformed`);
    const known = headers.get(name);
    if (known !== undefined && SINGLE_HEADERS.has(name)) {
      return badRequest(`the header "${name}" must not be repeated`);
    }
    const trimmed = value.replace(/^[\t ]+|[\t ]+$/g, "");
    headers.set(name, known === undefined ? trimmed : `${known}, ${trimmed}`);
  }
  return headers;
}

function refuse(refusal: Refusal): HeadResult {
  return { ok: false, refusal };
}

/** Why `head` is not an opening handshake of RFC 6455 §4.1, or undefined when it is one. */
export function checkHandshake(head: RequestHead): Refusal | undefined {
  const { headers } = head;
  if (head.method !== "GET") {
    return { status: 405, reason: "the method must be GET", headers: { "Allow": "GET" } };
  }
  const host = headers.get("host");
  if (host === undefined || host === "") return badRequest("the header Host is missing");
  if (headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0") {
    return badRequest("a handshake has no body");
  }
  if (headers.has("expect")) return { status: 417, reason: "a handshake has no body to expect" };
  if (!hasToken(headers.get("upgrade"), "websocket") || !hasToken(headers.get("connection"), "upgrade")) {
    return {
      status: 426,
      reason: "this is a WebSocket endpoint: connect to it with a WebSocket client",
      headers: { "Upgrade": "websocket" },
    };
  }
  if (headers.get("sec-websocket-version") !== "13") {
    return {
      status: 426,
      reason: "the header Sec-WebSocket-Version must be 13",
      headers: { "Upgrade": "websocket", "Sec-WebSocket-Version": "13" },
    };
  }
  if (!WEBSOCKET_KEY.test(headers.get("sec-websocket-key") ?? "")) {
    return badRequest("the header Sec-WebSocket-Key must be 16 bytes in base64");
  }
  const protocols = headers.get("sec-websocket-protocol");
  if (protocols !== undefined && !protocols.split(",").every((name) => NAME.test(name.trim()))) {
    return badRequest("the header Sec-WebSocket-Protocol must be a list of names");
  }
  return undefined;
}

/** The answer to a refused client, after which the connection is closed. */
export function encodeRefusal({ status, reason, headers = {} }: Refusal): Uint8Array<ArrayBuffer> {
  const body = `${reason}\n`;
  const lines = [`HTTP/1.1 ${status} ${REFUSAL_STATUSES[status].name}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  lines.push(
    `Connection: ${"Upgrade" in headers ? "Upgrade, close" : "close"}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "",
    body,
  );
  return new TextEncoder().encode(lines.join("\r\n"));
}

/** Facts about a connection that the endpoint learns through headers which a stranger can't set. */
export interface ConnectionFacts {
  readonly connection: string;
  readonly address: string;
  /** Whether the client came over TLS. */
  readonly isSecure: boolean;
}

/** Headers of the client that the endpoint may see; everything else stays outside. */
const FORWARDED_HEADERS = [
  "host",
  "origin",
  "authorization",
  "sec-websocket-key",
  "sec-websocket-protocol",
] as const;

/** The request head for the private hop: made anew, so that nothing the client wrote can mean two things. */
export function encodeInnerRequest(head: RequestHead, facts: ConnectionFacts): Uint8Array<ArrayBuffer> {
  const lines = [
    `GET ${head.path}${head.query} HTTP/1.1`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `X-Connection-Id: ${facts.connection}`,
    `X-Forwarded-For: ${facts.address}`,
    `X-Forwarded-Proto: ${facts.isSecure ? "wss" : "ws"}`,
  ];
  for (const name of FORWARDED_HEADERS) {
    const value = head.headers.get(name);
    if (value === undefined) continue;
    // The runtime splits the subprotocols at ", " only, and throws at "a,b".
    const list = name === "sec-websocket-protocol"
      ? value.split(",").map((item) => item.trim()).join(", ")
      : value;
    lines.push(`${name}: ${list}`);
  }
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The head of an endpoint's response; undefined when it is not one of HTTP/1.1. */
export function parseResponseHead(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly status: number; readonly headers: ReadonlyMap<string, string> } | undefined {
  const lines = latin1(bytes, start, end - 4).split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(lines[0]!)?.[1];
  const headers = parseHeaders(lines);
  return status === undefined || !(headers instanceof Map) ? undefined : { status: Number(status), headers };
}

/** Whether a refusal can have this status. */
export function isRefusalStatus(status: number): status is RefusalStatus {
  return status in REFUSAL_STATUSES;
}

function hasToken(value: string | undefined, token: string): boolean {
  return value !== undefined && value.split(",").some((item) => item.trim().toLowerCase() === token);
}
