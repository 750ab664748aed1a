// The frame writer of the tools: what a browser would send, byte for byte, and illegal frames on request.

import assert from "node:assert/strict";
import { close, frame, text } from "../../src/tools/raw_frame.ts";

const unmasked = { opcode: 1, masked: false } as const;

Deno.test("writes the shortest length that holds the payload, or what is claimed", () => {
  for (const [size, header] of [[0, 2], [125, 2], [126, 4], [65535, 4], [65536, 10]] as const) {
    assert.equal(frame({ ...unmasked, payload: new Uint8Array(size) }).length, header + size);
    assert.equal(frame({ ...unmasked, claimedLength: BigInt(size) }).length, header);
    assert.deepEqual(
      frame({ ...unmasked, claimedLength: BigInt(size) }),
      frame({ ...unmasked, payload: new Uint8Array(size) }).slice(0, header),
    );
  }
});

Deno.test("writes any length in any form, and any reserved bits", () => {
  assert.deepEqual([...frame({ ...unmasked, payload: "x", lengthForm: 16 })], [0x81, 126, 0, 1, 0x78]);
  assert.deepEqual([...frame({ ...unmasked, payload: "x", lengthForm: 64 })], [
    0x81,
    127,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    0x78,
  ]);
  assert.deepEqual([...frame({ ...unmasked, claimedLength: 2n ** 63n })].slice(0, 4), [0x81, 127, 0x80, 0]);
  assert.deepEqual([...frame({ opcode: 15, fin: false, rsv: 7, masked: false })], [0x7f, 0]);
});

Deno.test("masks the payload with the key that is in the header (RFC 6455 §5.7)", () => {
  const hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
  assert.deepEqual([...text("Hello")], hello);
  assert.deepEqual([...text("Hello", { maskKey: 0 })], [
    0x81,
    0x85,
    0,
    0,
    0,
    0,
    ...new TextEncoder().encode("Hello"),
  ]);
});

Deno.test("writes a Close with any code", () => {
  assert.deepEqual([...close(undefined, "", false)], [0x88, 0]);
  assert.deepEqual([...close(1005, "a", false)], [0x88, 3, 0x03, 0xed, 0x61]);
});
