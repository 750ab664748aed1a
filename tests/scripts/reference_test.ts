// The generated page: it is current, complete, and in a form that the formatter leaves alone.

import assert from "node:assert/strict";
import { formatTable, writeReference } from "../../scripts/reference.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { flagOf } from "../../src/core/settings/settings.ts";
import { METRICS } from "../../src/telemetry/metrics.ts";

Deno.test("pads every column and escapes what would end a cell", () => {
  assert.equal(
    formatTable(["A", "Long"], [["a|b", ""]]),
    "| A    | Long |\n| ---- | ---- |\n| a\\|b |      |",
  );
});

Deno.test("has every flag and every metric, and one heading for each kind", () => {
  const page = writeReference();
  for (const name of SETTING_NAMES) assert.match(page, new RegExp(`^\\| \`${flagOf(name)}[ \`]`, "m"));
  for (const name of Object.keys(METRICS)) assert.ok(page.includes(`| \`${name}\` `), name);
  const headings = page.match(/^## .*$/gm) ?? [];
  assert.equal(new Set(headings).size, 11);
});

Deno.test("the formatter leaves the page alone", async () => {
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext=md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const text = writeReference();
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { stdout } = await formatter.output();
  assert.equal(new TextDecoder().decode(stdout), text);
});
