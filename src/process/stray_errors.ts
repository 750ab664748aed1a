// Errors and rejections that nobody caught.

import { Containment } from "../telemetry/containment.ts";
import type { Log, OpenLog } from "../telemetry/log.ts";

/** Records errors that would otherwise end the process. */
export function containErrors(openedLog: OpenLog, log: Log): void {
  const containment = new Containment(log);
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    record(event.error);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    record(event.reason);
  });
  globalThis.addEventListener("unload", () => openedLog.flushAll());

  function record(error: unknown): void {
    if (containment.record(error)) openedLog.flush();
  }
}
