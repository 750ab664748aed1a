// When a ClientHello is complete, and the answer to bytes that can't become one.

import assert from "node:assert/strict";
import { type ByteSocket } from "../../src/firewall/byte_socket.ts";
import {
  ALERTS,
  encodeAlert,
  HelloScanner,
  MAX_HELLO_SIZE,
  readAlert,
  readHello,
} from "../../src/firewall/tls/tls_hello.ts";
import { bytesOf, clientHello } from "../support/tls_harness.ts";

/** What is said after each byte. */
function scanAll(bytes: Uint8Array): unknown[] {
  const scanner = new HelloScanner();
  return Array.from(bytes, (_, at) => scanner.scan(bytes, at + 1));
}

/** Brings `bytes` in pieces of `pieceSize`, then the end. */
function socketOf(bytes: Uint8Array, pieceSize: number): Pick<ByteSocket, "read"> {
  let at = 0;
  return {
    read(into) {
      if (at === bytes.length) return Promise.resolve(null);
      const piece = bytes.subarray(at, at + Math.min(pieceSize, into.length));
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length);
    },
  };
}

for (const fragmentSize of [1, 2, 3, 4, 5, 40, 16_384]) {
  Deno.test(`a hello in records of ${fragmentSize} bytes is whole at its last byte`, () => {
    const states = scanAll(clientHello(0x0303, { fragmentSize }));
    assert.equal(states.pop(), "whole");
    assert.deepEqual([...new Set(states)], ["incomplete"]);
  });
}

Deno.test("a hello with something after it is whole", () => {
  const hello = clientHello(0x0303);
  const bytes = Uint8Array.of(...hello, 22, 3, 3);
  assert.equal(new HelloScanner().scan(bytes, bytes.length), "whole");
});

Deno.test("what can't become a hello is refused at the first byte that shows it", () => {
  const cases: [string, number[], unknown][] = [
    ["a record of no version", [22, 2, 0, 0, 1], 70],
    ["a record that is empty", [22, 3, 1, 0, 0], 10],
    ["a record that is too long", [22, 3, 1, 0x40, 1], 22],
    ["a record of the largest size", [22, 3, 1, 0x40, 0], "incomplete"],
    ["another message", [22, 3, 1, 0, 9, 2], 10],
    ["a second record of another type", [22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1], 10],
    ["a hello that is too long", [22, 3, 1, 0, 4, 1, 0, 0x40, 1], 50],
    ["a hello of 16 MiB", [22, 3, 1, 0, 4, 1, 255, 255, 255], 50],
    ["an alert", [21, 3], 10],
    ["data", [23, 3], 10],
    ["SSL 2", [0x80], "not_tls"],
    ["a zero", [0], "not_tls"],
    ["another byte in front", [20, 9], "not_tls"],
    ["a request", [...bytesOf("GET ")], "http"],
    ["a longer request", [...bytesOf("OPTIONS ")], "http"],
    ["a word that is no method", [...bytesOf("ABCDEFGH")], "not_tls"],
    ["half a method", [...bytesOf("GET")], "incomplete"],
    ["a greeting", [...bytesOf("SSH-")], "not_tls"],
  ];
  for (const [what, bytes, expected] of cases) {
    const states = scanAll(Uint8Array.from(bytes));
    assert.equal(states.pop(), expected, what);
    assert.ok(states.every((state) => state === "incomplete"), what);
  }
});

Deno.test("a hello may be as long as the limit and no longer, however it is cut", async () => {
  const usual = clientHello(0x0303);
  const longest = clientHello(0x0303, { padding: MAX_HELLO_SIZE - usual.length - 4 });
  assert.equal(longest.length, MAX_HELLO_SIZE);
  const tooLong = clientHello(0x0303, { padding: MAX_HELLO_SIZE - usual.length - 3 });
  for (const pieceSize of [1, 1000, 20_000]) {
    assert.deepEqual(await readHello(socketOf(usual, pieceSize)), usual);
    assert.deepEqual(await readHello(socketOf(longest, pieceSize)), longest);
    assert.equal(await readHello(socketOf(tooLong, pieceSize)), 50);
    assert.equal(await readHello(socketOf(longest.subarray(0, -1), pieceSize)), undefined);
  }
  // With headers of 5 bytes in front of each byte, a short one is too long as well.
  assert.equal(
    await readHello(socketOf(clientHello(0x0303, { padding: 4000, fragmentSize: 1 }), 20_000)),
    50,
  );
});

Deno.test("an alert is known by its last bytes, and only if it is fatal, in the clear and has a name", () => {
  for (const alert of Object.keys(ALERTS).map(Number) as (keyof typeof ALERTS)[]) {
    assert.equal(readAlert(Uint8Array.of(22, 3, 3, 0, 1, 9, ...encodeAlert(alert))), alert);
  }
  for (const bytes of [[], [21, 3, 3, 0, 2, 1, 70], [21, 3, 3, 0, 2, 2, 200], [23, 3, 3, 0, 2, 2, 70]]) {
    assert.equal(readAlert(Uint8Array.from(bytes)), undefined);
  }
});
