// UTF-8 in pieces and under a mask, compared with the platform's own decoder.
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { rotateMaskKey } from "../../src/protocol/frame.ts";
import { Utf8Validator } from "../../src/protocol/utf8.ts";

/** Feeds `bytes`, masked, in pieces that end at `cuts`. Returns the offset of a refused piece, or the verdict. */
function validate(bytes: Uint8Array, maskKey: number, cuts: readonly number[]): boolean {
  const masked = bytes.map((byte, i) => byte ^ ((maskKey >>> (24 - (i & 3) * 8)) & 255));
  const validator = new Utf8Validator();
  let start = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (!validator.accepts(masked, start, cut, rotateMaskKey(maskKey, start))) return false;
    start = cut;
  }
  return validator.isComplete;
}

/** Bytes that are text now and then, so that both verdicts come up. */
const someBytes = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => new TextEncoder().encode(text)),
  fc.uint8Array({ maxLength: 12 }),
  fc.tuple(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.uint8Array({ maxLength: 3 }),
    fc.string({ maxLength: 20 }),
  )
    .map(([a, b, c]) =>
      Uint8Array.from([...new TextEncoder().encode(a), ...b, ...new TextEncoder().encode(c)])
    ),
);

Deno.test("the verdict is the platform's, however the text is cut and masked", () => {
  fc.assert(
    fc.property(
      someBytes,
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.array(fc.nat()),
      (bytes, maskKey, cuts) => {
        const ordered = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        assert.equal(validate(bytes, maskKey, ordered), isUtf8(bytes));
      },
    ),
    { numRuns: 5000, seed: 1 },
  );
});

Deno.test("every sequence of two bytes, and of three and four at the edges, has the platform's verdict", () => {
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      assert.equal(validate(Uint8Array.of(first, second), 0, [1]), isUtf8(Uint8Array.of(first, second)));
      for (const rest of [[0x7f], [0x80], [0xbf], [0xc0], [0x80, 0x80], [0xbf, 0xbf]]) {
        const bytes = Uint8Array.of(first, second, ...rest);
        assert.equal(validate(bytes, 0x01020304, []), isUtf8(bytes));
      }
    }
  }
});

Deno.test("a byte that can't follow is refused when it comes, not at the end", () => {
  const validator = new Utf8Validator();
  assert.equal(validator.accepts(Uint8Array.of(0x61, 0xed), 0, 2, 0), true);
  assert.equal(validator.isComplete, false);
  assert.equal(validator.accepts(Uint8Array.of(0xa0), 0, 1, 0), false);
});

Deno.test("after a reset nothing of the text before is left", () => {
  const validator = new Utf8Validator();
  for (const first of [0xc3, 0xe0, 0xed, 0xf0, 0xf4]) {
    assert.equal(validator.accepts(Uint8Array.of(first), 0, 1, 0), true);
    validator.reset();
    assert.equal(validator.isComplete, true);
    const text = new TextEncoder().encode("a\u00c0\u00bf");
    assert.equal(validator.accepts(text, 0, text.length, 0), true);
    assert.equal(validator.isComplete, true);
  }
});

Deno.test("long ASCII with one bad byte anywhere is refused", () => {
  for (let at = 0; at < 70; at++) {
    const bytes = new Uint8Array(70).fill(0x61);
    assert.equal(validate(bytes, 0xdeadbeef, []), true);
    bytes[at] = 0xff;
    assert.equal(validate(bytes, 0xdeadbeef, []), false);
  }
});

// A word that is compared with the mask of another byte looks like ASCII exactly where this pattern is not.
Deno.test("bad bytes in a pattern that a mask could hide are refused, wherever the text and the pattern begin", () => {
  const size = 70;
  const block = 32;
  const validator = new Utf8Validator();
  for (let start = 0; start < 4; start++) {
    const buffer = new Uint8Array(start + size);
    for (let bits = 0; bits < 16; bits++) {
      const key = Array.from({ length: 4 }, (_, i) => (bits >> i & 1) * 0x80 | i + 1);
      const maskKey = new DataView(Uint8Array.from(key).buffer).getUint32(0);
      for (let pattern = 0; pattern < 16; pattern++) {
        for (let at = 1; at <= 8; at++) {
          for (let i = 0; i < size; i++) {
            const isBad = i >= at && i < at + block && (pattern >> (i & 3) & 1) === 1;
            buffer[start + i] = (isBad ? 0xff : 0x61) ^ key[i & 3]!;
          }
          validator.reset();
          assert.equal(validator.accepts(buffer, start, start + size, maskKey), pattern === 0);
        }
      }
    }
  }
});
