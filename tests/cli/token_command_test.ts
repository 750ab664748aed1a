// The claims of `token create`: which are JSON, which are text and which are refused.

import assert from "node:assert/strict";
import { UsageError } from "../../src/core/errors.ts";
import { parseClaims } from "../../src/cli/token_command.ts";

Deno.test("a claim that is JSON other than text is read as JSON", () => {
  const given = ["admin=true", "n=5", "f=-1.5", "gone=null", "list=[1,2]", 'map={"a":{"b":1}}'];
  assert.deepEqual(parseClaims(given), {
    admin: true,
    n: 5,
    f: -1.5,
    gone: null,
    list: [1, 2],
    map: { a: { b: 1 } },
  });
});

Deno.test("any other claim is text as typed", () => {
  assert.deepEqual(
    parseClaims(["role=editor", 'quoted="x"', "empty=", "sum=1=1", "broken={", "lines=a\nb"]),
    {
      role: "editor",
      quoted: '"x"',
      empty: "",
      sum: "1=1",
      broken: "{",
      lines: "a\nb",
    },
  );
});

Deno.test("a claim may be called like a property of every object", () => {
  const claims = parseClaims(["__proto__=1", "constructor=x"]);
  assert.deepEqual(Object.entries(claims), [["__proto__", 1], ["constructor", "x"]]);
});

Deno.test("a number is refused as soon as it would be rounded", () => {
  assert.deepEqual(parseClaims(["id=9007199254740991"]), { id: Number.MAX_SAFE_INTEGER });
  assert.throws(() => parseClaims(["id=9007199254740993"]), UsageError);
  assert.throws(() => parseClaims(["id=1e400"]), UsageError);
});

for (const name of ["exp", "iat", "jti", "nbf", "sub", "user_id"]) {
  Deno.test(`refuses the claim ${name}, which the server writes itself`, () => {
    assert.throws(() => parseClaims([`${name}=1`]), UsageError);
  });
}

for (const given of [["admin"], ["=x"], [""], ["a=1", "a=2"]]) {
  Deno.test(`refuses the claims ${JSON.stringify(given)}`, () => {
    assert.throws(() => parseClaims(given), UsageError);
  });
}
