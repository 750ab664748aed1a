// The opening handshake as data: which heads are valid, what of a head goes on to the endpoint, and the answers.

import assert from "node:assert/strict";
import {
  checkHandshake,
  encodeInnerRequest,
  encodeRefusal,
  findHeadEnd,
  listElements,
  parseRequestHead,
  type RequestHead,
  skipEmptyLines,
} from "../../src/protocol/handshake.ts";

const LINES = [
  "GET /chat?a=b HTTP/1.1",
  "Host: server.example",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

function encode(...lines: readonly string[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode([...lines, "", ""].join("\r\n"));
}

function parse(...lines: readonly string[]): RequestHead | string {
  const bytes = encode(...lines);
  const result = parseRequestHead(bytes, 0, bytes.length);
  return result.ok ? result.head : `${result.refusal.status} ${result.refusal.reason}`;
}

function head(...more: readonly string[]): RequestHead {
  const parsed = parse(...LINES, ...more);
  if (typeof parsed === "string") assert.fail(parsed);
  return parsed;
}

function statusOfKey(key: string): number {
  const lines = LINES.with(-1, `Sec-WebSocket-Key: ${key}`);
  const parsed = parse(...lines);
  if (typeof parsed === "string") assert.fail(parsed);
  return checkHandshake(parsed)?.status ?? 101;
}

Deno.test("a key is 16 bytes in base64, with no stray bits, and nothing else", () => {
  for (let i = 0; i < 64; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    assert.equal(statusOfKey(btoa(String.fromCharCode(...bytes))), 101);
  }
  for (let size = 0; size <= 40; size++) {
    if (size === 16) continue;
    assert.equal(statusOfKey(btoa("k".repeat(size))), 400, `${size} bytes`);
  }
  // The last character but two holds two bits of the key and four that must be 0: A, Q, g and w.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (const last of alphabet) {
    assert.equal(statusOfKey(`dGhlIHNhbXBsZSBub25jZ${last}==`), "AQgw".includes(last) ? 101 : 400, last);
  }
  for (
    const key of [
      "dGhlIHNhbXBsZSBub25jZQ",
      "dGhlIHNhbXBsZSBub25jZQ=",
      "dGhlIHNhbXBsZSBub25jZ===",
      "-_hlIHNhbXBsZSBub25jZQ==",
    ]
  ) {
    assert.equal(statusOfKey(key), 400, key);
  }
});

Deno.test("headers that must be one are refused when they are two, and lists are joined", () => {
  for (
    const name of [
      "Host",
      "Origin",
      "Authorization",
      "Content-Length",
      "Sec-WebSocket-Key",
      "Sec-WebSocket-Version",
    ]
  ) {
    const lines = LINES.filter((line) => !line.startsWith(`${name}:`));
    assert.match(
      String(parse(...lines, `${name}: a`, `${name.toUpperCase()}: a`)),
      /^400 .* must not be repeated$/,
    );
  }
  assert.equal(head("X-Forwarded-For: 1", "X-Forwarded-For:2").headers.get("x-forwarded-for"), "1, 2");
  assert.equal(checkHandshake(head("Upgrade: h2c", "Upgrade:", "Connection: close")), undefined);
});

Deno.test("the elements of a list are those that are not empty", () => {
  const lists: Readonly<Record<string, readonly string[]>> = {
    "": [],
    ",": [],
    " , ,\t,": [],
    "a": ["a"],
    "wsward.v1,": ["wsward.v1"],
    "a,,b": ["a", "b"],
    " a ,\tb c\t,": ["a", "b c"],
    "a\xa0": ["a\xa0"],
  };
  for (const [list, elements] of Object.entries(lists)) assert.deepEqual(listElements(list), elements, list);
  assert.deepEqual(listElements(undefined), []);
});

Deno.test("a target is a path, or a URL whose authority stands in for Host", () => {
  const targets: Readonly<Record<string, readonly [host: string, path: string, query: string]>> = {
    "/": ["server.example", "/", ""],
    "/a?b/c": ["server.example", "/a", "?b/c"],
    "//other/": ["server.example", "//other/", ""],
    "ws://other": ["other", "/", ""],
    "WSS://other:1/a": ["other:1", "/a", ""],
    "http://other?b/c": ["other", "/", "?b/c"],
    "https://[::1]/a?b": ["[::1]", "/a", "?b"],
  };
  for (const [target, [host, path, query]] of Object.entries(targets)) {
    const parsed = parse(`GET ${target} HTTP/1.1`, ...LINES.slice(1));
    if (typeof parsed === "string") assert.fail(parsed);
    assert.deepEqual([parsed.headers.get("host"), parsed.path, parsed.query], [host, path, query], target);
  }
  for (
    const target of [
      "*",
      "other",
      "other:80",
      "ws:/other",
      "ws://",
      "ws:///a",
      "ws://?a",
      "ftp://other/",
      "/a#b",
      "/#",
      "/?a#b",
    ]
  ) {
    assert.match(
      String(parse(`GET ${target} HTTP/1.1`, ...LINES.slice(1))),
      /^400 the request target/,
      target,
    );
  }
  const without = parse("GET ws://other/ HTTP/1.1", ...LINES.slice(2)) as RequestHead;
  assert.equal(checkHandshake(without)?.reason, "the header Host is missing");
});

Deno.test("a request of HTTP/1.0 that may be read is no handshake all the same", () => {
  assert.equal(checkHandshake(head())?.status, undefined);
  assert.equal(checkHandshake({ ...head(), isOld: true })?.status, 505);
});

Deno.test("every HTTP/1 from 1.1 on is accepted, and no other", () => {
  const versions: Readonly<Record<string, string>> = {
    "1.0": "505",
    "0.9": "505",
    "2.0": "505",
    "1.11": "400",
    "1.": "400",
  };
  for (const [version, status] of Object.entries(versions)) {
    assert.ok(String(parse(`GET / HTTP/${version}`, ...LINES.slice(1))).startsWith(status), version);
  }
  for (const version of ["1.1", "1.2", "1.9"]) {
    assert.equal(typeof parse(`GET / HTTP/${version}`, ...LINES.slice(1)), "object", version);
  }
});

Deno.test("the end of a head is found wherever the bytes are cut, and not before them all are there", () => {
  const bytes = encode(...LINES);
  for (let cut = 0; cut < bytes.length; cut++) {
    assert.equal(findHeadEnd(bytes, 0, cut), -1, `a head of ${cut} bytes`);
    assert.equal(findHeadEnd(bytes, cut, bytes.length), bytes.length, `cut at ${cut}`);
  }
  const empty = new TextEncoder().encode("\r\n\r\n\r\nG");
  assert.deepEqual([0, 1, 2, 3, 6, 7].map((end) => skipEmptyLines(empty, 0, end)), [0, 0, 2, 2, 6, 6]);
  assert.equal(findHeadEnd(empty, 6, 7, 6), -1, "empty lines are no end of the head after them");
});

Deno.test("the endpoint is told what the firewall knows, and nothing that the client says about it", () => {
  const text = new TextDecoder().decode(encodeInnerRequest(
    head(
      "X-Connection-Id: forged",
      "X-Forwarded-For: 203.0.113.9",
      "X-Forwarded-Proto: wss",
      "Cookie: a=b",
      "Sec-WebSocket-Extensions: permessage-deflate",
      "Sec-WebSocket-Protocol: a,,b ,",
      "Authorization: Bearer x",
      "Origin: http://a.example",
    ),
    { connection: "id-1", address: "192.0.2.1", isSecure: false },
  ));
  assert.deepEqual(text.split("\r\n"), [
    "GET /chat?a=b HTTP/1.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "X-Connection-Id: id-1",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Proto: ws",
    "host: server.example",
    "origin: http://a.example",
    "authorization: Bearer x",
    "cookie: a=b",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol: a, b",
    "",
    "",
  ]);
});

Deno.test("an empty list of subprotocols offers none", () => {
  const parsed = head("Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol: ,");
  assert.equal(checkHandshake(parsed), undefined);
  const facts = { connection: "1", address: "192.0.2.1", isSecure: true };
  assert.doesNotMatch(new TextDecoder().decode(encodeInnerRequest(parsed, facts)), /protocol/i);
});

Deno.test("a refusal has a date, its length and, unless it answers HEAD, one line", () => {
  const date = new Date(0).toUTCString();
  const refusal = { status: 404, reason: "nothing here" } as const;
  const get = new TextDecoder().decode(encodeRefusal(refusal, { date, hasBody: true }));
  assert.match(
    get,
    /^HTTP\/1\.1 404 Not Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n/,
  );
  assert.match(get, /\r\nContent-Length: 13\r\n\r\nnothing here\n$/);
  const answer = new TextDecoder().decode(encodeRefusal(refusal, { date, hasBody: false }));
  assert.equal(answer, get.slice(0, -"nothing here\n".length));
});

Deno.test("a value that is not allowed is told as the detail, cut, and never a token", () => {
  const detailOf = (...more: readonly string[]) => checkHandshake(head(...more))?.detail;
  assert.equal(detailOf("Sec-WebSocket-Protocol: a, b(c)"), "b(c)");
  assert.equal(detailOf(`Sec-WebSocket-Protocol: ${"(".repeat(300)}`)?.length, 256);
  assert.equal(detailOf("Sec-WebSocket-Protocol: bearer.secret(token)"), "bearer.");
});
