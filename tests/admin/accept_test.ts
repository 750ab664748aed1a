// The quality that an Accept header gives to a media type (RFC 9110 §12.5.1).

import assert from "node:assert/strict";
import { welcomeOf } from "../../src/admin/accept.ts";

for (
  const [accept, quality, isNamed] of [
    [undefined, 1, false],
    ["", 1, false],
    ["text/html", 0, false],
    ["*/*", 1, false],
    ["text/*;q=0.3", 0.3, false],
    ["text/plain", 1, true],
    ["TEXT/Plain; Q=0.5", 0.5, true],
    ["text/html, , text/plain ;q=0.25", 0.25, true],
    ["text/plain;q=0, */*", 0, true],
    ["*/*, text/plain;q=0", 0, true],
    ["*/*;q=0.1, text/*;q=0.2", 0.2, false],
    ["text/plain;version=0.0.4;q=0.5, text/plain;q=0.1", 0.5, true],
    ["text/plain;q=0.1, text/plain;version=0.0.4;q=0.5", 0.5, true],
    ['text/plain;version="0.0.4"', 1, true],
    ["text/plain;version=9", 0, false],
    ["text/plain;version=0.0.4;escaping=underscores;q=0.7", 0.7, true],
    ["text/plain;q=2", 1, true],
    ["text/plainer", 0, false],
    ["xtext/plain", 0, false],
  ] as const
) {
  Deno.test(`${JSON.stringify(accept)} makes text/plain welcome with ${quality}`, () => {
    assert.deepEqual(welcomeOf(accept, "text/plain", "0.0.4"), { quality, isNamed });
  });
}
