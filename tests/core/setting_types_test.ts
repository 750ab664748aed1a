// The types of settings: each just under, at and just over its range, and wrong declarations.

import assert from "node:assert/strict";
import { UsageError } from "../../src/core/errors.ts";
import {
  byteRate,
  choice,
  duration,
  type GivenValue,
  integer,
  list,
  optionalPath,
  path,
  port,
  rate,
  readSetting,
  type Setting,
  size,
  text,
  toggle,
} from "../../src/core/settings/setting_types.ts";

const about = { group: "Group", help: "what it does" };

function assertParses(setting: Setting, expected: Readonly<Record<string, unknown>>): void {
  for (const [given, value] of Object.entries(expected)) {
    assert.equal(setting.parse(given), value, `${JSON.stringify(given)} was read wrongly`);
  }
}

Deno.test("a port is 0 to 65535 and nothing else", () => {
  assertParses(port({ ...about, default: "80" }), {
    "0": 0,
    "65535": 65_535,
    "65536": undefined,
    "-1": undefined,
    "80.5": undefined,
    "0x50": undefined,
    "1e3": undefined,
    " 80": undefined,
    "": undefined,
  });
});

Deno.test("an integer keeps its range", () => {
  assertParses(integer({ ...about, default: "5", min: "2", max: "10" }), {
    "1": undefined,
    "2": 2,
    "10": 10,
    "11": undefined,
    "unlimited": undefined,
    "Infinity": undefined,
  });
});

Deno.test("a duration keeps its range and is in milliseconds", () => {
  assertParses(duration({ ...about, default: "1s", min: "100ms", max: "1m" }), {
    "99ms": undefined,
    "100ms": 100,
    "1m": 60_000,
    "1m1ms": undefined,
    "10": undefined,
  });
});

Deno.test("a size keeps its range and is in bytes", () => {
  assertParses(size({ ...about, default: "1KiB", min: "1B", max: "64MiB" }), {
    "0B": undefined,
    "1B": 1,
    "64MiB": 67_108_864,
    "67108865B": undefined,
    "65MiB": undefined,
  });
});

Deno.test("a rate keeps its range and is per second", () => {
  assertParses(rate({ ...about, default: "50/s", min: "1/s", max: "1000/s" }), {
    "0/s": undefined,
    "1/s": 1,
    "1000/s": 1000,
    "1001/s": undefined,
    "50": undefined,
    "50/m": undefined,
    "/s": undefined,
  });
  assertParses(byteRate({ ...about, default: "16MiB/s", min: "1KiB/s", max: "1GiB/s" }), {
    "1023B/s": undefined,
    "1KiB/s": 1024,
    "1GiB/s": 2 ** 30,
    "1073741825B/s": undefined,
    "50/s": undefined,
  });
});

Deno.test("only the declared word stands for no limit, and zero never does", () => {
  const lifetime = duration({ ...about, default: "unlimited", min: "1s", max: "1d", word: "unlimited" });
  assert.equal(lifetime.default, Infinity);
  assert.equal(lifetime.rule, "from 1s to 1d, or unlimited");
  assertParses(lifetime, {
    "unlimited": Infinity,
    "off": undefined,
    "Unlimited": undefined,
    "0s": undefined,
  });
});

Deno.test("a choice is one of its words", () => {
  assertParses(choice({ ...about, choices: ["a", "b"], default: "a" }), {
    "a": "a",
    "b": "b",
    "A": "a",
    "ab": undefined,
    "": undefined,
    "toString": undefined,
  });
});

Deno.test("a switch is true or false", () => {
  assertParses(toggle({ ...about, default: true }), {
    "true": true,
    "false": false,
    "1": undefined,
    "": undefined,
  });
});

Deno.test("text and paths are not empty and have no control characters unless declared so", () => {
  const expected = { "x": "x", "ä ö": "ä ö", "": undefined, "a\nb": undefined, "a\u0000": undefined };
  assertParses(text({ ...about, default: "x" }), expected);
  assertParses(path({ ...about, default: "x" }), expected);
  assertParses(optionalPath({ ...about, unset: "none" }), expected);
  assertParses(text({ ...about, default: "", accepts: () => true, rule: "any text" }), {
    "": "",
    "\n": "\n",
  });
});

Deno.test("text refuses every control character and accepts every other one", () => {
  const setting = text({ ...about, default: "x" });
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    const expected = /\p{Cc}/u.test(character) ? undefined : character;
    if (setting.parse(character) !== expected) assert.fail(`U+${codePoint.toString(16)}`);
  }
});

Deno.test("a setting that breaks its own rule cannot be declared", () => {
  assert.throws(() => port({ ...about, default: "65536" }), TypeError);
  assert.throws(() => size({ ...about, default: "1B", min: "0", max: "1MiB" }), TypeError);
  assert.throws(() => duration({ ...about, default: "1s", min: "1s", max: "" }), TypeError);
});

const labels = { flag: "--deny", variable: "WSWARD_DENY" };
const deny = list({
  ...about,
  placeholder: "word",
  accepts: (item) => item.length === 1,
  rule: "one character",
});

function readDeny(given: GivenValue | undefined, variable?: string): unknown {
  return readSetting(deny, labels, given, () => variable);
}

Deno.test("a list takes its items from the flags, else from the variable, else it is empty", () => {
  assert.deepEqual(readDeny(undefined), []);
  assert.deepEqual(readDeny(undefined, "a, b"), ["a", "b"]);
  assert.deepEqual(readDeny(undefined, ""), []);
  assert.deepEqual(readDeny(["c", ","], "a"), ["c", ","]);
});

Deno.test("a list refuses an item that breaks its rule", () => {
  assert.throws(
    () => readDeny(["a", "bc"]),
    new UsageError('Cannot use --deny "bc": it must be one character'),
  );
  assert.throws(
    () => readDeny(undefined, "a,,b"),
    new UsageError('Cannot use WSWARD_DENY "": it must be one character'),
  );
});

Deno.test("a value without its unit is answered with the one that was probably meant", () => {
  const limits = { ...about, word: "unlimited" } as const;
  const settings: Record<string, Setting> = {
    duration: duration({ ...limits, default: "1s", min: "100ms", max: "1m" }),
    size: size({ ...limits, default: "1KiB", min: "1B", max: "64MiB" }),
    rate: rate({ ...limits, default: "1/s", min: "1/s", max: "50/s" }),
    byteRate: byteRate({ ...limits, default: "1KiB/s", min: "1KiB/s", max: "64MiB/s" }),
  };
  const cases: readonly [keyof typeof settings & string, string, string | undefined][] = [
    ["duration", "30", "30s"],
    ["duration", "5S", "5s"],
    ["duration", "61", undefined],
    ["duration", "abc", undefined],
    ["size", "1024", "1024B"],
    ["size", "64K", "64KiB"],
    ["size", "2mb", "2MiB"],
    ["size", "65M", undefined],
    ["rate", "50", "50/s"],
    ["rate", "51", undefined],
    ["byteRate", "1MiB", "1MiB/s"],
    ["byteRate", "2048", "2048B/s"],
    ["byteRate", "1m/s", "1MiB/s"],
  ];
  for (const [name, given, meant] of cases) {
    const end = meant === undefined ? /unlimited$/ : new RegExp(`; write ${meant}$`);
    assert.throws(
      () => readSetting(settings[name]!, { flag: "--x", variable: "X" }, given, () => undefined),
      {
        name: "UsageError",
        message: end,
      },
    );
  }
});

Deno.test("a choice is read in any case, and by its other names", () => {
  const levels = choice({
    ...about,
    choices: ["info", "warning"],
    aliases: { warn: "warning" },
    default: "info",
  });
  assertParses(levels, {
    WARNING: "warning",
    Info: "info",
    warn: "warning",
    WARN: "warning",
    war: undefined,
  });
});
