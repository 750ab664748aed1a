// A fault to plant: one line of the source that is made wrong, and the tests that must notice it.

/** A fault in one file. */
export interface Mutant {
  /** The file, from the root of the tree. */
  readonly file: string;
  /** What the fault breaks, in a few words. */
  readonly what: string;
  /** Text that is in the file exactly once: the line to change, with as much around it as that takes. */
  readonly text: string;
  /** The text that replaces it. */
  readonly instead: string;
  /** The test files that must notice it, from the root of the tree. */
  readonly tests: readonly string[];
}

/** Faults in one file that the same tests must notice. */
export function faultsOf(
  file: string,
  tests: readonly string[],
  faults: readonly (readonly [what: string, text: string, instead: string])[],
): Mutant[] {
  return faults.map(([what, text, instead]) => ({ file, tests, what, text, instead }));
}

/** The source with the fault. Throws an `Error` if the text is not there exactly once, or nothing would change. */
export function plant({ file, what, text, instead }: Mutant, source: string): string {
  const [before, after, ...more] = source.split(text);
  if (text === "" || after === undefined || more.length > 0) {
    const count = text === "" ? 0 : source.split(text).length - 1;
    throw new Error(`Cannot plant "${what}" in ${file}: it has ${count} times ${JSON.stringify(text)}`);
  }
  if (text === instead) throw new Error(`Cannot plant "${what}" in ${file}: nothing would change`);
  return before + instead + after;
}

/** Why mutants can't be planted in the tree below `root`, one line for each that can't. */
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
