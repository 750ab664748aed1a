// Flags made from settings: all spellings of a value arrive, and flags that were not given are absent.

import assert from "node:assert/strict";
import { list } from "../../src/core/settings/setting_types.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { describedOption, givenSettings, settingOption } from "../../src/cli/setting_options.ts";
import { StrictCommand } from "../../src/cli/strict_command.ts";

function parseFlags(...args: readonly string[]): Readonly<Record<string, unknown>> {
  const command = new StrictCommand("serve");
  for (const name of SETTING_NAMES) command.addOption(settingOption(name));
  command.parse(args, { from: "user" });
  return Object.fromEntries(givenSettings(command));
}

Deno.test("nothing is given when no flag is", () => {
  assert.deepEqual(parseFlags(), {});
});

Deno.test("a value stands behind a space or an equals sign", () => {
  assert.deepEqual(parseFlags("--host", "a", "--echo-port=0"), { host: "a", echoPort: "0" });
});

Deno.test("a value can be empty, hold equals signs, and start with a dash behind an equals sign", () => {
  assert.deepEqual(parseFlags("--echo-prefix", ""), { echoPrefix: "" });
  assert.deepEqual(parseFlags("--echo-prefix="), { echoPrefix: "" });
  assert.deepEqual(parseFlags("--echo-prefix", "a=b"), { echoPrefix: "a=b" });
  assert.deepEqual(parseFlags("--echo-prefix=--host"), { echoPrefix: "--host" });
});

Deno.test("a value that looks like a flag is not taken for one a second time", () => {
  assert.deepEqual(parseFlags("--echo-prefix=--host", "--host", "b"), { echoPrefix: "--host", host: "b" });
});

Deno.test("a switch that is on by default is turned off", () => {
  assert.deepEqual(parseFlags("--no-echo"), { echo: false });
});

Deno.test("a list collects every value and can be repeated", () => {
  const setting = list({ group: "Group", help: "what is denied", placeholder: "word" });
  const option = describedOption("--deny", setting, "WSWARD_DENY");
  assert.equal(option.description, "what is denied; can be repeated (default none; WSWARD_DENY)");
  const command = new StrictCommand("serve").addOption(option);
  command.parse(["--deny", "a", "--deny=b,c"], { from: "user" });
  assert.deepEqual(command.getOptionValue("deny"), ["a", "b,c"]);
});
