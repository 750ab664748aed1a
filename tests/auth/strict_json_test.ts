// JSON that two readers could understand differently is refused.

import assert from "node:assert/strict";
import { MAX_JSON_DEPTH, parseStrictJson } from "../../src/auth/strict_json.ts";

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
    '{"n":1.7976931348623157e308,"m":5e-324,"tiny":1e-999}',
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
