// The command `nodes`: the processes that share sessions, revocations and bans.

import type { Command } from "commander";
import { addAdminOptions, AdminClient } from "../client/admin_client.ts";
import { formatColumns, printJson, shortTime } from "../client/printed.ts";

/** Adds `nodes` to `program`. */
export function addNodesCommand(program: Command): void {
  const command = addAdminOptions(
    program.command("nodes").description("show the nodes that share one Redis")
      .option("--json", "print one JSON object"),
  );
  command.action(async () => {
    const answer = await AdminClient.fromCommand(command).call("GET", "/nodes") as {
      readonly nodes: readonly Readonly<Record<string, unknown>>[];
    };
    if (command.opts<{ json?: boolean }>().json) return await printJson(answer);
    const head = ["NAME", "ID", "VERSION", "SINCE", "CONNECTIONS", "SESSIONS", "LAG", "HEARD", "ADDRESSES"];
    const rows = answer.nodes.map((node) => [
      node["this"] === true ? `${node["name"]} (asked)` : node["name"],
      node["id"],
      node["version"],
      shortTime(node["since"]),
      node["connections"],
      node["sessions"],
      `${node["lag_seconds"]}s`,
      `${node["silent_seconds"]}s ago`,
      Array.isArray(node["addresses"]) ? node["addresses"].join(" ") : "",
    ]);
    console.log(formatColumns(head, rows));
  });
}
