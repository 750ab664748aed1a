// Plants faults in copies of the source tree, one at a time, and lists those that no test notices.

import { parseArgs } from "node:util";
import config from "../deno.json" with { type: "json" };
import { MUTANTS } from "../tests/mutants/list.ts";
import { findFaults, type Mutant, plant } from "./mutants/mutant.ts";
import { assertRan, readWhole, runScript } from "./run_script.ts";

const HELP = `Usage: deno task mutants [options]

Plants each fault of tests/mutants/ in a copy of the tree and runs the tests that are meant to notice it.

  --only WORD    faults with this word in their file, their description or their tests
  --jobs N       how many are tried at once (the number of cores)
  --seconds N    how long the tests of one may take; a fault that makes them hang is noticed (120)
  --list         print the faults and plant none

Ends with
  0   every fault was noticed
  1   one was not, or can't be planted any more, or the tests fail without it
  2   the command line can't be used`;

interface Options {
  readonly only: string;
  readonly jobs: number;
  readonly seconds: number;
  readonly list: boolean;
}

/** What became of a fault. */
export type Outcome = "noticed" | "survived" | "no source any more";

/** How to run the tests of each fault. */
export interface TrialOptions {
  /** The folder of the source tree, which is not changed. */
  readonly root: string;
  readonly jobs: number;
  readonly timeoutMs: number;
  /** Called with each outcome as it is known. */
  readonly onOutcome?: (mutant: Mutant, outcome: Outcome) => void;
}

/**
 * Tries all mutants; returns the outcomes in the same order.
 *
 * @throws {Error} if the tests fail without a fault
 */
export async function tryMutants(
  mutants: readonly Mutant[],
  { root, jobs, timeoutMs, onOutcome }: TrialOptions,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const folders: string[] = [];
  const files = await listFiles(root);
  try {
    for (let job = 0; job < Math.min(jobs, mutants.length); job++) folders.push(await copyTree(root, files));
    await assertGood(folders[0]!, [...new Set(mutants.flatMap(({ tests }) => tests))]);
    let next = 0;
    await Promise.all(folders.map(async (folder) => {
      for (let index = next++; index < mutants.length; index = next++) {
        const outcome = outcomes[index] = await tryOne(mutants[index]!, folder, timeoutMs);
        onOutcome?.(mutants[index]!, outcome);
      }
    }));
  } finally {
    for (const folder of folders) await Deno.remove(folder, { recursive: true });
  }
  return outcomes;
}

async function tryOne(mutant: Mutant, folder: string, timeoutMs: number): Promise<Outcome> {
  const path = `${folder}/${mutant.file}`;
  const source = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, plant(mutant, source));
  try {
    const { passes, isLate, output } = await runTests(folder, mutant.tests, timeoutMs);
    if (passes) return "survived";
    if (isLate) return "noticed";
    // If the source can't even be loaded, no test has begun, and the failure says nothing about the tests.
    const isSource = /^running \d/m.test(output) && !output.includes("Invalid regular expression");
    return isSource ? "noticed" : "no source any more";
  } finally {
    await Deno.writeTextFile(path, source);
  }
}

async function assertGood(folder: string, tests: readonly string[]): Promise<void> {
  const { passes, output } = await runTests(folder, tests, 1_800_000, ["--parallel"]);
  if (!passes) throw new Error(`Cannot try faults: the tests fail without one\n${output.slice(-4000)}`);
}

async function runTests(
  folder: string,
  tests: readonly string[],
  timeoutMs: number,
  more: readonly string[] = [],
) {
  const command = config.tasks.test.split(" ");
  const words = command.slice(command.indexOf("deno") + 1);
  // One file after the other by default, because only then does the output show when the first test begins.
  const flags = words.filter((word) => !["--parallel", "tests/"].includes(word));
  // A process group of its own, so that a run that hangs is ended with all that it has started.
  const child = new Deno.Command(Deno.execPath(), {
    args: [...flags, ...more, "--no-check", "--fail-fast", ...tests],
    cwd: folder,
    env: { NO_COLOR: "1" },
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    Deno.kill(-child.pid, "SIGKILL");
  }, timeoutMs);
  try {
    const { success, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { passes: success, isLate, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** The files of the tree: those that git tracks, and new ones that it does not ignore. */
async function listFiles(root: string): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  }).output();
  if (!success) throw new Error(`Cannot list the tree: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout).split("\0").filter((name) => name !== "");
}

async function copyTree(root: string, files: readonly string[]): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "mutants-" });
  for (const name of files) {
    await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${root}/${name}`, `${folder}/${name}`);
  }
  return folder;
}

function nameOf({ file, what, tests }: Mutant): string {
  return `${file}: ${what} (${tests.join(", ")})`;
}

async function main({ only, jobs, seconds, list }: Options): Promise<number> {
  const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
  const mutants = MUTANTS.filter((mutant) => nameOf(mutant).includes(only));
  assertRan(mutants.length, `faults with "${only}"`);
  const faults = await findFaults(mutants, root);
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) return 1;
  if (list) {
    for (const mutant of mutants) console.log(nameOf(mutant));
    return 0;
  }
  const startedMs = performance.now();
  const outcomes = await tryMutants(mutants, {
    root,
    jobs,
    timeoutMs: seconds * 1000,
    onOutcome: (mutant, outcome) => console.log(`${outcome}: ${nameOf(mutant)}`),
  });
  const noticed = outcomes.filter((outcome) => outcome === "noticed").length;
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const verdict = noticed === mutants.length ? "PASS" : "FAIL";
  console.log(`${verdict}: ${noticed} of ${mutants.length} faults were noticed, ${minutes} minutes`);
  mutants.forEach((mutant, index) => {
    if (outcomes[index] !== "noticed") console.log(`  ${outcomes[index]}: ${nameOf(mutant)}`);
  });
  return noticed === mutants.length ? 0 : 1;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      jobs: { type: "string", default: String(navigator.hardwareConcurrency) },
      seconds: { type: "string", default: "120" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    only: values.only,
    jobs: readWhole("--jobs", values.jobs, { most: 64 }),
    seconds: readWhole("--seconds", values.seconds, { most: 3600 }),
    list: values.list,
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
