// Prints the ready lines on stdout.

import type { Log } from "../telemetry/log.ts";

/** Prints lines on stdout. Not to be awaited: a pipe without a reader must not stop the server. */
export async function printLines(lines: readonly string[], log: Log): Promise<void> {
  const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
  try {
    for (let written = 0; written < bytes.length;) {
      written += await Deno.stdout.write(bytes.subarray(written));
    }
  } catch (error) {
    // Closed, full or without a reader: whatever the system says.
    log("server.stdout_failed", { error: error instanceof Error ? error.message : String(error) });
  }
}
