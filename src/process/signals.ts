// Signals: two stop the server, one reloads, one would open a debugger.

import type { OpenLog } from "../telemetry/log.ts";

/** How long the log has to report that the debugger is open, in milliseconds. */
const DEBUGGED_MS = 50;
/** Within this time, in milliseconds, a second signal to stop counts as the first one again. */
const SAME_WISH_MS = 1000;

/**
 * Resolves with the first signal to stop. Another one ends the process at once, unless it comes within a second: a task
 * runner and a terminal both pass on one Ctrl-C.
 */
export function nextSignal(openedLog: OpenLog): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15]] as const) {
      addSignalListener(signal, () => {
        if (firstMs !== undefined && performance.now() - firstMs > SAME_WISH_MS) {
          void openedLog.finish().finally(() => Deno.exit(128 + number));
        }
        firstMs ??= performance.now();
        resolve(signal);
      });
    }
  });
}

/**
 * At SIGUSR1 the runtime opens a debugger, in which any local user can run code, and which the program can't prevent or
 * close. Unless the signal is blocked from outside (`env --block-signal=USR1`), it ends the program, as it does by
 * default.
 */
export function endWhenDebugged(openedLog: OpenLog): void {
  addSignalListener("SIGUSR1", () => {
    openedLog.log("process.debugger_opened", { hint: "start it with: env --block-signal=USR1" });
    void openedLog.finish(DEBUGGED_MS).finally(() => Deno.exit(1));
  });
}

/** Listens for a signal, where the system knows it. */
export function addSignalListener(signal: Deno.Signal, listener: () => void): void {
  // Windows has no SIGHUP and no SIGTERM.
  if (Deno.build.os === "windows" && signal !== "SIGINT") return;
  Deno.addSignalListener(signal, listener);
}
