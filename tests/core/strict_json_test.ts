// JSON that two readers could understand differently is refused.

import assert from "node:assert/strict";
import { MAX_JSON_DEPTH, parseStrictJson, STRICT_JSON_LIMITS } from "../../src/core/strict_json.ts";

function parse(text: string): unknown {
  const json = parseStrictJson(new TextEncoder().encode(text));
  return json.ok ? json.value : json.fault;
}

Deno.test("reads what is unambiguous", () => {
  const texts = [
    "{}",
    ' { "a" : [ ] , "b" : { "a" : 1 } } ',
    '{"a":[{"x":1},{"x":2}],"x":"x"}',
    '{"a":"\\"a\\":1,\\"a\\":2","b":"{}[]{{[["}',
    '{"a\\\\":1,"a":"\\\\","b":-1.5e-7}',
    '{"":1,"__proto__":{"a":1},"constructor":2}',
    '{"n":1.7976931348623157e308,"m":5e-324,"one":1.0,"two":20e-1}',
  ];
  for (const text of texts) assert.deepEqual(parse(text), JSON.parse(text), text);
});

Deno.test("refuses a name that occurs twice, however it is written and wherever it is", () => {
  const texts = [
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"\\u00e4":1,"ä":2}',
    '{"x":[[{"a":{},"b":0,"a" : []}]]}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a":{"b":1},"c":[{"b":1}],"a\\u0000":0,"a":"a"}',
  ];
  for (const text of texts) assert.equal(parse(text), "a name occurs twice", text);
});

Deno.test("refuses numbers that become infinite", () => {
  for (const number of ["1e309", "-1e309", "1E+400", "9".repeat(400)]) {
    assert.equal(parse(`{"a":[0,${number}]}`), "a number is out of range");
  }
  assert.deepEqual(parse('{"a":"1e400"}'), { a: "1e400" });
});

Deno.test("refuses nesting beyond the limit", () => {
  const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  assert.equal(typeof parse(nested(MAX_JSON_DEPTH)), "object");
  assert.equal(parse(nested(MAX_JSON_DEPTH + 1)), "nested too deeply");
});

Deno.test("refuses what is no object in UTF-8", () => {
  for (const text of ["", "{", "{'a':1}", '{"a":1,}', "{} {}", "\ufeff{}", '{"a":01}', '{"a":NaN}']) {
    assert.equal(parse(text), "not JSON", text);
  }
  for (const text of ["[]", "null", "1", '"a"', "true"]) assert.equal(parse(text), "not a JSON object");
  for (const bytes of [[0xff], [0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d], [0xed, 0xa0, 0x80]]) {
    assert.deepEqual(parseStrictJson(Uint8Array.from(bytes)), { ok: false, fault: "not UTF-8" });
  }
});

Deno.test("keeps the text of a number that a double can't hold", () => {
  for (
    const text of [
      "9007199254740993",
      "1.00000000000000000001",
      "1e-999",
      "-9007199254740990.6",
      "0.10000000000000000001",
    ]
  ) {
    assert.equal(JSON.stringify(parse(`{"n":[${text}]}`)), `{"n":[${text}]}`);
  }
  for (const text of ["0.1", "1e21", "1E+2", "-0.0", "123456789012345680000", "9007199254740992.0"]) {
    assert.deepEqual(parse(`{"n":${text}}`), JSON.parse(`{"n":${text}}`));
  }
});

Deno.test("refuses more values and names than the limits", () => {
  const { maxValues, maxNames } = STRICT_JSON_LIMITS;
  // The object and the list are values too.
  const values = (count: number) => `{"a":[${Array(count - 2).fill("0").join()}]}`;
  assert.equal(typeof parse(values(maxValues)), "object");
  assert.equal(parse(values(maxValues + 1)), "too many values");
  const names = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":{"0":0}`).join()}}`;
  assert.equal(typeof parse(names(maxNames)), "object");
  assert.equal(parse(names(maxNames + 1)), "too many names");
});
