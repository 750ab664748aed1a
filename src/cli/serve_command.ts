// The command `serve`: settings from flags and variables, then the server.

import type { Command } from "commander";
import config from "../../deno.json" with { type: "json" };
import { parseSettings, SETTING_NAMES } from "../core/settings.ts";
import { givenSettings, settingOption } from "./setting_options.ts";

/** Adds `serve` to `program`; `exitWith` is called with the exit code once the server has stopped. */
export function addServeCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("serve").description("serve both endpoints until SIGINT or SIGTERM");
  for (const name of SETTING_NAMES) command.addOption(settingOption(name));
  command.action(async () => {
    const settings = parseSettings(givenSettings(command), (variable) => Deno.env.get(variable));
    // Loaded late, so that help and usage errors do not wait for the server's modules.
    const { serve } = await import("../app.ts");
    exitWith(await serve(settings, config.version));
  });
}
