// Runs the command of the command line and ends the process with its exit code.

import { run } from "./src/cli/run.ts";

Deno.exit(await run(Deno.args));
