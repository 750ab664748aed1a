// Flags that are read without the command-line library, compared with what the library reads.

import assert from "node:assert/strict";
import fc from "fast-check";
import { readPlainFlags } from "../../src/cli/plain_flags.ts";
import { givenSettings, settingOption } from "../../src/cli/setting_options.ts";
import { StrictCommand } from "../../src/cli/strict_command.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { declarationOf, flagOf } from "../../src/core/settings/settings.ts";

/** What the library reads, or undefined if it has an objection. */
function readByLibrary(args: readonly string[]): ReadonlyMap<string, unknown> | undefined {
  const command = new StrictCommand("serve").exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
  for (const name of SETTING_NAMES) command.addOption(settingOption(name));
  try {
    command.parse(args, { from: "user" });
  } catch {
    return undefined;
  }
  return givenSettings(command);
}

Deno.test("reads what the library reads, or leaves it to the library", () => {
  let read = 0;
  const flag = fc.constantFrom(
    ...SETTING_NAMES.map(flagOf),
    "--echo",
    "--no-host",
    "--help",
    "-h",
    "--",
    "--port",
  );
  const value = fc.oneof(
    fc.constantFrom("", "0", "-1", "-", "--", "a=b", "=", "serve", "--host"),
    fc.string(),
  );
  const word = fc.oneof(
    flag.map((flag) => [flag]),
    value.map((value) => [value]),
    fc.tuple(flag, value),
    fc.tuple(flag, value).map(([flag, value]) => [`${flag}=${value}`]),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }).map((words) => words.flat()), (args) => {
      const plain = readPlainFlags(args);
      if (plain === undefined) return;
      read++;
      assert.deepEqual(plain, readByLibrary(args));
    }),
    { numRuns: 3000 },
  );
  assert.ok(read > 300, `only ${read} were read`);
});

Deno.test("every flag of a setting is plain, in both spellings of its value", () => {
  for (const name of SETTING_NAMES) {
    const flag = flagOf(name);
    const spellings = declarationOf(name).kind === "switch" ? [[flag]] : [[flag, "1"], [`${flag}=1`]];
    for (const args of spellings) {
      const given = readPlainFlags(args);
      assert.equal(given?.size, 1, args.join(" "));
      assert.deepEqual(given, readByLibrary(args));
    }
  }
});

Deno.test("help, mistakes and flags that are no settings are left to the library", () => {
  const left = [
    ["--help"],
    ["-h"],
    ["extra"],
    ["--"],
    ["--no-such-flag"],
    ["--host"],
    ["--host", "--no-echo"],
    ["--host", "a", "--host", "b"],
    ["--no-echo", "--no-echo"],
    ["--no-echo=true"],
    ["--echo"],
  ];
  for (const args of left) assert.equal(readPlainFlags(args), undefined, args.join(" "));
});
