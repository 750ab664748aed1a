// The opening handshake of RFC 6455 §4, on the strictest reading of HTTP/1.1 (RFC 9112). No I/O.

import { latin1 } from "../core/latin1.ts";
import type { RefusalRule } from "./refusal_rule.ts";
import { REFUSAL_STATUSES, type RefusalStatus } from "./refusal_status.ts";

export type { RefusalStatus };

/** What a refused client is told: an HTTP status and one line of text; never the client's own words. */
export interface Refusal {
  /** One of `RefusalStatus`, or what somebody's own server answered: 400 to 599. */
  readonly status: number;
  readonly reason: string;
  /** What the answer says in place of the reason. */
  readonly text?: string;
  /** The rule that was broken, a word for the log; `handshake` if left out. */
  readonly rule?: RefusalRule;
  /** What the rule allows, in its own unit, where it is a limit. */
  readonly limit?: number;
  /** The value that the rule does not allow, as the peer sent it and at most 256 characters of it: for the log only. */
  readonly detail?: string;
  /** Whether it counts toward a ban: true for what no client does that wants to speak WebSocket. */
  readonly isViolation?: boolean;
  /** Further header lines, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request head, checked against RFC 9110 §5. */
export interface RequestHead {
  readonly method: string;
  /** The path, without the query. */
  readonly path: string;
  /** The query with its `?`, or the empty text. */
  readonly query: string;
  /**
   * Trimmed values by name in lower case, repeated lines joined to one list (RFC 9110 §5.3). Only headers that are read
   * somewhere here.
   */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether it is a request of HTTP/1.0, which need not have a Host and can't be a handshake. */
  readonly isOld?: boolean;
}

/** Either a value or why there is none. */
export type HeadResult =
  | { readonly ok: true; readonly head: RequestHead }
  | { readonly ok: false; readonly refusal: Refusal };

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COMMA = 44;

const NO_PATHS: ReadonlySet<string> = new Set();
const OLD: Refusal = { status: 505, reason: "the HTTP version must be 1.1" };

/** The longest detail of a refusal. */
const MAX_DETAIL_LENGTH = 256;

// RFC 9110 §5.6.2 and §5.5; the bytes of a value are read as Latin-1.
const REQUEST_LINE = /^([A-Z]{1,20}) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/;
const ABSOLUTE = /^(?:ws|http)s?:\/\//i;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** Headers that may come only once: with two, it would be open which one counts. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "authorization",
  "content-length",
  "sec-websocket-accept",
  "sec-websocket-key",
  "sec-websocket-version",
]);

/** What joins repeated lines of a header where it is not a comma (RFC 6265 §4.2.1, §3). */
const SEPARATORS: ReadonlyMap<string, string> = new Map([["cookie", "; "], ["set-cookie", "\n"]]);

/** The headers that are kept, of requests and of responses. */
const KEPT_HEADERS: ReadonlySet<string> = new Set([
  ...SINGLE_HEADERS,
  "accept-language",
  "connection",
  "content-encoding",
  "cookie",
  "expect",
  "retry-after",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "set-cookie",
  "traceparent",
  "tracestate",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "www-authenticate",
  "x-forwarded-for",
]);

/** A refusal with the status 400. */
export function badRequest(reason: string): Refusal {
  return { status: 400, reason, isViolation: true };
}

/** The offset after the empty lines that may come before a request (RFC 9112 §2.2). */
export function skipEmptyLines(bytes: Uint8Array, start: number, end: number): number {
  while (start + 1 < end && bytes[start] === CR && bytes[start + 1] === LF) start += 2;
  return start;
}

/**
 * The offset after the empty line that ends the head, or -1 if it is not there yet. `from` is the offset at which the
 * last look ended, or the start of the head.
 */
export function findHeadEnd(bytes: Uint8Array, from: number, end: number, start = 0): number {
  for (let at = Math.max(from - 3, start); at + 3 < end; at++) {
    if (bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) {
      return at + 4;
    }
  }
  return -1;
}

/**
 * Whether the first line can still become a request line, so that junk, a TLS hello or another protocol is refused at
 * once and not at the deadline.
 *
 * @param from The first byte that was not looked at yet; the line begins at `start`. Not to be called once the line
 * feed has come.
 */
export function canBeRequest(bytes: Uint8Array, from: number, end: number, start = 0): boolean {
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (at > start && bytes[at - 1] === CR) {
      return byte === LF && REQUEST_LINE.test(latin1(bytes, start, at - 1));
    }
    if (byte === CR) continue;
    if (byte < 0x20 || byte > 0x7e) return false;
    // A method is in capitals and has at least three letters.
    const isCapital = byte >= 0x41 && byte <= 0x5a;
    if (at - start < 4 && !isCapital && !(at - start === 3 && byte === SPACE)) return false;
  }
  return true;
}

/**
 * Reads a whole request head, the bytes from `start` to `end` with the empty line at its end.
 *
 * @param kept names of the headers to keep, in lower case; those of a handshake if left out
 * @param oldPaths paths that may be asked for in HTTP/1.0, which many health checks speak
 */
export function parseRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  { kept = KEPT_HEADERS, oldPaths = NO_PATHS }: {
    readonly kept?: ReadonlySet<string>;
    readonly oldPaths?: ReadonlySet<string>;
  } = {},
): HeadResult {
  const lines = latin1(bytes, start, end - 4).split("\r\n");
  const [, method, target, version] = REQUEST_LINE.exec(lines[0]!) ?? [];
  if (method === undefined || target === undefined) {
    return refuse(badRequest("the request line must be: GET /path HTTP/1.1"));
  }
  const split = splitTarget(target);
  // A higher minor version is a client that can do more than we ask for (RFC 9110 §2.5).
  const isOld = version === "1.0";
  if (!version!.startsWith("1.") || (isOld && !oldPaths.has(split?.path ?? ""))) {
    return refuse({ ...OLD, detail: `HTTP/${version}` });
  }
  if (split === undefined) {
    return refuse(badRequest("the request target must be a path or a URL of this server"));
  }
  const headers = parseHeaders(lines, kept);
  if (!(headers instanceof Map)) return refuse(headers);
  // It wins over Host, which must be there all the same (RFC 9112 §3.2 and §3.2.2).
  if (split.authority !== undefined && headers.has("host")) headers.set("host", split.authority);
  return { ok: true, head: { method, path: split.path, query: split.query, headers, isOld } };
}

/** The parts of a target in origin-form or absolute-form (RFC 9112 §3.2); undefined for any other form. */
function splitTarget(
  target: string,
): { readonly authority: string | undefined; readonly path: string; readonly query: string } | undefined {
  const scheme = target.startsWith("/") ? "" : ABSOLUTE.exec(target)?.[0];
  // A target has no fragment. A server behind this one would cut it off, and read another path than the one that was
  // allowed.
  if (scheme === undefined || target.includes("#")) return undefined;
  const rest = target.slice(scheme.length);
  const slash = rest.indexOf("/");
  const mark = rest.indexOf("?");
  const pathEnd = mark < 0 ? rest.length : mark;
  const pathStart = slash < 0 ? pathEnd : Math.min(slash, pathEnd);
  const authority = rest.slice(0, pathStart);
  if (scheme !== "" && authority === "") return undefined;
  return {
    authority: scheme === "" ? undefined : authority,
    path: rest.slice(pathStart, pathEnd) || "/",
    query: rest.slice(pathEnd),
  };
}

/** The headers in all lines but the first, which is the request or status line. */
function parseHeaders(lines: readonly string[], kept = KEPT_HEADERS): Map<string, string> | Refusal {
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1);
    // Folded lines, spaces before the colon and control characters are how two readers come to disagree (RFC 9112 §5).
    if (!NAME.test(name) || !VALUE.test(value)) return badRequest(`header line ${i} is malformed`);
    // A peer can choose names that collide: the runtime hashes names of digits without a seed, and even a look-up puts
    // the name into its table.
    if (!isLetter(name.charCodeAt(0)) || !kept.has(name)) continue;
    const known = headers.get(name);
    if (known !== undefined && SINGLE_HEADERS.has(name)) {
      return badRequest(`the header "${name}" must not be repeated`);
    }
    const trimmed = trimBlanks(value);
    headers.set(name, known === undefined ? trimmed : `${known}${SEPARATORS.get(name) ?? ", "}${trimmed}`);
  }
  return headers;
}

function refuse(refusal: Refusal): HeadResult {
  return { ok: false, refusal };
}

/** Whether it is one of a to z. */
function isLetter(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** `text` without the spaces and tabs around it, and only those: other white space is part of a value (RFC 9110 §5.6.3). */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** The elements of a list header, without the empty ones (RFC 9110 §5.6.1). */
export function listElements(value: string | undefined): readonly string[] {
  const elements: string[] = [];
  if (value === undefined) return elements;
  for (let start = 0; start < value.length;) {
    // A head full of commas must not become thousands of empty elements.
    if (value.charCodeAt(start) === COMMA) {
      start++;
      continue;
    }
    const comma = value.indexOf(",", start);
    const end = comma < 0 ? value.length : comma;
    const element = trimBlanks(value.slice(start, end));
    if (element !== "") elements.push(element);
    start = end + 1;
  }
  return elements;
}

/** The beginning of what a peer sent, for the log. A copy, because a slice would keep the whole text in memory. */
export function detailOf(text: string): string {
  let copy = "";
  for (let i = 0; i < Math.min(text.length, MAX_DETAIL_LENGTH); i++) {
    copy += String.fromCharCode(text.charCodeAt(i));
  }
  return copy;
}

/** Why `head` is not an opening handshake of RFC 6455 §4.1, or undefined when it is one. */
export function checkHandshake(head: RequestHead): Refusal | undefined {
  const { headers } = head;
  if (head.isOld) return OLD;
  if (head.method !== "GET") {
    const detail = detailOf(head.method);
    return { status: 405, reason: "the method must be GET", detail, headers: { "Allow": "GET" } };
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
  const version = headers.get("sec-websocket-version");
  if (version !== "13") {
    return {
      status: 426,
      reason: "the header Sec-WebSocket-Version must be 13",
      detail: detailOf(version ?? ""),
      headers: { "Upgrade": "websocket", "Sec-WebSocket-Version": "13" },
    };
  }
  if (!WEBSOCKET_KEY.test(headers.get("sec-websocket-key") ?? "")) {
    return badRequest("the header Sec-WebSocket-Key must be 16 bytes in base64");
  }
  for (const name of listElements(headers.get("sec-websocket-protocol"))) {
    if (NAME.test(name)) continue;
    // What follows the prefix is a token.
    const detail = name.startsWith("bearer.") ? "bearer." : detailOf(name);
    return { ...badRequest("the header Sec-WebSocket-Protocol must be a list of names"), detail };
  }
  return undefined;
}

/** What an answer needs besides its content. */
export interface AnswerOptions {
  /** The time as RFC 9110 §5.6.7 writes it. */
  readonly date: string;
  /** False for the answer to HEAD, which has the length of the body in its head and no body (RFC 9110 §9.3.2). */
  readonly hasBody: boolean;
}

/** The answer to a refused client, after which the connection is closed. */
export function encodeRefusal(
  { status, reason, text = `${reason}\n`, headers = {} }: Refusal,
  options: AnswerOptions,
): Uint8Array<ArrayBuffer> {
  const name = isRefusalStatus(status) ? REFUSAL_STATUSES[status].name : "Refused";
  return encodeAnswer({ status, name, text, headers }, options);
}

/** An answer of text, after which the connection is closed. */
export function encodeAnswer(
  { status, name, text, headers }: {
    readonly status: number;
    readonly name: string;
    readonly text: string;
    readonly headers: Readonly<Record<string, string>>;
  },
  { date, hasBody }: AnswerOptions,
): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(text);
  const lines = [`HTTP/1.1 ${status} ${name}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  lines.push(
    `Date: ${date}`,
    `Connection: ${"Upgrade" in headers ? "Upgrade, close" : "close"}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "",
    hasBody ? text : "",
  );
  return new TextEncoder().encode(lines.join("\r\n"));
}

/** What the endpoint learns about a connection, through headers that a stranger can't set. */
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
  "cookie",
  "sec-websocket-key",
  "sec-websocket-protocol",
] as const;

/** The request head for the private hop, made anew, so that nothing in it can be read in two ways. */
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
    const list = name === "sec-websocket-protocol" ? listElements(value).join(", ") : value;
    if (list !== "") lines.push(`${name}: ${list}`);
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
  const status = /^HTTP\/1\.1 ([1-9]\d\d)(?: |$)/.exec(lines[0]!)?.[1];
  const headers = parseHeaders(lines);
  return status === undefined || !(headers instanceof Map) ? undefined : { status: Number(status), headers };
}

/** Whether a refusal can have this status. */
export function isRefusalStatus(status: number): status is RefusalStatus {
  return status in REFUSAL_STATUSES;
}

/** Whether a list header has this element; `token` in lower case, compared in any case. */
export function hasToken(value: string | undefined, token: string): boolean {
  return listElements(value).some((element) => element.toLowerCase() === token);
}
