// Runs the command of the command line and ends the process with its exit code.

import { start } from "./src/cli/start.ts";

Deno.exit(await start(Deno.args));
