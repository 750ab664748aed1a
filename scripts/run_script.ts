// The frame of every script: its options, its help, and its exit code.

/** A script with options of the type `Options`. */
export interface Script<Options> {
  /** What `--help` prints. */
  readonly help: string;
  /** Reads the command line; throws an `Error` that says what is wrong with it. */
  readOptions(args: readonly string[]): Options & { readonly help: boolean };
  /** Does the work and returns the exit code; throws an `Error` that says why it can't be done. */
  main(options: Options): Promise<number>;
}

/** Runs a script and sets the exit code: what `main` returns, 1 if it throws, 2 for a wrong command line. */
export async function runScript<Options>({ help, readOptions, main }: Script<Options>): Promise<void> {
  Deno.exitCode = 2;
  try {
    const options = readOptions(Deno.args);
    Deno.exitCode = 1;
    if (options.help) console.log(help);
    Deno.exitCode = options.help ? 0 : await main(options);
  } catch (error) {
    console.error(messageOf(error));
  }
}

/** The message of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The whole number that was given as `flag`; throws an `Error` that says what would be right. */
export function readWhole(
  flag: string,
  text: string,
  { least = 1, most }: { least?: number; most: number },
): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new Error(`Cannot use ${flag} "${text}": it must be from ${least} to ${most}`);
}

/** The word that was given as `flag`, one of `known`; throws an `Error` that lists them. */
export function readWord<Word extends string>(flag: string, text: string, known: readonly Word[]): Word {
  const word = known.find((candidate) => candidate === text);
  if (word === undefined) {
    throw new Error(`Cannot use ${flag} "${text}": it must be one of ${known.join(", ")}`);
  }
  return word;
}

/** Throws if nothing was done: a check that looked at nothing has not passed. */
export function assertRan(count: number, what: string): void {
  if (!(count > 0)) throw new Error(`Nothing ran: there were no ${what}`);
}
