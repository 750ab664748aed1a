// One record becomes one line, whatever a peer put into it.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatJsonLine,
  formatLine,
  formatValue,
  inColour,
  MAX_VALUE_LENGTH,
} from "../../src/telemetry/line.ts";

const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXdpdGgtZGFzaGVz_-";

Deno.test("writes time, level, event, text and pairs in this order", () => {
  const fields = { connection: 7, peer: "127.0.0.1:80", clean: true, user: undefined, reason: "going away" };
  const line = formatLine({ time: "T", level: "error", event: "a.b", text: "Some text", fields });
  assert.equal(line, `T ERROR a.b Some text connection=7 peer=127.0.0.1:80 clean=true reason="going away"`);
});

Deno.test("leaves a text out that only repeats its event", () => {
  const shown = (event: string, text: string) =>
    formatLine({ time: "T", level: "info", event, text, fields: {} });
  assert.equal(shown("connection.opened", "Connection opened"), "T INFO connection.opened");
  assert.equal(shown("upstream.lost", "An upstream was lost"), "T INFO upstream.lost");
  assert.equal(shown("handler.error", "A handler failed"), "T INFO handler.error A handler failed");
  const record = {
    time: "T",
    level: "info",
    event: "connection.opened",
    text: "Connection opened",
    fields: {},
  } as const;
  assert.match(formatJsonLine(record), /"message":"Connection opened"/);
});

Deno.test("paints what is ours and codes, and nothing that a peer chose", () => {
  const line = formatLine({
    time: "T",
    level: "warning",
    event: "e.f",
    text: "Text",
    fields: { code: 1009, peer: "\x1b[31mred", status: 403 },
  }, inColour);
  assert.equal(
    line,
    "\x1b[2mT\x1b[0m \x1b[33mWARNING\x1b[0m \x1b[1me.f\x1b[0m Text code=\x1b[36m1009\x1b[0m " +
      'peer="\\u001b[31mred" status=\x1b[36m403\x1b[0m',
  );
});

Deno.test("escapes keys like values", () => {
  const line = formatLine({ time: "T", level: "info", event: "e", text: "x", fields: { "a\nb c": 1 } });
  assert.equal(line, `T INFO e x "a\\nb c"=1`);
});

Deno.test("leaves plain values bare and quotes the rest", () => {
  const cases: [string | number | boolean, string][] = [
    ["azAZ09._:/@-", "azAZ09._:/@-"],
    ["[::1]:80", `"[::1]:80"`],
    ["", `""`],
    [" ", `" "`],
    ["a=b", `"a=b"`],
    [`"`, String.raw`"\""`],
    ["\\", String.raw`"\\"`],
    ["\r\n\t", String.raw`"\r\n\t"`],
    ["\0\x07\x1b\x7f", String.raw`"\u0000\u0007\u001b\u007f"`],
    ["\x80\x9b\x9f", String.raw`"\u0080\u009b\u009f"`],
    ["\u2028\u2029", String.raw`"\u2028\u2029"`],
    ["\u061c\u200e\u200f\u202a\u202e\u2066\u2069", String.raw`"\u061c\u200e\u200f\u202a\u202e\u2066\u2069"`],
    ["\u200b\ufeff", String.raw`"\u200b\ufeff"`],
    ["\ud800", String.raw`"\ud800"`],
    ["\u{e0001}", String.raw`"\udb40\udc01"`],
    ["grün 日本 😀", `"grün 日本 😀"`],
    [-1.5, "-1.5"],
    [NaN, "NaN"],
    [1e300, `"1e+300"`],
    [false, "false"],
  ];
  for (const [value, expected] of cases) assert.equal(formatValue(value), expected);
});

Deno.test("cuts a value after 256 characters and says so", () => {
  assert.equal(MAX_VALUE_LENGTH, 256);
  assert.equal(formatValue("a".repeat(255)), "a".repeat(255));
  assert.equal(formatValue("a".repeat(256)), "a".repeat(256));
  assert.equal(formatValue("a".repeat(257)), `"${"a".repeat(256)}"...`);
  assert.equal(formatValue("\n".repeat(300)), `"${"\\n".repeat(256)}"...`);
});

Deno.test("puts [token] in the place of what looks like a JWT", () => {
  assert.equal(formatValue(TOKEN), `"[token]"`);
  assert.equal(formatValue(`Bearer ${TOKEN}, ${TOKEN}`), `"Bearer [token], [token]"`);
  assert.equal(formatValue(`/path?token=${TOKEN}&x=1`), `"/path?token=[token]&x=1"`);
  assert.equal(formatValue(`x${TOKEN}`), `"x[token]"`);
  assert.equal(formatValue("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."), `"[token]"`);
  assert.equal(formatValue("eyJ is no token"), `"eyJ is no token"`);
});

Deno.test("puts [token] in the place of a JWT that the cut goes through", () => {
  const header = "eyJhbGciOiJIUzI1NiJ9";
  for (const part of [`${header}.${"A".repeat(300)}.x`, `${header}${"A".repeat(300)}.x.x`]) {
    assert.equal(formatValue(part), `"[token]"...`);
    assert.equal(formatValue(`token ${part}`), `"token [token]"...`);
  }
  assert.equal(formatValue(`${header}.x.${"A".repeat(300)}`), `"[token]"...`);
});

Deno.test("writes any string so that it stays in its quotes and reads back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (value) => {
      fc.pre(!value.includes("eyJ"));
      const shown = formatValue(value);
      assert.doesNotMatch(shown, /[\p{C}\p{Zl}\p{Zp}]/u);
      const text = shown.startsWith(`"`) ? JSON.parse(shown.replace(/\.\.\.$/, "")) : shown;
      assert.equal(text, value.slice(0, MAX_VALUE_LENGTH));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a line of JSON holds time, level, event, message and the fields with their types, in this order", () => {
  const fields = { connection: "a-1", code: 1009, clean: false, user: undefined, duration: 0.25 };
  const line = formatJsonLine({ time: "T", level: "error", event: "a.b", text: "Some text", fields });
  assert.equal(
    line,
    '{"time":"T","level":"error","event":"a.b","message":"Some text","connection":"a-1","code":1009,' +
      '"clean":false,"duration":0.25}',
  );
});

Deno.test("a line of JSON is cut, cleaned of tokens and escaped like any other", () => {
  for (const length of [MAX_VALUE_LENGTH - 1, MAX_VALUE_LENGTH, MAX_VALUE_LENGTH + 1]) {
    const reason = "x".repeat(length);
    const kept = length > MAX_VALUE_LENGTH ? `${"x".repeat(MAX_VALUE_LENGTH)}...` : reason;
    assert.equal(JSON.parse(formatJson({ reason })).reason, kept);
  }
  assert.equal(JSON.parse(formatJson({ reason: `a ${TOKEN} b` })).reason, "a [token] b");
  assert.doesNotMatch(formatJson({ reason: "\u2028\u202e\x9b\ud800" }), /[\p{C}\p{Zl}\p{Zp}]/u);
});

Deno.test("a line of JSON is valid and gives back what was put in, whatever that was", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
    fc.constantFrom(
      "\ud83d",
      "\u2028",
      '"}',
      "\\",
      "__proto__",
      "x".repeat(100_000),
      "\ud83d\ude00".repeat(200),
    ),
  );
  const value = fc.oneof(text, fc.boolean(), fc.double());
  const key = fc.constantFrom("peer", "user", "reason", "detail");
  fc.assert(fc.property(fc.dictionary(key, value), (fields) => {
    const line = formatJson(fields);
    assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u);
    const parsed: Record<string, unknown> = JSON.parse(line);
    for (const [key, given] of Object.entries(fields)) {
      if (typeof given === "string" && (given.length > MAX_VALUE_LENGTH || given.includes("eyJ"))) continue;
      const expected = typeof given === "number" && !Number.isFinite(given) ? null : given;
      assert.deepEqual(parsed[key], Object.is(expected, -0) ? 0 : expected);
    }
  }));
});

function formatJson(fields: Record<string, string | number | boolean>): string {
  return formatJsonLine({ time: "T", level: "info", event: "e", text: "x", fields });
}
