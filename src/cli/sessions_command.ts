// The command `sessions`: shows who is connected, and ends a session.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "./admin_client.ts";
import { formatColumns } from "./table.ts";

/** Adds `sessions` with its subcommand `close` to `program`. */
export function addSessionsCommand(program: Command): void {
  const sessions = addAdminOptions(
    program.command("sessions").description("show the open sessions of a running server"),
  ).option("--json", "print one JSON object");
  sessions.action(async () => {
    const open = await AdminClient.fromCommand(sessions).list("/sessions", "sessions");
    if (sessions.opts<{ json?: boolean }>().json) return await printJson({ sessions: open });
    if (open.length === 0) return console.log("No session is open");
    console.log(formatColumns(
      ["ID", "USER", "ADDRESS", "SINCE", "UNTIL", "IN", "OUT"],
      open.map((session) => [
        session.id,
        session.user,
        session.address,
        shortTime(session.started_at),
        shortTime(session.expires_at),
        session.messages_in,
        session.messages_out,
      ]),
    ));
  });

  const close = addAdminOptions(
    sessions.command("close").description("end a session; its token stays valid, unless it is revoked")
      .argument("<id>", "id of the session"),
  );
  close.action(async (id: string) => {
    await AdminClient.fromCommand(close).call("DELETE", `/sessions/${encodeURIComponent(id)}`);
    console.log("Closed");
  });
}

/** Prints JSON in which nothing is invisible. */
export async function printJson(value: unknown): Promise<void> {
  const { escapeInvisible } = await import("../auth/inspection.ts");
  console.log(escapeInvisible(JSON.stringify(value)));
}

/** A time as of RFC 3339 without what is below a second. */
export function shortTime(time: unknown): string {
  return String(time).replace(/\.\d+Z$/, "Z");
}
