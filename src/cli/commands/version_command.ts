// The command `version`: what the program is, how it was built, and what it is made of.

import type { Command } from "commander";
import { UsageError } from "../../core/errors.ts";

/** Adds `version` to `program`. */
export function addVersionCommand(program: Command): void {
  const command = program.command("version").description("print the version, and how the program was built")
    .option("--json", "print one JSON object")
    .option("--sbom", "print the packages that it is made of, as CycloneDX JSON");
  command.action(async () => {
    const { json, sbom } = command.opts<{ json?: boolean; sbom?: boolean }>();
    if (json && sbom) throw new UsageError("Cannot use --json with --sbom: that is JSON of its own");
    if (sbom) {
      const { createBom } = await import("../about/sbom.ts");
      return console.log(JSON.stringify(createBom(), null, 2));
    }
    const { formatVersion, readVersion } = await import("../about/version.ts");
    console.log(json ? JSON.stringify(readVersion()) : formatVersion(readVersion()));
  });
}
