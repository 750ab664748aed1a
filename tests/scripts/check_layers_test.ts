// The layer check: each rule on a graph that breaks it, and on one that does not.

import assert from "node:assert/strict";
import { findWrongImports, type Import, type Module, readGraph } from "../../scripts/check_layers.ts";

function moduleOf(path: string, ...imports: readonly string[]): Module {
  return { path, imports: imports.map(importOf) };
}

function importOf(text: string): Import {
  return /\.(ts|json|lock)$/.test(text) ? { file: text } : { name: text };
}

function assertWrong(from: string, to: string, rule: RegExp): void {
  const wrong = findWrongImports([moduleOf(from, to)]);
  assert.equal(wrong.length, 1, `${from} may not import ${to}`);
  assert.deepEqual([wrong[0]?.from, wrong[0]?.to], [from, to]);
  assert.match(wrong[0]?.rule ?? "", rule);
}

Deno.test("accepts imports that point down, within a layer, and packages in the layer that knows them", () => {
  const modules = [
    { path: "main.ts", imports: [{ file: "src/cli/run.ts", isLate: true }] },
    moduleOf("src/cli/run.ts", "src/app/app.ts", "src/core/errors.ts", "deno.json", "commander"),
    {
      path: "src/app/app.ts",
      imports: ["admin", "firewall", "endpoints", "auth"].map((layer) => ({
        file: `src/${layer}/a.ts`,
        isLate: true,
      })),
    },
    moduleOf("src/admin/a.ts", "src/firewall/a.ts", "src/endpoints/a.ts", "valibot"),
    moduleOf("src/firewall/a.ts", "src/firewall/b.ts", "src/telemetry/a.ts", "src/protocol/a.ts", "node:net"),
    moduleOf("src/endpoints/a.ts", "src/auth/a.ts"),
    moduleOf("src/tools/a.ts", "src/firewall/a.ts", "src/auth/a.ts", "src/protocol/a.ts", "node:tls"),
    { path: "src/cli/commands/connect_command.ts", imports: [{ file: "src/tools/a.ts", isLate: true }] },
    moduleOf("src/auth/a.ts", "src/telemetry/a.ts", "jose"),
    moduleOf("src/telemetry/a.ts", "src/protocol/a.ts"),
    moduleOf("src/protocol/a.ts", "src/core/errors.ts"),
  ];
  assert.deepEqual(findWrongImports(modules), []);
});

Deno.test("refuses an import that points up, for each pair of neighbours", () => {
  const layers = ["core", "protocol", "telemetry", "auth", "endpoints"];
  for (const [index, layer] of layers.slice(0, -1).entries()) {
    assertWrong(`src/${layer}/a.ts`, `src/${layers[index + 1]}/a.ts`, /point down only/);
  }
  assertWrong("src/firewall/a.ts", "src/app/app.ts", /point down only/);
  assertWrong("src/firewall/a.ts", "src/admin/a.ts", /point down only/);
  assertWrong("src/admin/a.ts", "src/app/app.ts", /point down only/);
  assertWrong("src/app/app.ts", "src/cli/run.ts", /point down only/);
  assertWrong("src/core/a.ts", "src/config/a.ts", /point down only/);
  assertWrong("src/cli/run.ts", "main.ts", /point down only/);
});

Deno.test("refuses the tools in what a start loads, with flags that the library reads too", () => {
  for (const start of ["main.ts", "src/app/program.ts", "src/cli/run.ts"]) {
    const wrong = findWrongImports([
      moduleOf(start, "src/cli/a.ts", "src/protocol/a.ts"),
      moduleOf("src/cli/a.ts", "src/tools/a.ts"),
    ]);
    assert.ok(
      wrong.some(({ to, rule }) => to === "src/tools/a.ts" && /no use for the tools/.test(rule)),
      start,
    );
  }
  assertWrong("src/tools/a.ts", "src/admin/a.ts", /do not import each other/);
  assertWrong("src/tools/a.ts", "src/app/app.ts", /point down only/);
  assertWrong("src/firewall/a.ts", "src/tools/a.ts", /point down only/);
});

Deno.test("refuses imports between firewall and endpoints", () => {
  assertWrong("src/firewall/a.ts", "src/endpoints/a.ts", /do not import each other/);
  assertWrong("src/endpoints/a.ts", "src/firewall/a.ts", /do not import each other/);
});

Deno.test("refuses a package outside the layer that knows it", () => {
  assertWrong("src/admin/a.ts", "commander", /only src\/cli/);
  assertWrong("src/endpoints/a.ts", "jose/jwt/verify", /only src\/auth/);
  assertWrong("src/protocol/a.ts", "jose", /only src\/auth/);
  assertWrong("src/core/a.ts", "jsonc-parser", /only src\/config/);
  assertWrong("src/cli/a.ts", "toml-eslint-parser", /only src\/config/);
  assertWrong("src/firewall/a.ts", "valibot", /only src\/endpoints and src\/admin/);
});

Deno.test("refuses a package that no layer knows, and one that is not imported by its bare name", () => {
  assertWrong("src/auth/a.ts", "left-pad", /no layer yet/);
  assertWrong("src/auth/a.ts", "npm:jose@6", /bare names/);
  assertWrong("src/auth/a.ts", "https://example.org/a", /bare names/);
});

Deno.test("refuses files outside the layers", () => {
  assertWrong("src/util/a.ts", "src/core/a.ts", /in no layer/);
  assertWrong("src/core/a.ts", "scripts/bench.ts", /in no layer/);
  assertWrong("src/core/a.ts", "tests/core/a.ts", /in no layer/);
  assertWrong("src/core/a.ts", "deno.json", /only src\/cli/);
  assertWrong("src/core/a.ts", "deno.lock", /only src\/cli/);
});

Deno.test("refuses cycles, however long", () => {
  const alone = findWrongImports([moduleOf("src/core/a.ts", "src/core/a.ts")]);
  assert.deepEqual(alone.map(({ rule }) => rule), ["no cycles: src/core/a.ts -> src/core/a.ts"]);
  const wrong = findWrongImports([
    moduleOf("src/core/start.ts", "src/core/a.ts", "src/core/b.ts"),
    moduleOf("src/core/a.ts", "src/core/b.ts"),
    moduleOf("src/core/b.ts", "src/core/c.ts"),
    moduleOf("src/core/c.ts", "src/core/a.ts"),
  ]);
  assert.deepEqual(wrong.map(({ rule }) => rule), [
    "no cycles: src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts",
  ]);
});

Deno.test("reads value, type-only and package imports out of a module graph", () => {
  const root = "file:///repo/";
  const modules = readGraph({
    modules: [
      {
        specifier: "file:///repo/src/core/a.ts",
        dependencies: [
          { specifier: "./b.ts", code: { specifier: "file:///repo/src/core/b.ts" } },
          { specifier: "./c.ts", type: { specifier: "file:///repo/src/core/c.ts" } },
          { specifier: "jose", code: { specifier: "npm:jose@6.2.17" } },
          { specifier: "valibot", code: { specifier: "npm:valibot@1.5.0" }, isDynamic: true },
        ],
      },
      { specifier: "npm:/jose@6.2.17" },
    ],
  }, root);
  assert.deepEqual(modules, [{
    path: "src/core/a.ts",
    imports: [
      { file: "src/core/b.ts" },
      { file: "src/core/c.ts", isLate: true },
      { name: "jose" },
      { name: "valibot", isLate: true },
    ],
  }]);
});

Deno.test("refuses a module graph with a module that could not be loaded", () => {
  const graph = { modules: [{ specifier: "file:///repo/src/a.ts", error: "Module not found" }] };
  assert.throws(() => readGraph(graph, "file:///repo/"), /Module not found/);
});

Deno.test("refuses what a start would wait for, however deep, unless it is loaded when it is needed", () => {
  const graph = (imported: Import) => [
    { path: "main.ts", imports: [{ file: "src/cli/a.ts" }] },
    { path: "src/cli/a.ts", imports: [{ file: "src/app/program.ts", isLate: true }] },
    {
      path: "src/app/program.ts",
      imports: [{ file: "src/auth/a.ts" }, { file: "src/admin/a.ts", isLate: true }],
    },
    { path: "src/auth/a.ts", imports: [imported] },
    { path: "src/admin/a.ts", imports: [{ name: "node:http" }, { name: "valibot" }] },
  ];
  for (const name of ["node:crypto", "jose", "jose/jwt/verify"]) {
    const wrong = findWrongImports(graph({ name }));
    assert.deepEqual(wrong.map(({ from, to }) => [from, to]), [["src/auth/a.ts", name]]);
    assert.deepEqual(findWrongImports(graph({ name, isLate: true })), []);
  }
});
