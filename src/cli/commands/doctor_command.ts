// The command `doctor`: checks what a start would need, and says how to fix it.

import type { Command } from "commander";
import { parseSettings } from "../../core/settings/settings.ts";
import { typed } from "../../core/typed.ts";
import { addSettingOptions, ENV, givenSettings, readConfig } from "../setting_options.ts";
import { escapeText } from "../client/printed.ts";

/** Adds `doctor` to `program`; `exitWith` is called with 1 where a start would fail. */
export function addDoctorCommand(program: Command, exitWith: (code: number) => void): void {
  const command = addSettingOptions(
    program.command("doctor").description("check what serve would need, and say how to fix it"),
  ).option("--json", "print one JSON object");
  command.action(async () => {
    const settings = parseSettings(givenSettings(command), ENV, await readConfig(command));
    // Loaded late, like everything that only one command needs.
    const { examine } = await import("./doctor.ts");
    const findings = await examine(settings, Date.now());
    if (command.opts<{ json?: boolean }>().json) {
      const { printJson } = await import("../client/printed.ts");
      await printJson({ findings });
    } else {
      for (const { name, result, state, remedy } of findings) {
        console.log(escapeText(`${result.padEnd(7)}  ${name}: ${state}`));
        if (remedy !== undefined) console.log(escapeText(`         ${typed(remedy)}`));
      }
    }
    if (findings.some(({ result }) => result === "failure")) exitWith(1);
  });
}
