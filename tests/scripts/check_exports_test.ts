// What counts as a useless export.

import assert from "node:assert/strict";
import { findVainExports } from "../../scripts/check_exports.ts";

const USED = "export const a = 1;\n";

function reasons(files: Readonly<Record<string, string>>): readonly string[] {
  return findVainExports(new Map(Object.entries(files))).map(({ path, name, reason }) =>
    `${path} ${name}: ${reason}`
  );
}

Deno.test("an export that another file names is used, early or late", () => {
  assert.deepEqual(reasons({ "src/a.ts": USED, "src/b.ts": 'import { a } from "./a.ts";' }), []);
  assert.deepEqual(reasons({ "src/a.ts": USED, "main.ts": 'const { a } = await import("./a.ts");' }), []);
});

Deno.test("one that no other file names is in vain, also where a comment does", () => {
  const expected = ["src/a.ts a: no other file names it"];
  assert.deepEqual(reasons({ "src/a.ts": USED }), expected);
  assert.deepEqual(reasons({ "src/a.ts": `${USED}f(a);` }), expected);
  assert.deepEqual(reasons({ "src/a.ts": USED, "src/b.ts": "// as a is\n/** a */" }), expected);
});

Deno.test("one that only tests use is in vain, unless its own file uses it too", () => {
  const test = 'import { a } from "../src/a.ts";';
  assert.deepEqual(reasons({ "src/a.ts": USED, "tests/a_test.ts": test }), ["src/a.ts a: only tests use it"]);
  assert.deepEqual(reasons({ "src/a.ts": `${USED}f(a);`, "tests/a_test.ts": test }), []);
});
