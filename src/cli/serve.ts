// Starts the server with its version, for both ways to start.

import config from "../../deno.json" with { type: "json" };
import type { Settings } from "../core/settings/declarations.ts";
import { refuseUnknownVariables } from "./variables.ts";

/** Serves until SIGINT or SIGTERM; returns the exit code. Throws `StartError`, and `UsageError` for a wrong variable. */
export async function serveWith(settings: Settings, configFile?: string): Promise<number> {
  await refuseUnknownVariables();
  // Loaded late, so that usage errors do not wait for the server's modules.
  const { serve } = await import("../app/program.ts");
  return await serve(settings, { version: config.version, configFile });
}
