// A fault to plant: one line of the source that is made wrong, and the tests that have to notice.

/** A fault of one file. */
export interface Mutant {
  /** The file, from the root of the tree. */
  readonly file: string;
  /** What the fault takes away, in a few words. */
  readonly what: string;
  /** Text that is in the file exactly once: the line that is changed, with as much of its surroundings as that takes. */
  readonly text: string;
  /** What stands there in its place. */
  readonly instead: string;
  /** The test files that are meant to notice, from the root of the tree. */
  readonly tests: readonly string[];
}

/** Faults that share a file and the tests that notice them: what, text and what stands in its place. */
export function faultsOf(
  file: string,
  tests: readonly string[],
  faults: readonly (readonly [what: string, text: string, instead: string])[],
): Mutant[] {
  return faults.map(([what, text, instead]) => ({ file, tests, what, text, instead }));
}

/** The source with the fault. Throws an `Error` if its text is not there exactly once. */
export function plant({ file, what, text, instead }: Mutant, source: string): string {
  const [before, after, ...more] = source.split(text);
  if (text === "" || after === undefined || more.length > 0) {
    const count = text === "" ? 0 : source.split(text).length - 1;
    throw new Error(`Cannot plant "${what}" in ${file}: it has ${count} times ${JSON.stringify(text)}`);
  }
  if (text === instead) throw new Error(`Cannot plant "${what}" in ${file}: nothing would change`);
  return before + instead + after;
}

/** Why mutants can't be planted in the tree below `root`, a line each. */
export async function findFaults(mutants: readonly Mutant[], root: string): Promise<string[]> {
  const faults: string[] = [];
  for (const mutant of mutants) {
    try {
      plant(mutant, await Deno.readTextFile(`${root}/${mutant.file}`));
      for (const test of mutant.tests) await Deno.stat(`${root}/${test}`);
      if (mutant.tests.length === 0) {
        throw new Error(`Cannot plant "${mutant.what}": no test is meant to notice`);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      faults.push(error.message);
    }
  }
  return faults;
}
