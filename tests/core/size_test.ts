// Sizes: what is read, what is refused, and that writing loses nothing.

import assert from "node:assert/strict";
import { parseSize } from "../../src/core/size.ts";

Deno.test("reads binary and decimal units", () => {
  const expected = { "0B": 0, "1B": 1, "64KiB": 65_536, "1MiB": 2 ** 20, "2GiB": 2 ** 31 };
  for (const [text, bytes] of Object.entries(expected)) assert.equal(parseSize(text), bytes);
  const decimal = { "1kB": 1000, "3MB": 3_000_000, "1GB": 1_000_000_000 };
  for (const [text, bytes] of Object.entries(decimal)) assert.equal(parseSize(text), bytes);
});

for (
  const text of [
    "",
    "B",
    "64",
    "64KBgarbage",
    "64KB",
    "64kib",
    "64K",
    "-1B",
    "1.5MiB",
    "1 MiB",
    "1MiB\n",
    "1e3B",
    "0x1B",
  ]
) {
  Deno.test(`refuses ${JSON.stringify(text)} as a size`, () => {
    assert.equal(parseSize(text), undefined);
  });
}

Deno.test("refuses a size that a number cannot hold exactly", () => {
  assert.equal(parseSize(`${Number.MAX_SAFE_INTEGER}B`), Number.MAX_SAFE_INTEGER);
  assert.equal(parseSize(`${Number.MAX_SAFE_INTEGER + 1}B`), undefined);
  assert.equal(parseSize(`${2 ** 23}GiB`), undefined);
});
