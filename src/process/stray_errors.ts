// Errors and rejections that nobody caught.

import { Containment } from "../telemetry/containment.ts";
import type { Log, OpenLog } from "../telemetry/log.ts";

/** Nothing that goes wrong anywhere may end the process: it is recorded instead. */
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
