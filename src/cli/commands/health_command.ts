// The command `health`: whether a running server is alive, for supervisors that speak no HTTP or can't reach loopback.

import type { Command } from "commander";
import { StartError } from "../../core/errors.ts";
import { addUrlOption, readUrl } from "../client/admin_url.ts";

/** Adds `health` to `program`. */
export function addHealthCommand(program: Command): void {
  const command = addUrlOption(
    program.command("health").description(
      "succeed if a running server is alive, as --admin-listen or --metrics-listen shows",
    ),
  ).option("--ready", "succeed only if it also takes connections: not while it starts or drains");
  command.action(async () => {
    const { ready = false } = command.opts<{ ready?: boolean }>();
    const url = readUrl(command);
    const { request } = await import("../client/admin_client.ts");
    const { status, text } = await request(`${url}${ready ? "/readyz" : "/healthz"}`);
    if (status !== 200) {
      throw new StartError(`Cannot call the server ${ready ? "ready" : "alive"}: ${describe(text, status)}`);
    }
    console.log(ready ? "Ready" : "Alive");
  });
}

/** The server's own reasons, or the status if it is not our server. */
function describe(text: string, status: number): string {
  try {
    const { problems } = JSON.parse(text) as { readonly problems?: unknown };
    if (Array.isArray(problems) && problems.length > 0) return problems.join("; ");
  } catch {
    // Then the status has to do.
  }
  return `the answer was ${status}`;
}
