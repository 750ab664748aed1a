// Finds the service manager that started the program.

import type { Log } from "../telemetry/log.ts";
import { readGranted } from "./granted.ts";
import type { ServiceManager } from "./service_manager.ts";

/** The service manager that started the program and wants to know its state; undefined if there is none. */
export async function findServiceManager(runtimeDir: string, log: Log): Promise<ServiceManager | undefined> {
  const address = readGranted("NOTIFY_SOCKET");
  if (address === undefined) return undefined;
  // Loaded late: most starts are by hand.
  const { ServiceManager } = await import("../process/service_manager.ts");
  return new ServiceManager({
    address,
    ownPath: `${runtimeDir}/notify.sock`,
    onFailure: (reason) => log("server.notify_failed", { reason }),
  });
}
