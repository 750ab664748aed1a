// The generated parts of the README: where they go, and that the formatter leaves them alone.

import assert from "node:assert/strict";
import { fillParts, formatTable, PARTS } from "../../scripts/readme_tables.ts";

const EMPTY = "# Title\n\n<!-- a -->\n<!-- /a -->\n\nText\n";

Deno.test("replaces what is between the marks and nothing else", () => {
  const filled = fillParts(EMPTY, { a: () => "one" });
  assert.equal(filled, "# Title\n\n<!-- a -->\n\none\n\n<!-- /a -->\n\nText\n");
  assert.equal(
    fillParts(filled, { a: () => "$& two" }),
    "# Title\n\n<!-- a -->\n\n$& two\n\n<!-- /a -->\n\nText\n",
  );
});

for (const readme of ["", "<!-- a -->", "<!-- /a -->", "<!-- /a --><!-- a -->", EMPTY + EMPTY]) {
  Deno.test(`refuses a README with wrong marks: ${JSON.stringify(readme)}`, () => {
    assert.throws(() => fillParts(readme, { a: () => "one" }), /Cannot fill "a"/);
  });
}

Deno.test("pads every column and escapes what would end a cell", () => {
  assert.equal(
    formatTable(["A", "Long"], [["a|b", ""]]),
    "| A    | Long |\n| ---- | ---- |\n| a\\|b |      |",
  );
});

Deno.test("the formatter leaves the generated parts alone", async () => {
  const marks = Object.keys(PARTS).map((name) => `<!-- ${name} --><!-- /${name} -->\n`).join("\n");
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext=md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const text = fillParts(marks, PARTS);
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { stdout } = await formatter.output();
  assert.equal(new TextDecoder().decode(stdout), text);
});
