// Work on a stranger's bytes grows no faster than the bytes: each reader, with the shapes that are worst for it.

import assert from "node:assert/strict";
import { validateEmailMethod } from "../../src/endpoints/secure/methods/validate_email.ts";
import { readPresentation } from "../../src/endpoints/sessions/presentation.ts";
import { clientAddress } from "../../src/firewall/admission/forwarded_for.ts";
import { createNetworkSet } from "../../src/firewall/admission/network_set.ts";
import { MAX_V1_SIZE, parseProxyHeader } from "../../src/firewall/admission/proxy_protocol.ts";
import { createRequestRules, firstRefusal } from "../../src/firewall/admission/request_rules.ts";
import {
  canBeRequest,
  checkHandshake,
  encodeInnerRequest,
  findHeadEnd,
  listElements,
  parseRequestHead,
  parseResponseHead,
  skipEmptyLines,
} from "../../src/protocol/handshake.ts";
import { formatJsonLine, formatLine } from "../../src/telemetry/line.ts";

/** Beyond every limit, so that a clock can tell; what is quadratic takes sixteen times as long for the larger one. */
const SMALL = 16_384;
const LARGE = 4 * SMALL;
/** Linear work may take this many times as long as it would at its best: garbage is collected meanwhile. */
const SLACK = 2.25;
const MAX_EXTRA_MS = 3;
const ROUNDS = 5;
/** How long to look for a moment in which nothing else delays the larger one. */
const PATIENCE_MS = 5000;

/** Prepares the work on a shape, so that only the work is measured. */
type Reader = (shape: string) => () => unknown;

const encoder = new TextEncoder();
const facts = { connection: "1", address: "192.0.2.1", isSecure: false };
const rules = createRequestRules({
  paths: ["/"],
  isLoopbackListener: true,
  settings: {
    allowHost: ["a.example"],
    allowOrigin: ["https://a.example"],
    insecureAllowAnyOrigin: false,
    insecureAllowNullOrigin: false,
  },
});
const proxies = createNetworkSet(["10.0.0.0/8", "fd00::/8"]);

/** Everything that is done with a head, whatever it says. */
function headReader(text: string): () => void {
  const request = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const response = encoder.encode(text.replace(/^.*/, "HTTP/1.1 200 OK"));
  return () => readHead(request, response);
}

function readHead(bytes: Uint8Array<ArrayBuffer>, response: Uint8Array<ArrayBuffer>): void {
  canBeRequest(bytes, 0, bytes.length);
  const end = findHeadEnd(bytes, 0, bytes.length);
  const parsed = parseRequestHead(bytes, 0, end);
  parseResponseHead(response, 0, response.length);
  if (!parsed.ok) return;
  const { head } = parsed;
  checkHandshake(head);
  firstRefusal(rules, head);
  encodeInnerRequest(head, facts);
  clientAddress("10.0.0.1", head.headers.get("x-forwarded-for"), proxies);
}

function inHeader(name: string): Reader {
  const lines = [
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ].filter((line) => !line.startsWith(name));
  return (shape) => headReader([...lines, `${name}: ${shape}`, "", ""].join("\r\n"));
}

function presentation(headers: Record<string, string>, target = "/"): () => unknown {
  const request = new Request(`http://localhost${target}`, { headers });
  return () => readPresentation(request, { insecureTokenInQuery: true });
}

const READERS: Readonly<Record<string, Reader>> = {
  "an unknown header": inHeader("A"),
  "Host": inHeader("Host"),
  "Origin": inHeader("Origin"),
  "Upgrade": inHeader("Upgrade"),
  "Connection": inHeader("Connection"),
  "Sec-WebSocket-Key": inHeader("Sec-WebSocket-Key"),
  "Sec-WebSocket-Protocol": inHeader("Sec-WebSocket-Protocol"),
  "X-Forwarded-For": inHeader("X-Forwarded-For"),
  "Content-Length": inHeader("Content-Length"),
  "the request line": (shape) => headReader(`GET /${shape} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  "an absolute target": (shape) => headReader(`GET ws://${shape} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  "an Origin with a host": (shape) => inHeader("Origin")(`http://${shape}`),
  "a list": (shape) => () => listElements(shape),
  "a path of proxies": (shape) => () => clientAddress("10.0.0.1", shape, proxies),
  "a line of the log": (shape) => {
    const record = { time: "", level: "info", event: "a", text: "", fields: { reason: shape } } as const;
    return () => formatLine(record) + formatJsonLine(record);
  },
  "Authorization": (shape) => presentation({ "authorization": `Bearer ${shape}x` }),
  "subprotocols of the secure endpoint": (shape) => presentation({ "sec-websocket-protocol": shape }),
  "a query": (shape) => presentation({}, `/?token=${encodeURI(shape)}`),
  "an e-mail address": (shape) => () => validateEmailMethod.call(new Map([["address", shape]]), {} as never),
};

/** The runtime hashes texts of digits alone without a seed: those that are 32768 apart share a place in a table. */
function numbers(length: number, separator: string): string {
  return Array.from({ length: length / 10 }, (_, i) => String(7000 + i * 32_768)).join(separator);
}

/** Shapes by their length; each ends so that a search which has come far fails at last. */
const SHAPES: Readonly<Record<string, (length: number) => string>> = {
  "blanks": (length) => "a" + " ".repeat(length) + "b",
  "tabs": (length) => "a" + "\t".repeat(length) + "b",
  "words and blanks": (length) => "a ".repeat(length / 2) + "b",
  "commas": (length) => ",".repeat(length),
  "commas and blanks": (length) => " ,".repeat(length / 2),
  "quotes": (length) => '"'.repeat(length),
  "backslashes": (length) => "\\".repeat(length),
  "dots": (length) => "a.".repeat(length / 2) + "!",
  "colons": (length) => "0:".repeat(length / 2),
  "percent signs": (length) => "1:%a".repeat(length / 4) + "!",
  "digits": (length) => "1".repeat(length),
  "starts of tokens": (length) => "eyJ".repeat(length / 3),
  "addresses": (length) => "10.0.0.1,".repeat(length / 9),
  "at signs": (length) => "a@".repeat(length / 2),
  "ampersands": (length) => "a=&".repeat(length / 3),
  "numbers that collide": (length) => numbers(length, ","),
  "parameters that collide": (length) => numbers(length, "&"),
};

/**
 * The shortest of several times, because other work on the machine makes a time longer and never shorter. It is looked
 * for until it is good enough.
 */
function shortestMs(
  work: () => unknown,
  { goodMs, patienceMs }: { goodMs: number; patienceMs: number },
): number {
  const untilMs = performance.now() + patienceMs;
  let bestMs = Infinity;
  for (let round = 0; bestMs > goodMs && (round < ROUNDS || performance.now() < untilMs); round++) {
    const startedMs = performance.now();
    work();
    bestMs = Math.min(bestMs, performance.now() - startedMs);
  }
  return bestMs;
}

/**
 * Asserts that the work on the large shape, which is so many `times` the small one, takes no longer than linear work
 * would. The small one comes first, and not in turns as `measureGrowth` has it: what the large one leaves
 * in the runtime's tables would slow it down.
 */
function assertLinear(name: string, small: () => unknown, large: () => unknown, times: number): void {
  const limitMs = shortestMs(small, { goodMs: 0, patienceMs: 0 }) * times * SLACK + MAX_EXTRA_MS;
  const largeMs = shortestMs(large, { goodMs: limitMs, patienceMs: PATIENCE_MS });
  assert.ok(
    largeMs <= limitMs,
    `${name}: ${largeMs.toFixed(1)} ms, where linear work takes ${limitMs.toFixed(1)}`,
  );
}

for (const [reader, prepare] of Object.entries(READERS)) {
  Deno.test(`${reader}: four times the bytes take about four times as long, whatever they are`, () => {
    for (const [name, make] of Object.entries(SHAPES)) {
      assertLinear(name, prepare(make(SMALL)), prepare(make(LARGE)), LARGE / SMALL);
    }
  });
}

Deno.test("many header lines take linear time, also where their names collide in a map", () => {
  const namesOf: Readonly<Record<string, (i: number) => string>> = {
    "numbers that collide": (i) => String(7000 + i * 32_768),
    "numbers": (i) => String(i),
    "one name": () => "a",
    "a known name": () => "upgrade",
    "a list": () => "sec-websocket-protocol",
  };
  for (const [name, nameOf] of Object.entries(namesOf)) {
    const headOf = (lines: number) =>
      "GET / HTTP/1.1\r\n" + Array.from({ length: lines }, (_, i) => `${nameOf(i)}: a\r\n`).join("") + "\r\n";
    assertLinear(name, headReader(headOf(1024)), headReader(headOf(16_384)), 16);
  }
});

/** Bytes that count how often one of them is looked at. */
function counted(bytes: Uint8Array<ArrayBuffer>): { bytes: Uint8Array<ArrayBuffer>; reads: () => number } {
  let reads = 0;
  const proxy = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === "string" && /^\d/.test(key)) reads++;
      if (key === "subarray") {
        return (start: number, end: number) => {
          reads += end - start;
          return target.subarray(start, end);
        };
      }
      return Reflect.get(target, key, target);
    },
  });
  return { bytes: proxy, reads: () => reads };
}

Deno.test("a head that comes one byte at a time is looked at a few times a byte", () => {
  for (
    const text of [
      "\r\n".repeat(2000),
      "GET /" + "a".repeat(4000),
      "GET / HTTP/1.1\r\n" + "\r\na".repeat(1400),
    ]
  ) {
    const { bytes, reads } = counted(encoder.encode(text));
    let start = 0;
    let isLineRead = false;
    for (let end = 1; end <= text.length; end++) {
      if (end - 1 <= start + 1) start = skipEmptyLines(bytes, start, end);
      const at = Math.max(end - 1, start);
      isLineRead ||= !canBeRequest(bytes, at, end, start) || text[end - 1] === "\n" && end > start;
      findHeadEnd(bytes, at, end, start);
    }
    assert.ok(reads() < text.length * 12, `${reads()} looks at ${text.length} bytes`);
  }
});

Deno.test("a PROXY preamble that comes one byte at a time is looked at a few times a byte", () => {
  const lines = ["PROXY UNKNOWN " + "a".repeat(MAX_V1_SIZE - 16) + "\r\n", "PROXY TCP4 " + "1".repeat(200)];
  for (const line of lines) {
    const { bytes, reads } = counted(encoder.encode(line));
    for (let end = 1; end <= line.length; end++) {
      if (parseProxyHeader(bytes, 0, end, end - 1).state !== "incomplete") break;
    }
    // The six bytes of the signature are compared anew each time.
    assert.ok(reads() < line.length * 12, `${reads()} looks at ${line.length} bytes`);
  }
});
