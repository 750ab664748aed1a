// The command `token`: makes, shows and judges tokens.

import type { Command } from "commander";
import { addTokenCreateCommand } from "./token_create_command.ts";
import { addTokenInspectCommand } from "./token_inspect_command.ts";
import { addTokenVerifyCommand } from "./token_verify_command.ts";

/** Adds `token` with its subcommands to `program`; `exitWith` is called with 1 for a token that is not valid. */
export function addTokenCommand(program: Command, exitWith: (code: number) => void): void {
  const token = program.command("token").description("make, show and judge tokens for the secure endpoint");
  addTokenCreateCommand(token);
  addTokenInspectCommand(token);
  addTokenVerifyCommand(token, exitWith);
}
