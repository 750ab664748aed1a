// The command `sessions`: shows who is connected, and ends a session.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { addListCommand } from "./list_command.ts";
import { shortTime } from "../client/printed.ts";

/** Adds `sessions` with its subcommands `list` and `close` to `program`. */
export function addSessionsCommand(program: Command): void {
  const sessions = program.command("sessions");
  addListCommand(sessions, {
    name: "sessions",
    description: "show the open sessions of a running server",
    none: "No session is open",
    head: ["ID", "USER", "ADDRESS", "SINCE", "UNTIL", "IN", "OUT"],
    row: (session) => [
      session["id"],
      session["user"],
      session["address"],
      shortTime(session["started_at"]),
      shortTime(session["expires_at"]),
      session["messages_in"],
      session["messages_out"],
    ],
  });

  const close = addAdminOptions(
    sessions.command("close").description("end a session; its token stays valid, unless it is revoked")
      .argument("<id>", "id of the session"),
  );
  close.action(async (id: string) => {
    const answer = await AdminClient.fromCommand(close).call("DELETE", `/sessions/${encodeURIComponent(id)}`);
    console.log(answer === undefined ? "Closed" : "Its node was asked to close it, and has not done so yet");
  });
}
