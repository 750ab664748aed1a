// What is shown of a token that nobody has verified.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { inspectToken } from "../../src/auth/inspection.ts";

function token(header: string, claims: string, signature = "AAAA"): string {
  return `${Buffer.from(header).toString("base64url")}.${
    Buffer.from(claims).toString("base64url")
  }.${signature}`;
}

Deno.test("lays out header and claims, and finds the dates", () => {
  const inspection = inspectToken(
    token('{"alg":"HS256"}', '{"exp":10.5,"iat":1,"nbf":"x","a":[],"b":[1,{}]}'),
  );
  assert.deepEqual(inspection, {
    header: '{\n  "alg": "HS256"\n}',
    claims: '{\n  "exp": 10.5,\n  "iat": 1,\n  "nbf": "x",\n  "a": [],\n  "b": [\n    1,\n    {}\n  ]\n}',
    dates: [{ claim: "iat", timeMs: 1000 }, { claim: "exp", timeMs: 10_500 }],
    faults: [],
  });
});

Deno.test("shows names that occur twice and long numbers as they are written", () => {
  const inspection = inspectToken(token("{}", '{"id":12345678901234567890,"id":1e400,"x":"a,b:{c}\\""}'));
  assert.equal(
    inspection?.claims,
    '{\n  "id": 12345678901234567890,\n  "id": 1e400,\n  "x": "a,b:{c}\\""\n}',
  );
  assert.deepEqual(inspection?.faults, ["claims: a name occurs twice"]);
});

Deno.test("escapes what could paint a terminal, so that it still is JSON", () => {
  const hidden = "\x7f\x9b31m\u202e\u200b\u2028\u{e0041}" + String.fromCharCode(0xd800);
  const inspection = inspectToken(token('{"alg":"\\u001b[31m"}', JSON.stringify({ hidden })));
  assert.doesNotMatch(inspection!.claims! + inspection!.header, /[^\P{C}\n]|[\u2028]/u);
  assert.deepEqual(JSON.parse(inspection!.claims!), { hidden });
});

Deno.test("reads broken tokens as far as possible, and says what is broken", () => {
  const faults = (text: string) => inspectToken(text)?.faults;
  assert.deepEqual(faults(token("{}", "{}", "")), ["it has no signature"]);
  assert.deepEqual(faults(token("{}", "nonsense")), ["claims: not JSON"]);
  assert.deepEqual(faults(token("{}", "[1]")), ["claims: not a JSON object"]);
  assert.deepEqual(faults(token("{}", "{}", "AB")), ["it is not canonical base64url"]);
  assert.deepEqual(faults("e30"), ["it has 1 parts and not 3", "claims: not JSON"]);
  assert.deepEqual(faults("e30.e30"), ["it has 2 parts and not 3"]);
  assert.ok(faults("e30.AA.AA.AA.AA")?.includes("it is encrypted (RFC 7516)"));
  assert.equal(inspectToken(token("{}", "nonsense"))?.claims, undefined);
  assert.deepEqual(inspectToken(token("{}", '{"exp":1e300,"iat":null}'))?.dates, []);
});

Deno.test("does not call anything else a JWT", () => {
  for (const text of ["", "hello", "a.b.c", "...", token("[]", "{}"), token("1", "{}"), token("", "{}")]) {
    assert.equal(inspectToken(text), undefined, text);
  }
});

Deno.test("survives claims that are nested thousands of levels deep", () => {
  const deep = `{"a":${"[".repeat(3000)}${"]".repeat(3000)}}`;
  const inspection = inspectToken(token("{}", deep));
  assert.deepEqual(inspection?.faults, ["claims: nested too deeply"]);
  assert.ok(inspection!.claims!.length < 1_000_000);
});
