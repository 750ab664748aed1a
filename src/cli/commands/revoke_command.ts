// The command `revoke`: makes tokens worthless at once, and ends the sessions that they opened.

import type { Command } from "commander";
import { UsageError } from "../../core/errors.ts";
import { duration, parseText } from "../../core/settings/setting_types.ts";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { describedOption } from "../setting_options.ts";
import { escapeText } from "../client/printed.ts";
import { notEverywhere, printJson, shortTime } from "../client/printed.ts";

const KINDS = ["jti", "user", "session"] as const;

const FOR = duration({
  group: "Revocation",
  help: "how long it lasts; to be safe, longer than any token lives",
  default: "365d",
  min: "1s",
  max: "3650d",
});

/** Adds `revoke` to `program`. */
export function addRevokeCommand(program: Command): void {
  const command = program.command("revoke").description("revoke a token, a user's tokens or a session")
    .option("--jti <text>", "the token with this claim jti")
    .option("--user <name>", "all tokens of a user up to now")
    .option("--session <id>", "an open session and its tokens")
    .addOption(describedOption("--for", FOR))
    .option("--json", "print one JSON object");
  addAdminOptions(command);
  command.action(async () => {
    const flags = command.opts<
      { [Kind in typeof KINDS[number]]?: string } & { for?: string; json?: boolean }
    >();
    const [kind, ...more] = KINDS.filter((name) => flags[name] !== undefined);
    if (kind === undefined || more.length > 0) {
      throw new UsageError("Cannot revoke: give one of --jti, --user and --session");
    }
    const forMs = flags.for === undefined ? FOR.default : parseText("--for", FOR, flags.for);
    const revocation = await AdminClient.fromCommand(command).call("POST", "/revocations", {
      kind,
      value: flags[kind],
      ttl_seconds: Math.ceil(forMs / 1000),
    }) as { readonly expires_at?: unknown };
    if (flags.json) return await printJson(revocation);
    const until = shortTime(revocation.expires_at);
    console.log(`Revoked ${kind} ${escapeText(flags[kind]!)} until ${until}${notEverywhere(revocation)}`);
  });
}
