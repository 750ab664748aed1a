// The command `revocations`: shows what is revoked, and takes a revocation back.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { addListCommand } from "./list_command.ts";
import { notEverywhere, shortTime } from "../client/printed.ts";

/** Adds `revocations` with its subcommands `list` and `remove` to `program`. */
export function addRevocationsCommand(program: Command): void {
  const revocations = program.command("revocations");
  addListCommand(revocations, {
    name: "revocations",
    description: "show what a running server has revoked",
    none: "Nothing is revoked",
    head: ["ID", "KIND", "VALUE", "SINCE", "UNTIL"],
    row: (revocation) => [
      revocation["id"],
      revocation["kind"],
      revocation["value"],
      shortTime(revocation["revoked_at"]),
      shortTime(revocation["expires_at"]),
    ],
  });

  const remove = addAdminOptions(
    revocations.command("remove").description("take a revocation back; what it ended stays ended")
      .argument("<id>", "id of the revocation"),
  );
  remove.action(async (id: string) => {
    const answer = await AdminClient.fromCommand(remove).call(
      "DELETE",
      `/revocations/${encodeURIComponent(id)}`,
    );
    console.log(`Removed${notEverywhere(answer)}`);
  });
}
