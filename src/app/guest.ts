// Runs a server within another command.

import { SOCKET_NAMES } from "../core/settings/endpoints.ts";
import { openRuntimeDir } from "../core/runtime_dir.ts";
import type { Settings } from "../core/settings/declarations.ts";
import { type Address, App, describeAddress } from "./app.ts";

/** A server that runs within another command. */
export interface GuestServer {
  /** Its ready lines. */
  readonly lines: readonly string[];
  /** Ends it without a drain. */
  stop(): Promise<void>;
}

/**
 * Starts a server within another command, which keeps its signals and terminal: nothing is logged or printed.
 *
 * @throws {StartError} when something that the settings name can't be used; nothing is left behind then.
 */
export async function startGuest(settings: Settings, version: string): Promise<GuestServer> {
  const runtimeDir = await openRuntimeDir(settings.runtimeDir, SOCKET_NAMES);
  let lines: readonly string[] = [];
  const onListening = (addresses: readonly Address[]) => lines = addresses.map(describeAddress);
  const app = new App(
    { settings, version, log: () => {}, feed: undefined, lostRecords: () => 0, onListening },
    runtimeDir,
  );
  const stop = async () => {
    await app.drain();
    await app.close();
  };
  try {
    await app.start();
    await app.loadRest();
  } catch (error) {
    await stop();
    throw error;
  }
  return { lines, stop };
}
