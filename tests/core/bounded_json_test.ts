// The reader of strangers' JSON: takes what JSON.parse takes, within limits, rounds nothing, and can't be slowed down.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  exactNumber,
  isJsonObject,
  isRawNumber,
  type JsonLimits,
  type JsonValue,
  parseBoundedJson,
} from "../../src/core/bounded_json.ts";
import { measureGrowth } from "../support/growth.ts";

const WIDE: JsonLimits = { maxDepth: 1000, maxValues: 1e6, maxNames: 1e6 };

function read(text: string, limits: Partial<JsonLimits> = {}): unknown {
  const json = parseBoundedJson(text, { ...WIDE, ...limits });
  return json.ok ? plain(json.value) : json.fault;
}

/** What JSON.parse would have made of it. */
function plain(value: JsonValue): unknown {
  if (isJsonObject(value)) {
    return JSON.parse(`{${[...value].map(([n, v]) => `${JSON.stringify(n)}:${write(v)}`)}}`);
  }
  if (Array.isArray(value)) return value.map(plain);
  return isRawNumber(value) ? Number(value.rawJSON) : value;
}

function write(value: JsonValue): string {
  if (isJsonObject(value)) return `{${[...value].map(([n, v]) => `${JSON.stringify(n)}:${write(v)}`)}}`;
  return Array.isArray(value) ? `[${value.map(write)}]` : JSON.stringify(value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return "not JSON";
  }
}

Deno.test("reads what JSON.parse reads, and nothing else", () => {
  const spaced = fc.tuple(fc.jsonValue(), fc.integer({ min: 0, max: 4 })).map(([value, space]) =>
    JSON.stringify(value, null, space)
  );
  const pieces = fc.array(
    fc.constantFrom(
      ...'{}[]:,"\\-+.eE0123456789 \n\t\r\b\u00a0\ufeffutrnfb/',
      "true",
      "false",
      "null",
      "\\u00e4",
      "\\ud83d",
      '"a"',
      "1e5",
    ),
    { maxLength: 14 },
  ).map((parts) => parts.join(""));
  const cut = fc.tuple(spaced, fc.nat(), fc.nat()).map(([text, at, count]) => {
    const from = at % (text.length + 1);
    return text.slice(0, from) + text.slice(from + count % 3);
  });
  fc.assert(
    fc.property(
      fc.oneof(spaced, pieces, cut, fc.string({ unit: "binary" }).map((text) => JSON.stringify(text))),
      (text) => {
        const ours = read(text);
        if (ours !== "a name occurs twice") assert.deepEqual(ours, parsed(text));
      },
    ),
    { numRuns: 20_000 },
  );
});

const RIGHT = [
  '""',
  '"\\u0041\\n\\/\\"\\\\"',
  '"\\ud800"',
  "-0",
  "0.5E-7",
  " [ ] ",
  "{ }",
  '{"":{"a":[]}}',
  '"\u2028\u007f"',
  "1e400",
];
for (const text of RIGHT) {
  Deno.test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(read(text), parsed(text)));
}

const WRONG = [
  "",
  "01",
  "1.",
  ".5",
  "+1",
  "-",
  "1e",
  "0x1",
  "[1,]",
  "[,]",
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  "{a:1}",
  "'a'",
  '"\n"',
  '"\\x"',
  '"\\u12"',
  '"\\u+123"',
  '"a',
  '"\\',
  "tru",
  "nullx",
  "[1 2]",
  "[]]",
  "\ufeff1",
  "\u00a01",
  "NaN",
  "Infinity",
  "[1",
  '{"a":1',
];
for (const text of WRONG) {
  Deno.test(`refuses ${JSON.stringify(text)}`, () => {
    assert.equal(parsed(text), "not JSON");
    assert.equal(read(text), "not JSON");
  });
}

Deno.test("a name may not occur twice in one object, however it is written", () => {
  assert.equal(read('{"a":1,"\\u0061":2}'), "a name occurs twice");
  assert.equal(read('[{"a":1},{"a":2}]') instanceof Array, true);
});

Deno.test("the depth, the values and the names have limits", () => {
  const deep = (depth: number) => "[".repeat(depth - 1) + "{}" + "]".repeat(depth - 1);
  for (const depth of [4, 5]) assert.equal(typeof read(deep(depth), { maxDepth: 5 }), "object");
  assert.equal(read(deep(6), { maxDepth: 5 }), "nested too deeply");
  assert.equal(read("[".repeat(1e6), { maxDepth: 5 }), "nested too deeply");
  for (const count of [4, 5]) {
    assert.equal(typeof read(`[${Array(count - 1).fill(0)}]`, { maxValues: 5 }), "object");
  }
  assert.equal(read("[0,0,0,0,0]", { maxValues: 5 }), "too many values");
  for (const text of ['{"a":0}', '[{"a":0,"b":0},{"b":0,"a":{"a":0}}]']) {
    assert.equal(typeof read(text, { maxNames: 2 }), "object");
  }
  assert.equal(read('[{"a":0,"b":0},{"c":0}]', { maxNames: 2 }), "too many names");
});

Deno.test("a number keeps its text, unless it is the one that JavaScript would write", () => {
  for (
    const text of ["9007199254740993", "1.0", "-0", "1e2", "0.10", "1E400", "123456789012345678901234567890"]
  ) {
    const json = parseBoundedJson(text, WIDE);
    assert.ok(json.ok && isRawNumber(json.value), text);
    assert.equal(JSON.stringify({ id: json.value }), `{"id":${text}}`);
  }
  for (const text of ["0", "-1", "999999999999999", "9007199254740991", "1.5", "1e+21", "5e-324"]) {
    const json = parseBoundedJson(text, WIDE);
    assert.deepEqual(json, { ok: true, value: Number(text) });
  }
});

Deno.test("a number is exact if a double holds it", () => {
  const exact: readonly [string, number][] = [
    ["1.0", 1],
    ["15e-1", 1.5],
    ["1E+2", 100],
    ["0.10", 0.1],
    ["-0.0", -0],
    ["0e999", 0],
    ["123456789012345680000", 123456789012345680000],
    ["17000000000e-1", 1.7e9],
  ];
  for (const [rawJSON, value] of exact) assert.ok(Object.is(exactNumber({ rawJSON }), value), rawJSON);
  for (
    const rawJSON of [
      "9007199254740993",
      "9007199254740990.6",
      "1.00000000000000000001",
      "1e-999",
      "1e400",
      "0.30000000000000000001",
    ]
  ) {
    assert.equal(exactNumber({ rawJSON }), undefined, rawJSON);
  }
});

/** Texts of about `size` characters that cost the most for their size. */
const WORST: Readonly<Record<string, (size: number) => string>> = {
  "strings that collide": (size) => JSON.stringify(colliding(size / 13)),
  "names that collide": (size) =>
    `[${Array(Math.floor(size / 4000)).fill(`{${colliding(250).map((name) => `"${name}":0`)}}`)}]`,
  "numbers that are kept": (size) => `[${Array(Math.floor(size / 4)).fill("1.0")}]`,
  "empty objects": (size) => `[${Array(Math.floor(size / 3)).fill("{}")}]`,
  "escapes": (size) => `"${"\\u0041a".repeat(size / 7)}"`,
  "one long number": (size) => `[${"9".repeat(size)}.0]`,
  "white space": (size) => `[${" ".repeat(size)}]`,
  "depth": (size) => "[".repeat(size / 2) + "]".repeat(size / 2),
  "a string without end": (size) => `"${"a".repeat(size)}`,
};

// 32768 apart, all of these have one place in the runtime's table of strings.
function colliding(count: number): string[] {
  return Array.from({ length: Math.floor(count) }, (_, i) => String(7000 + i * 32_768));
}

for (const [name, make] of Object.entries(WORST)) {
  Deno.test(`${name}: eight times the text takes about eight times as long`, async () => {
    const limits = { maxDepth: 32, maxValues: 4096, maxNames: 256 };
    const [smaller, larger] = [make(2 ** 15), make(2 ** 18)].map((text) => () =>
      parseBoundedJson(text, limits)
    );
    // Quadratic work would be 64 times as much.
    const { times } = await measureGrowth(smaller!, larger!, { mostTimes: 24 });
    assert.ok(times <= 24, `${times} times as long`);
  });
}

/** Where JSON is our own, or an operator's on the command line, as all is in src/tools. */
const PARSES_ITS_OWN = [
  "src/admin/page/admin_api.js",
  "src/admin/page/base.js",
  "src/admin/page/events.js",
  "src/admin/page/playground.js",
  "src/auth/inspection.ts",
  "src/cli/about/sbom.ts",
  "src/cli/client/admin_client.ts",
  "src/cli/commands/health_command.ts",

  "src/cli/commands/token_create_command.ts",
  "src/cluster/wire.ts",
  "src/endpoints/sessions/state_file.ts",
  "src/telemetry/chain.ts",
  "src/telemetry/chain_check.ts",
];

Deno.test("nothing else is given to JSON.parse", async () => {
  const root = new URL("../../", import.meta.url);
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) { if (name !== "tools") await visit(`${folder}${name}/`); }
      else if (/\bJSON\.parse\(|[^.]\.json\(\)/.test(await Deno.readTextFile(new URL(folder + name, root)))) {
        found.push(folder + name);
      }
    }
  };
  await visit("src/");
  assert.deepEqual(found.sort(), PARSES_ITS_OWN);
});
