// The command `log verify`: checks whether a log with --log-chain is unchanged.

import type { Command } from "commander";
import { StartError } from "../../core/errors.ts";
import { describeFileError } from "../../core/file_error.ts";

/** Adds `log` with its subcommand to `program`; `exitWith` is called with 1 if a record was tampered with. */
export function addLogCommand(program: Command, exitWith: (code: number) => void): void {
  program.command("log").description("work on log files")
    .command("verify").description(
      "find the first record of a chained log that was changed, removed or moved",
    )
    .argument("<file...>", "the files of one log, in any order: FILE FILE.1 FILE.2")
    .action(async (names: string[]) => exitWith(await verify(names)));
}

async function verify(names: readonly string[]): Promise<number> {
  const { checkChain } = await import("../../telemetry/chain_check.ts");
  // A file that is given twice counts once.
  const files = [...new Set(names)].map((name) => ({ name, bytes: readFile(name) }));
  const check = checkChain(files);
  if (!check.ok) {
    const { file, line } = check.place;
    console.log(`Not intact: line ${line} of ${JSON.stringify(file)}: ${check.problem}`);
    return 1;
  }
  if (check.records === 0) {
    console.log("Intact: there are no records yet");
    return 0;
  }
  const start = check.isFromStart
    ? "from the first record on"
    : "but it does not begin with the first record";
  console.log(
    `Intact: ${check.records} records, ${start}; the last one, which only its SHA-256 can prove, has ${check.last}`,
  );
  return 0;
}

function readFile(name: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(name);
  } catch (cause) {
    const why = describeFileError(cause);
    throw new StartError(`Cannot read ${JSON.stringify(name)}: ${why}`, { cause });
  }
}
