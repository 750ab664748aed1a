// Where every command begins: `serve` with plain flags directly, everything else by the command-line library.

import { CONFIG_LABELS, parseSettings } from "../core/settings/settings.ts";
import { explainFailure } from "./failure.ts";
import { readPlainFlags } from "./plain_flags.ts";
import { serveWith } from "./serve.ts";

/**
 * Runs the command that `args` name and returns the exit code: 0 for success, 1 if it could not be done, 2 for a
 * command line or a variable that cannot be used. Never throws; what went wrong is one line on stderr.
 */
export async function start(args: readonly string[]): Promise<number> {
  try {
    const [command, ...flags] = args;
    const given = command === "serve" ? readPlainFlags(flags) : undefined;
    if (given !== undefined && Deno.env.get(CONFIG_LABELS.variable) === undefined) {
      return await serveWith(parseSettings(given, (variable) => Deno.env.get(variable)));
    }
    const { run } = await import("./run.ts");
    return await run(args);
  } catch (error) {
    // Loaded late: most starts have what they need.
    const { startHint } = await import("./start_hint.ts");
    return explainFailure(error, startHint(args, error));
  }
}
