// PROXY preambles of both versions: whole, cut at every byte, broken and random.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  MAX_V1_SIZE,
  MAX_V2_SIZE,
  parseProxyHeader,
  type ProxyHeader,
} from "../../../src/firewall/admission/proxy_protocol.ts";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const REQUEST = latin1("GET / HTTP/1.1\r\n");
const SOURCE_V4 = { address: "192.0.2.1", port: 56324 };
const V4_ADDRESSES = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function v2(command: number, family: number, body: readonly number[], length = body.length): Uint8Array {
  return Uint8Array.from([...SIGNATURE, command, family, length >> 8, length & 255, ...body]);
}

function zeros(count: number): number[] {
  return new Array(count).fill(0);
}

/** Parses `preamble` followed by a request at every cut; what is decided must stay decided. */
function parse(preamble: Uint8Array): ProxyHeader {
  const bytes = Uint8Array.from([...preamble, ...REQUEST]);
  let last: ProxyHeader = { state: "incomplete" };
  for (let end = 0; end <= bytes.length; end++) {
    const header = parseProxyHeader(bytes, 0, end);
    if (last.state !== "incomplete") assert.deepEqual(header, last);
    if (header.state === "complete") assert.ok(end >= header.size);
    last = header;
  }
  const shifted = Uint8Array.from([1, 2, 3, ...bytes, 4, 5]);
  assert.deepEqual(parseProxyHeader(shifted, 3, 3 + bytes.length), last);
  return last;
}

function assertComplete(preamble: Uint8Array, source: { address: string; port: number } | undefined): void {
  assert.deepEqual(parse(preamble), { state: "complete", size: preamble.length, source });
  assert.equal(parseProxyHeader(preamble, 0, preamble.length - 1).state, "incomplete");
}

function assertInvalid(preamble: Uint8Array | string): void {
  const bytes = typeof preamble === "string" ? latin1(preamble) : preamble;
  assert.equal(parse(bytes).state, "invalid", JSON.stringify(preamble));
}

Deno.test("version 1 names the client", () => {
  assertComplete(latin1("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), SOURCE_V4);
  assertComplete(latin1("PROXY TCP6 2001:DB8::1 ::1 65535 0\r\n"), { address: "2001:db8::1", port: 65535 });
  assertComplete(latin1("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 1\r\n"), { address: "192.0.2.1", port: 1 });
});

Deno.test("version 1 may not know the client", () => {
  assertComplete(latin1("PROXY UNKNOWN\r\n"), undefined);
  assertComplete(latin1("PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n"), undefined);
});

Deno.test("version 1 may have 107 bytes and no more", () => {
  const head = "PROXY UNKNOWN ";
  assertComplete(latin1(head + "x".repeat(MAX_V1_SIZE - head.length - 2) + "\r\n"), undefined);
  assertInvalid(head + "x".repeat(MAX_V1_SIZE - head.length - 1) + "\r\n");
  assertInvalid(head + "x".repeat(500));
});

Deno.test("version 1 is read strictly", () => {
  const lines = [
    "TCP4 192.0.2.1 198.51.100.2 56324 443\n",
    "TCP4 192.0.2.1 198.51.100.2 56324 443\r\r\n",
    "TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
    "TCP4  192.0.2.1 198.51.100.2 56324 443\r\n",
    "TCP4 192.0.2.1 198.51.100.2 56324\r\n",
    "TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    "TCP4 192.0.2.1 198.51.100.2 443 65536\r\n",
    "TCP4 192.0.2.1 198.51.100.2 0443 443\r\n",
    "TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
    "TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
    "TCP4 192.0.2.01 198.51.100.2 1 443\r\n",
    "TCP4 ::1 ::1 1 1\r\n",
    "TCP4 192.0.2.1 ::1 1 1\r\n",
    "TCP4 ::1 192.0.2.1 1 1\r\n",
    "TCP6 192.0.2.1 198.51.100.2 1 1\r\n",
    "TCP6 fe80::1%eth0 ::1 1 1\r\n",
    "TCP6 [::1] ::1 1 1\r\n",
    "UDP4 192.0.2.1 198.51.100.2 1 1\r\n",
    "tcp4 192.0.2.1 198.51.100.2 1 1\r\n",
    "UNKNOWNX\r\n",
    "UNKNOWN \u0000\r\n",
    "UNKNOWN \u00e9\r\n",
    "\r\n",
  ];
  for (const line of lines) assertInvalid(`PROXY ${line}`);
  assertInvalid("proxy TCP4 192.0.2.1 198.51.100.2 1 1\r\n");
  // At once: nobody waits for the end of a line that can't be one.
  for (const start of ["PROXY TCP4 \u0000", "PROXY UNKNOWN \u007f", "PROXY T\n"]) {
    const bytes = latin1(start);
    assert.equal(parseProxyHeader(bytes, 0, bytes.length).state, "invalid", JSON.stringify(start));
  }
});

Deno.test("version 2 names the client", () => {
  assertComplete(v2(0x21, 0x11, V4_ADDRESSES), SOURCE_V4);
  const v6 = [0x20, 0x01, 0x0d, 0xb8, ...zeros(11), 1, ...zeros(16), 0xdc, 0x04, 0, 1];
  assertComplete(v2(0x21, 0x21, v6), { address: "2001:db8::1", port: 56324 });
  const mapped = [...zeros(10), 255, 255, 192, 0, 2, 1, ...zeros(16), 0xdc, 0x04, 0, 1];
  assertComplete(v2(0x21, 0x21, mapped), SOURCE_V4);
});

Deno.test("version 2 may be local or not know the client", () => {
  assertComplete(v2(0x20, 0x00, []), undefined);
  assertComplete(v2(0x20, 0x11, V4_ADDRESSES), undefined);
  assertComplete(v2(0x20, 0xff, [1, 2, 3]), undefined);
  assertComplete(v2(0x21, 0x00, []), undefined);
  assertComplete(v2(0x21, 0x00, [1, 2, 3]), undefined);
  assertComplete(v2(0x21, 0x12, V4_ADDRESSES), undefined);
  assertComplete(v2(0x21, 0x31, zeros(216)), undefined);
});

Deno.test("version 2 may have extensions, which are skipped, up to its largest size", () => {
  assertComplete(v2(0x21, 0x11, [...V4_ADDRESSES, 0x04, 0, 1, 0]), SOURCE_V4);
  const room = MAX_V2_SIZE - 16 - V4_ADDRESSES.length;
  assertComplete(v2(0x21, 0x11, [...V4_ADDRESSES, ...zeros(room)]), SOURCE_V4);
  assertInvalid(v2(0x21, 0x11, [...V4_ADDRESSES, ...zeros(room + 1)]));
  assertInvalid(v2(0x20, 0x00, [], 0xffff));
});

Deno.test("version 2 is read strictly", () => {
  assertInvalid(v2(0x11, 0x11, V4_ADDRESSES));
  assertInvalid(v2(0x31, 0x11, V4_ADDRESSES));
  assertInvalid(v2(0x22, 0x11, V4_ADDRESSES));
  assertInvalid(v2(0x21, 0x13, V4_ADDRESSES));
  assertInvalid(v2(0x21, 0x41, zeros(216)));
  assertInvalid(v2(0x21, 0x11, V4_ADDRESSES.slice(1)));
  assertInvalid(v2(0x21, 0x21, zeros(35)));
  assertInvalid(v2(0x21, 0x31, zeros(215)));
});

Deno.test("what is no preamble is refused at its first wrong byte", () => {
  const starts = [
    REQUEST,
    latin1("\x16\x03\x01"),
    latin1("PROXX"),
    Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0a, 0x01]),
  ];
  for (const bytes of starts) {
    const at = [1, 2, 3, 4, 5].find((end) => parseProxyHeader(bytes, 0, end).state === "invalid");
    assert.equal(at, bytes === starts[2] || bytes === starts[3] ? 5 : 1);
  }
});

Deno.test("random and broken bytes throw nothing, and what is decided stays decided at every cut", () => {
  const whole = [
    latin1("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
    latin1("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
    v2(0x21, 0x11, [...V4_ADDRESSES, 1, 0, 1, 0]),
    v2(0x21, 0x21, zeros(36)),
  ];
  const broken = fc.record({
    base: fc.constantFrom(...whole),
    at: fc.nat(60),
    byte: fc.nat(255),
    tail: fc.uint8Array({ maxLength: 20 }),
  }).map(({ base, at, byte, tail }) => {
    const bytes = Uint8Array.from([...base, ...tail]);
    if (at < bytes.length) bytes[at] = byte;
    return bytes;
  });
  const random = fc.uint8Array({ maxLength: 600 });
  const started = random.map((bytes) => Uint8Array.from([...SIGNATURE, 0x21, ...bytes]));
  const line = random.map((bytes) => Uint8Array.from([...latin1("PROXY "), ...bytes]));
  fc.assert(fc.property(fc.oneof(broken, random, started, line), (bytes) => void parse(bytes)), {
    numRuns: 500,
  });
});
