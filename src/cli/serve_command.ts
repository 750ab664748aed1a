// The command `serve`: settings from flags, variables and a file, then the server.

import type { Command } from "commander";
import config from "../../deno.json" with { type: "json" };
import { parseSettings } from "../core/settings.ts";
import { addSettingOptions, ENV, givenSettings, readConfig } from "./setting_options.ts";

/** Adds `serve` to `program`; `exitWith` is called with the exit code once the server has stopped. */
export function addServeCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("serve").description("serve both endpoints until SIGINT or SIGTERM");
  addSettingOptions(command);
  command.action(async () => {
    const settings = parseSettings(givenSettings(command), ENV, await readConfig(command));
    // Loaded late, so that help and usage errors do not wait for the server's modules.
    const { serve } = await import("../app.ts");
    exitWith(await serve(settings, config.version));
  });
}
