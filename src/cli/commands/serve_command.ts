// The command `serve`: its flags and its help.

import type { Command } from "commander";
import { parseSettings } from "../../core/settings/settings.ts";
import { serveWith } from "../serve.ts";
import { addSettingOptions, configPath, ENV, givenSettings, readConfig } from "../setting_options.ts";

/** Adds `serve` to `program`; `exitWith` is called with the exit code once the server has stopped. */
export function addServeCommand(program: Command, exitWith: (code: number) => void): void {
  const command = program.command("serve").description("serve both endpoints until SIGINT or SIGTERM");
  addSettingOptions(command);
  command.option("--print-permissions", "print the flags of deno run that this needs, and do not serve");
  command.action(async () => {
    const settings = parseSettings(givenSettings(command), ENV, await readConfig(command));
    if (!command.opts<{ printPermissions?: boolean }>().printPermissions) {
      return exitWith(await serveWith(settings, configPath(command)));
    }
    const { permissionFlags } = await import("../about/permissions.ts");
    console.log(permissionFlags(settings, configPath(command)).join(" "));
  });
}
