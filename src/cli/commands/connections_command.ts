// The command `connections`: shows every connection, with a session or without, and closes one.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { addListCommand } from "./list_command.ts";
import { shortTime } from "../client/printed.ts";

/** Adds `connections` with its subcommands `list` and `close` to `program`. */
export function addConnectionsCommand(program: Command): void {
  const connections = program.command("connections");
  addListCommand(connections, {
    name: "connections",
    description: "show the open connections of a running server",
    none: "No connection is open",
    head: ["ID", "ENDPOINT", "USER", "ADDRESS", "SINCE", "IN", "OUT", "HELD", "THROTTLED"],
    row: (connection) => [
      connection["id"],
      connection["endpoint"],
      connection["user"],
      connection["address"],
      shortTime(connection["opened_at"]),
      `${connection["bytes_in"]}B`,
      `${connection["bytes_out"]}B`,
      `${connection["held_bytes"]}B`,
      `${connection["throttled_seconds"]}s`,
    ],
  });

  const close = addAdminOptions(
    connections.command("close").description("end a connection; its peer may connect again")
      .argument("<id>", "id of the connection"),
  );
  close.action(async (id: string) => {
    await AdminClient.fromCommand(close).call("DELETE", `/connections/${encodeURIComponent(id)}`);
    console.log("Closed");
  });
}
