// The help: within its width, short and complete, with examples for every command.

import assert from "node:assert/strict";
import { COMMON_SETTINGS } from "../../src/cli/about/help.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { flagOf } from "../../src/core/settings/settings.ts";
import { typed } from "../../src/core/typed.ts";
import { EXECUTABLE, run } from "../support/process.ts";

async function help(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args, { onlyPermissions: ["--no-prompt"] });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

Deno.test("a short help fits a screen and shows the flags that people change, and no others", async () => {
  const text = await help("serve", "-h");
  const { length } = text.trimEnd().split("\n");
  assert.ok(length <= 40, `${length} lines`);
  for (const name of SETTING_NAMES) {
    assert.equal(new RegExp(`^  ${flagOf(name)} `, "m").test(text), COMMON_SETTINGS.includes(name), name);
  }
  assert.match(text, /^All flags: .* --help$/m);
});

Deno.test("the short help of the program fits a screen, with all commands and the flags that people change", async () => {
  const text = await help("-h");
  const lines = text.trimEnd().split("\n");
  assert.ok(lines.length >= 24 && lines.length <= 40, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length <= 80, line);
  for (const [, name] of (await help("--help")).matchAll(/^ {2}([a-z]+) /gm)) {
    if (!["deno", "wsward", "help"].includes(name!)) {
      assert.match(text, new RegExp(`[:,] +${name}\\b|^ +${name},?`, "m"));
    }
  }
  for (const name of COMMON_SETTINGS) assert.match(text, new RegExp(`^  ${flagOf(name)} `, "m"));
  assert.match(text, /^All commands: .* --help, and all flags: .* --help$/m);
  assert.match(text, /^Examples:\n/m);
});

Deno.test("every command has two examples, and is no wider than 80 columns but for what is typed", async () => {
  const checked = new Set<string>();
  const check = async (command: readonly string[]): Promise<void> => {
    const name = command.join(" ");
    if (command.at(-1) === "help" || checked.has(name)) return;
    checked.add(name);
    const text = await help(...command, "--help");
    const [, examples = ""] = text.split("\nExamples:\n");
    assert.ok((examples.split("\n\n")[0]!.match(/# /g) ?? []).length >= 2, `${name} has two examples`);
    for (const line of text.split("\n")) {
      assert.ok(
        line.length <= 80 || /^ {2}(deno task|wsward) /.test(line),
        `${name} has a line of ${line.length} columns: ${line}`,
      );
    }
    const [, below = ""] = text.split("\nCommands:\n");
    await checkAll(command, below.split("\n\n")[0]!);
  };
  const checkAll = async (above: readonly string[], list: string): Promise<void> => {
    const names = Array.from(list.matchAll(/^ {2}([a-z]+) /gm), ([, name]) => name!);
    await Promise.all(names.map((name) => check([...above, name])));
  };
  await checkAll([], await help("--help"));
  assert.ok(checked.size > 15);
  assert.ok(checked.has("token create"));
});

Deno.test("wrong usage ends with where to look", async () => {
  const { code, stderr } = await run(["token", "create"], { onlyPermissions: ["--no-prompt"] });
  assert.equal(code, 2);
  const call = typed("wsward token create --help", EXECUTABLE === undefined);
  assert.ok(stderr.endsWith(`; see ${call}\n`), stderr);
});

Deno.test("commands are told as they are typed", () => {
  const text = "wsward serve, or wsward token create --user NAME; wsward is a server (wsward 0.1.0)";
  assert.equal(typed(text, false), text);
  assert.equal(
    typed("make one with: wsward token create", true),
    "make one with: deno task wsward token create",
  );
  assert.equal(typed("wsward serve --no-echo", true), "deno task start --no-echo");
  assert.equal(typed("Usage: wsward [options]", true), "Usage: deno task wsward [options]");
});
