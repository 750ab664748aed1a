// Runs the server as a program of its own, with signals for reload and drain.

import { EventFeed } from "../admin/event_feed.ts";
import { neededDescriptors } from "../core/descriptors.ts";
import { SOCKET_NAMES } from "../core/settings/endpoints.ts";
import { openRuntimeDir } from "../core/runtime_dir.ts";
import { NO_LOG_FILE, type Settings } from "../core/settings/declarations.ts";
import { clientKey } from "../firewall/admission/network_set.ts";
import { isMigrated, openFileLimit, readGranted } from "../process/granted.ts";
import type { ServiceManager } from "../process/service_manager.ts";
import { addSignalListener, endWhenDebugged, nextSignal } from "../process/signals.ts";
import { printLines } from "../process/stdout.ts";
import { containErrors } from "../process/stray_errors.ts";
import { findServiceManager } from "../process/supervisor.ts";
import { holdBack } from "../telemetry/held_log.ts";
import { isJournal } from "../telemetry/journal.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { RecordBrake } from "../telemetry/record_brake.ts";
import { type Address, App, describeAddress } from "./app.ts";

/**
 * Serves until SIGINT or SIGTERM, then drains. `version` is what the program says about itself, `configFile` where the
 * settings come from, if they come from a file.
 *
 * @returns The exit code: 0 after a drain.
 * @throws {StartError} when something that the settings name can't be used; nothing is left behind then.
 */
export async function serve(
  settings: Settings,
  { version, configFile }: { version: string; configFile?: string | undefined },
): Promise<number> {
  const isWatched = settings.adminListen !== undefined || settings.metricsListen !== undefined;
  const feed = isWatched ? new EventFeed() : undefined;
  const openedLog = openLog({
    level: settings.logLevel,
    file: settings.logFile === NO_LOG_FILE ? undefined : settings.logFile,
    format: settings.logFormat,
    isColoured: Deno.stderr.isTerminal() && !Deno.noColor,
    maxSize: settings.logMaxSize,
    maxFiles: settings.logMaxFiles,
    chain: settings.logChain,
    isJournal: () => isJournal(readGranted("JOURNAL_STREAM")),
  });
  const shown = feed === undefined ? openedLog.log : feed.tee(openedLog.log, openedLog.contain);
  const held = holdBack(shown);
  const brake = new RecordBrake(held.log, clientKey);
  const log: Log = (event, fields) => {
    try {
      brake.log(event, fields);
    } catch (fault) {
      openedLog.contain(fault);
    }
  };
  containErrors(openedLog, log);
  const stop = nextSignal(openedLog);
  endWhenDebugged(openedLog);
  const runtimeDir = await openRuntimeDir(settings.runtimeDir, SOCKET_NAMES);
  function onListening(addresses: readonly Address[]): void {
    const urls = addresses.map(({ url }) => url).join(" ");
    shown("server.started", { version, addresses: urls, pid: Deno.pid, config: configFile ?? "none" });
    held.release();
    warnOfFewDescriptors(settings, log);
    if (settings.reusePort && isMigrated() === false) {
      log("server.not_migrated", { hint: "run: sysctl -w net.ipv4.tcp_migrate_req=1" });
    }
    const { readyLines, logFormat } = settings;
    if (readyLines === "on" || (readyLines === "auto" && logFormat === "text")) {
      void printLines(addresses.map(describeAddress), log);
    }
  }
  const app = new App({ settings, version, log, feed, lostRecords: openedLog.lost, onListening }, runtimeDir);
  // Closing the terminal ends the program; without a terminal, SIGHUP reloads.
  const terminals = [Deno.stdin, Deno.stdout, Deno.stderr].filter((stream) => stream.isTerminal());
  const { promise: terminalClosed, resolve: closed } = Promise.withResolvers<Deno.Signal>();
  let manager: ServiceManager | undefined;
  const tellReady = () => manager?.notify("READY=1", "STATUS=Serving");
  // Before anybody can see that the program runs: by default the signal would end it.
  addSignalListener("SIGHUP", () => {
    if (terminals.some((stream) => !stream.isTerminal())) return closed("SIGHUP");
    openedLog.reopen();
    manager?.notify("RELOADING=1", "STATUS=Reloading");
    void app.reload().finally(tellReady);
  });
  try {
    await app.start();
    manager = await findServiceManager(runtimeDir.path, log);
    tellReady();
    manager?.watch(readGranted("WATCHDOG_USEC") ?? "");
    await app.loadRest();
    log("server.draining", { signal: await Promise.race([stop, terminalClosed]) });
    manager?.notify("STOPPING=1", "STATUS=Draining");
    await app.drain();
    log("server.stopped");
  } finally {
    manager?.close();
    await app.close();
    brake.flush();
    held.release();
    await openedLog.finish();
  }
  return 0;
}

function warnOfFewDescriptors(settings: Settings, log: Log): void {
  const limit = openFileLimit();
  const needed = neededDescriptors(settings);
  // False without the variable, and for "unlimited".
  if (!(limit < needed)) return;
  const hint = "raise it (ulimit -n, LimitNOFILE), or lower --max-connections";
  log("server.few_descriptors", { limit, value: needed, hint });
}
