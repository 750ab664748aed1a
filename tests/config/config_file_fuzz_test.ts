// Random settings files: right ones are read as they were meant, wrong ones are refused line by line, and none throws.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseConfigFile } from "../../src/config/config_file.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import { SETTING_NAMES, type SettingName } from "../../src/core/settings/declarations.ts";
import { declarationOf, keyOf, parseSetting } from "../../src/core/settings/settings.ts";

const ENCODER = new TextEncoder();

// Of these, a setting is given those that keep its rule.
const WORDS: readonly string[] = [
  ...["1", "50", "9000", "unlimited", "off", "1s", "30s", "1m", "4KiB", "64KiB", "1MiB", "2/s", "16MiB/s"],
  ...["10.0.0.0/8", "::1", "https://a.example", "127.0.0.1:9090", "a.example"],
  ...["ws://127.0.0.1:3000", "unix:///run/a.sock", "role=X-Role", "/chat", "/chat/*", "X-Claims"],
  ...["[a]", "# a", "{", '"""', "'''", "\\", "a, b", '"'],
  ...SETTING_NAMES.map(declarationOf).flatMap((setting) =>
    setting.kind === "value" ? setting.choices ?? [] : []
  ),
];
const TEXTS = fc.oneof(fc.constantFrom(...WORDS), fc.string({ unit: "grapheme" }));

interface Line {
  readonly name: SettingName;
  readonly value: GivenValue;
}

function lineOf(name: SettingName): fc.Arbitrary<Line> {
  const setting = declarationOf(name);
  const isRight = (text: string) => setting.parse(text) !== undefined;
  // It would be looked for without end.
  assert.ok(
    setting.kind === "switch" || WORDS.some(isRight),
    `No word keeps the rule of ${name}: ${setting.rule}`,
  );
  const right = TEXTS.filter(isRight);
  const value: fc.Arbitrary<GivenValue> = setting.kind === "switch"
    ? fc.boolean()
    : setting.kind === "list"
    ? fc.array(right, { maxLength: 4 })
    : setting.defaultGiven === undefined
    ? right
    : fc.oneof(right, fc.constant(setting.defaultGiven));
  return value.map((value) => ({ name, value }));
}

const lines = fc.shuffledSubarray([...SETTING_NAMES]).chain((names) => fc.tuple(...names.map(lineOf)));

/** How strings, lists and lines are written in TOML, which all mean the same. */
const style = fc.record({
  quotes: fc.constantFrom("basic", "literal", "long"),
  lineEnd: fc.constantFrom("\n", "\r\n"),
  isSpread: fc.boolean(),
  filler: fc.constantFrom("", "# comment with \"'[{", " \t"),
});

function writeString(text: string, quotes: string): string {
  // JSON's form of a string is one of TOML's, but for what TOML wants escaped too.
  const basic = JSON.stringify(text).replaceAll("\x7f", "\\u007f");
  if (quotes === "literal" && /^[\x20-\x26\x28-\x7e]*$/.test(text)) return `'${text}'`;
  return quotes === "long" ? `""${basic}""` : basic;
}

function writeScalar(name: SettingName, text: string, quotes: string): string {
  const setting = declarationOf(name);
  const isNumber = setting.kind === "value" && setting.isNumber && /^\d+$/.test(text);
  return isNumber ? String(Number(text)) : writeString(text, quotes);
}

/** The text of a file, and the line of each setting in it. */
function write(
  given: readonly Line[],
  format: "toml" | "json",
  { quotes, lineEnd, isSpread, filler }: typeof style extends fc.Arbitrary<infer Style> ? Style : never,
): { readonly text: string; readonly lines: readonly number[] } {
  const isToml = format === "toml";
  const gap = isSpread ? lineEnd : " ";
  const written: string[] = isToml ? [] : ["{"];
  const lines: number[] = [];
  for (const [index, { name, value }] of given.entries()) {
    if (isToml) written.push(filler);
    const scalar = (text: string) =>
      isToml ? writeScalar(name, text, quotes) : writeScalar(name, text, "basic");
    const text = typeof value === "boolean"
      ? String(value)
      : typeof value === "string"
      ? scalar(value)
      : `[${gap}${value.map(scalar).join(`,${gap}`)}${gap}]`;
    lines.push(written.join(lineEnd).split("\n").length + (written.length === 0 ? 0 : 1));
    const comma = index < given.length - 1 ? "," : "";
    written.push(isToml ? `${keyOf(name)} = ${text}` : `"${keyOf(name)}": ${text}${comma}`);
  }
  return { text: [...written, isToml ? filler : "}"].join(lineEnd), lines };
}

for (const format of ["toml", "json"] as const) {
  Deno.test(`what is written to ${format} is read, and each setting has its line`, async () => {
    await fc.assert(
      fc.asyncProperty(lines, style, async (given, style) => {
        const { text, lines } = write(given, format, style);
        fc.pre(text.trim() !== "");
        const file = await parseConfigFile(`a.${format}`, ENCODER.encode(text));
        assert.deepEqual(file.mistakes, []);
        assert.equal(file.given.size, given.length);
        for (const [index, { name, value }] of given.entries()) {
          const found = file.given.get(name);
          assert.equal(found?.label, `a.${format}:${lines[index]}`);
          // A number is read as a number: 007 becomes 7.
          assert.deepEqual(
            parseSetting(name, undefined, () => undefined, file),
            parseSetting(name, value, () => undefined),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  Deno.test(`one wrong line among right ones of ${format} is the one mistake`, async () => {
    const wrong = fc.constantFrom("exho-port", "echo-port", "ban-time", "deny-ip", "log-format");
    await fc.assert(
      fc.asyncProperty(lines, style, wrong, fc.nat(), async (given, style, key, at) => {
        const others = given.filter(({ name }) => keyOf(name) !== key);
        const { text, lines } = write(others, format, style);
        fc.pre(lines.length > 0);
        const line = lines[at % lines.length]!;
        const rows = text.split("\n");
        rows.splice(line - 1, 0, format === "toml" ? `${key} = ""` : `"${key}": "",`);
        const { given: read, mistakes } = await parseConfigFile(
          `a.${format}`,
          ENCODER.encode(rows.join("\n")),
        );
        assert.equal(mistakes.length, 1, mistakes.join("\n"));
        assert.match(mistakes[0] ?? "", new RegExp(`^a\\.${format}:${line}: Cannot use "?${key}\\b`));
        assert.equal(read.size, others.length);
      }),
      { numRuns: 300 },
    );
  });

  Deno.test(`whatever is in a ${format} file is read or refused in whole lines`, async () => {
    const pieces = fc.oneof(
      fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        "=",
        ":",
        ",",
        "\n",
        "\r",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "#",
        " ",
        ".",
      ),
      fc.constantFrom(
        ...SETTING_NAMES.map(keyOf),
        "1",
        "true",
        "null",
        "1e9",
        "0x1f",
        "2020-01-01",
        "inf",
        "__proto__",
      ),
      fc.string({ unit: "binary", maxLength: 5 }),
    );
    const texts = fc.oneof(
      fc.array(pieces, { maxLength: 40 }).map((parts) => ENCODER.encode(parts.join(""))),
      fc.uint8Array({ maxLength: 60 }),
      // A right file in which something is replaced.
      fc.tuple(lines, style, fc.array(pieces, { maxLength: 3 }), fc.nat(), fc.nat(9)).map(
        ([given, style, parts, at, length]) => {
          const { text } = write(given, format, style);
          const start = at % (text.length + 1);
          return ENCODER.encode(text.slice(0, start) + parts.join("") + text.slice(start + length));
        },
      ),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (bytes) => {
        const file = await parseConfigFile(`a.${format}`, new Uint8Array(bytes));
        const lineCount = new TextDecoder().decode(bytes).split("\n").length;
        for (const mistake of file.mistakes) {
          const [, line] = /^a\.(?:toml|json):(\d+): Cannot [^\n]+$/.exec(mistake) ?? assert.fail(mistake);
          assert.ok(Number(line) >= 1 && Number(line) <= lineCount, `${mistake}: of ${lineCount} lines`);
        }
        for (const name of file.given.keys()) parseSetting(name, undefined, () => undefined, file);
      }),
      { numRuns: 3000 },
    );
  });
}
