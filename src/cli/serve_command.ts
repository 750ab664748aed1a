// The command `serve`: settings from flags, variables and a file, then the server.

import type { Command } from "commander";
import config from "../../deno.json" with { type: "json" };
import { parseSettings } from "../core/settings.ts";
import { addSettingOptions, configPath, ENV, givenSettings, readConfig } from "./setting_options.ts";

/** Adds `serve` to `program`; `exitWith` is called with the exit code once the server has stopped. */
export function addServeCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("serve").description("serve both endpoints until SIGINT or SIGTERM");
  addSettingOptions(command);
  command.option("--print-permissions", "print the flags of deno run that this needs, and do not serve");
  command.action(async () => {
    const settings = parseSettings(givenSettings(command), ENV, await readConfig(command));
    if (command.opts<{ printPermissions?: boolean }>().printPermissions) {
      const { permissionFlags } = await import("./permissions.ts");
      return console.log(permissionFlags(settings, configPath(command)).join(" "));
    }
    // Loaded late, so that help and usage errors do not wait for the server's modules.
    const { serve } = await import("../app.ts");
    exitWith(await serve(settings, config.version));
  });
}
