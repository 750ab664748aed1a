// The command `token inspect`: shows what a token says, without asking whether it is true.

import type { Command } from "commander";
import type { Inspection } from "../../auth/inspection.ts";
import { StartError } from "../../core/errors.ts";
import { describeTime } from "../client/relative_time.ts";
import { addTokenInput, readTokenInput } from "./token_input.ts";

/** Adds `inspect` to the command `token`. */
export function addTokenInspectCommand(token: Command): void {
  const command = addTokenInput(
    token.command("inspect").description("show the header and claims of any token, not verified"),
  );
  command.action(async () => {
    const { inspectToken } = await import("../../auth/inspection.ts");
    const inspection = inspectToken(await readTokenInput(command));
    if (inspection === undefined) throw new StartError("Cannot inspect the token: it is not a JWT");
    console.log(describe(inspection, Date.now()));
  });
}

/** The whole output, as of `nowMs` (milliseconds since 1970). */
function describe({ header, claims, dates, faults }: Inspection, nowMs: number): string {
  const lines = [
    "NOT VERIFIED: anybody can write such a token; wsward token verify tells whether it is valid",
    "",
    "Header (not verified)",
    header,
    "",
    "Claims (not verified)",
    claims ?? "cannot be read",
  ];
  if (dates.length > 0) lines.push("", "Times (not verified)");
  for (const { claim, timeMs } of dates) lines.push(`${claim}: ${describeTime(timeMs, nowMs)}`);
  if (faults.length > 0) lines.push("", "Faults");
  return [...lines, ...faults].join("\n");
}
