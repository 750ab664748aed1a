// The scripts that check something: they refuse unknown options, and do not pass if they did nothing.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { assertRan, readWhole, readWord } from "../../scripts/run_script.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

type Task = "fuzz" | "soak" | "bench" | "mutants";

/** Command lines that each task refuses, besides those that none understands. */
const NONSENSE: Readonly<Record<Task, readonly (readonly string[])[]>> = {
  fuzz: [
    ["--only", "nonsense"],
    ["--count", "abc"],
    ["--count", "0"],
    ["--seconds", "1.5"],
    ["--seed", "x"],
    ["--case", "x"],
    ["--connections", ""],
  ],
  soak: [["--only", "nonsense"], ["--seconds", "abc"], ["--seconds", "0"], ["--attack-rate", "1e3"]],
  mutants: [["--jobs", "0"], ["--seconds", "abc"]],
  bench: [["--rounds", "0"], ["--seconds", "abc"], ["--rows", "1x1"], ["--servers", "apache"]],
};

async function task(name: Task, args: readonly string[]) {
  const [, , ...words] = config.tasks[name].split(" ");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...words, ...args],
    cwd: ROOT,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

for (const [name, nonsense] of Object.entries(NONSENSE) as [Task, string[][]][]) {
  Deno.test(`${name} refuses a command line that can't be used with one line and 2`, async () => {
    for (const args of [...nonsense, ["--what"], ["more"]]) {
      const { code, stdout, stderr } = await task(name, args);
      assert.match(stderr, /^[^\n]+\n$/, args.join(" "));
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    }
  });

  Deno.test(`${name} has help that names each of its options`, async () => {
    const { code, stdout } = await task(name, ["--help"]);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(`Usage: deno task ${name} [options]`));
    for (const [option] of nonsense) assert.ok(stdout.includes(`\n  ${option} `), option);
  });
}

Deno.test("fuzz runs as many cases as it says, and passes", async () => {
  const { code, stdout } = await task("fuzz", ["--only", "parsers", "--count", "50", "--seed", "7"]);
  assert.match(
    stdout,
    /^seed 7\nparsers: (5\d|[6-9]\d) frames and handshakes in \d+ cases, [\d.]+ s\nPASS\n$/,
  );
  assert.equal(code, 0);
});

Deno.test("a check that looked at nothing has not passed", () => {
  assertRan(1, "cases");
  for (const count of [0, NaN]) {
    assert.throws(() => assertRan(count, "cases"), { message: "Nothing ran: there were no cases" });
  }
});

Deno.test("reads whole numbers within their bounds, and words that are known", () => {
  const read = (text: string) => readWhole("--n", text, { least: 2, most: 10 });
  assert.deepEqual(["2", "10"].map(read), [2, 10]);
  for (const text of ["1", "11", "", " 3", "3.0", "1e1", "-3", "0x3", "abc", "9".repeat(16)]) {
    assert.throws(() => read(text), { message: `Cannot use --n "${text}": it must be from 2 to 10` });
  }
  assert.equal(readWord("--w", "a", ["a", "b"]), "a");
  for (const text of ["", "A", "toString"]) {
    assert.throws(() => readWord("--w", text, ["a", "b"]), {
      message: `Cannot use --w "${text}": it must be one of a, b`,
    });
  }
});
