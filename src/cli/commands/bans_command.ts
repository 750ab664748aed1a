// The command `bans`: shows, adds and removes the bans of addresses.

import type { Command } from "commander";
import { duration, parseText } from "../../core/settings/setting_types.ts";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { addListCommand } from "./list_command.ts";
import { escapeText, notEverywhere, shortTime } from "../client/printed.ts";
import { describedOption } from "../setting_options.ts";

const FOR = duration({
  group: "Ban",
  help: "how long it lasts; if left out, as long as the server's --ban-time",
  default: "10m",
  min: "1s",
  max: "30d",
});

/** Adds `bans` with its subcommands `list`, `add` and `remove` to `program`. */
export function addBansCommand(program: Command): void {
  const bans = program.command("bans");
  addListCommand(bans, {
    name: "bans",
    description: "show the addresses that a running server has banned",
    none: "No address is banned",
    head: ["CLIENT", "UNTIL"],
    row: (ban) => [ban["client"], shortTime(ban["expires_at"])],
  });

  const add = addAdminOptions(
    bans.command("add").description("ban an address or a network, and close its connections")
      .argument("<address>", "IP address, whose /64 counts if it is IPv6, or a network such as 192.0.2.0/24")
      .addOption(describedOption("--for", FOR)),
  );
  add.action(async (address: string) => {
    const { for: given } = add.opts<{ for?: string }>();
    const ttl = given === undefined ? {} : { ttl_seconds: Math.ceil(parseText("--for", FOR, given) / 1000) };
    const ban = await AdminClient.fromCommand(add).call("POST", "/bans", { address, ...ttl }) as {
      readonly client?: unknown;
      readonly expires_at?: unknown;
    };
    console.log(
      `Banned ${escapeText(String(ban.client))} until ${shortTime(ban.expires_at)}${notEverywhere(ban)}`,
    );
  });

  const remove = addAdminOptions(
    bans.command("remove").description("end a ban").argument(
      "<address>",
      "IP address or network, as the list shows it",
    ),
  );
  remove.action(async (address: string) => {
    const answer = await AdminClient.fromCommand(remove).call(
      "DELETE",
      `/bans/${encodeURIComponent(address)}`,
    );
    console.log(`Removed${notEverywhere(answer)}`);
  });
}
