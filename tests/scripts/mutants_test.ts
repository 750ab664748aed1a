// Planting faults: where they go, what is refused, and how each outcome is reported.

import assert from "node:assert/strict";
import { faultsOf, findFaults, type Mutant, plant } from "../../scripts/mutants/mutant.ts";
import { type Outcome, tryMutants } from "../../scripts/mutants.ts";
import { MUTANTS } from "../mutants/list.ts";

const ADD = `export const add = (a: number, b: number) => a + b;\n`;
const TEST = `import { add } from "./add.ts";
Deno.test("adds", () => {
  if (add(2, 2) !== 4) throw new Error("2 + 2 is not 4");
});
`;

function fault(text: string, instead: string): Mutant {
  return faultsOf("add.ts", ["add_test.ts"], [[`${text} -> ${instead}`, text, instead]])[0]!;
}

/** Runs `use` with a folder of a tree that git would keep. */
async function withTree(
  files: Readonly<Record<string, string>>,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await new Deno.Command("git", { args: ["init", "--quiet", root] }).output();
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${root}/${name}`, text);
    await use(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("every fault of the list can be planted, once, and tells what it takes away", async () => {
  assert.deepEqual(
    await findFaults(MUTANTS, decodeURIComponent(new URL("../../", import.meta.url).pathname)),
    [],
  );
  const names = MUTANTS.map(({ file, what }) => `${file}: ${what}`);
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

Deno.test("plants a fault where its text is, and nowhere if that is not one place", () => {
  assert.equal(plant(fault("a + b", "a - b"), ADD), ADD.replace("a + b", "a - b"));
  for (const [text, count] of [["a * b", 0], ["number", 2], ["", 0]] as const) {
    assert.throws(() => plant(fault(text, "x"), ADD), {
      message: `Cannot plant "${text} -> x" in add.ts: it has ${count} times ${JSON.stringify(text)}`,
    });
  }
  assert.throws(() => plant(fault("a + b", "a + b"), ADD), /nothing would change/);
});

Deno.test("tells which faults are noticed, and which survive or are no source any more, and leaves the tree alone", async () => {
  await withTree({ "add.ts": ADD, "add_test.ts": TEST }, async (root) => {
    const mutants = [
      fault("a + b", "a - b"),
      fault("a + b", "a * b"),
      fault("a + b", "a +"),
    ];
    const told = new Map<string, Outcome>();
    const outcomes = await tryMutants(mutants, {
      root,
      jobs: 2,
      timeoutMs: 60_000,
      onOutcome: ({ instead }, outcome) => told.set(instead, outcome),
    });
    assert.deepEqual(outcomes, ["noticed", "survived", "no source any more"]);
    assert.deepEqual(mutants.map(({ instead }) => told.get(instead)), outcomes);
    assert.equal(await Deno.readTextFile(`${root}/add.ts`), ADD);
  });
});

Deno.test("a fault that makes the tests hang is noticed, and what hangs is ended", async () => {
  await withTree({ "add.ts": ADD, "add_test.ts": TEST }, async (root) => {
    const endless = fault("a + b;", "{ for (;;); return 4; }");
    assert.deepEqual(await tryMutants([endless], { root, jobs: 1, timeoutMs: 200 }), ["noticed"]);
  });
});

Deno.test("says nothing about faults where the tests fail without one", async () => {
  await withTree({ "add.ts": ADD, "add_test.ts": TEST.replace("4", "5") }, async (root) => {
    await assert.rejects(
      tryMutants([fault("a + b", "a - b")], { root, jobs: 1, timeoutMs: 60_000 }),
      /^Error: Cannot try faults: the tests fail without one\n/,
    );
  });
});

Deno.test("tells of a fault without a test, and of one whose file or test is not there", async () => {
  await withTree({ "add.ts": ADD }, async (root) => {
    const faults = await findFaults([fault("a + b", "1"), { ...fault("a + b", "1"), tests: [] }, {
      ...fault("a", "1"),
      file: "none.ts",
    }], root);
    assert.equal(faults.length, 3);
    assert.match(faults[0]!, /add_test\.ts/);
    assert.match(faults[1]!, /no test is meant to notice/);
    assert.match(faults[2]!, /none\.ts/);
  });
});
