// Composition: settings become objects, signals become a drain. No logic of its own.

import { createKeyFileIfMissing, loadKey } from "./auth/key.ts";
import { createVerifier } from "./auth/token.ts";
import { StartError } from "./core/errors.ts";
import type { Settings } from "./core/settings.ts";
import { createEchoHandler } from "./endpoints/echo.ts";
import { type Endpoint, startEndpoint } from "./endpoints/endpoint.ts";
import { createSecureHandler } from "./endpoints/secure.ts";
import { FirewallListener } from "./firewall/listener.ts";
import { type Log, type OpenLog, openLog } from "./telemetry/log.ts";

type EndpointName = "echo" | "secure";

/** What runs, in the order in which it was started. */
interface Running {
  readonly runtimeDir: RuntimeDir;
  readonly endpoints: Endpoint[];
  readonly listeners: FirewallListener[];
}

/** The folder of the private sockets, and whether it is ours to remove. */
interface RuntimeDir {
  readonly path: string;
  readonly isOurs: boolean;
}

const STOPPING = { code: 1001, reason: "the server is stopping" };

/**
 * Serves until SIGINT or SIGTERM, then drains.
 *
 * @returns The exit code: 0 after a drain.
 * @throws {StartError} when something that the settings name can't be used; nothing is left behind then.
 */
export async function serve(settings: Settings): Promise<number> {
  const openedLog = openLog({ level: settings.logLevel, file: settings.logFile });
  const { log } = openedLog;
  containErrors(openedLog);
  const stop = nextSignal(openedLog);
  const running: Running = {
    runtimeDir: await createRuntimeDir(settings.runtimeDir),
    endpoints: [],
    listeners: [],
  };
  try {
    await start(settings, running, log);
    log("server.draining", { signal: await stop });
    await Promise.all(running.listeners.map((listener) => listener.drain(STOPPING, settings.drainTimeout)));
    log("server.stopped");
  } finally {
    for (const endpoint of running.endpoints) await endpoint.stop();
    await removeRuntimeDir(running.runtimeDir);
    openedLog.close();
  }
  return 0;
}

async function start(settings: Settings, running: Running, log: Log): Promise<void> {
  const ready: string[] = [];
  if (settings.echo) {
    const createHandler = createEchoHandler({ prefix: settings.echoPrefix });
    ready.push(listen("echo", settings.echoPort, createHandler));
  }
  if (settings.secure) {
    if (await createKeyFileIfMissing(settings.keyFile)) {
      log("key.created", {
        file: settings.keyFile,
        hint: "make a token with: wsward token create --user NAME",
      });
    }
    const createHandler = createSecureHandler({
      verifier: createVerifier(await loadKey(settings.keyFile)),
      authTimeoutMs: settings.authTimeout,
      prefix: settings.echoPrefix,
      log,
    });
    ready.push(listen("secure", settings.securePort, createHandler));
  }
  // Only when all of it runs: a ready line is a promise.
  for (const line of ready) console.log(line);

  function listen(
    name: EndpointName,
    port: number,
    createHandler: Parameters<typeof startEndpoint>[0]["createHandler"],
  ) {
    const socketPath = `${running.runtimeDir.path}/${name}.sock`;
    const listener = bind(settings.host, port);
    running.endpoints.push(startEndpoint({ name, socketPath, createHandler, log }));
    running.listeners.push(
      new FirewallListener({ endpoint: name, listener, socketPath, limits: settings, log }),
    );
    const { hostname, port: bound } = listener.addr;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return `Listening on ws://${host}:${bound}/ (${name})`;
  }
}

function bind(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (cause) {
    const why = cause instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : cause instanceof Deno.errors.NotCapable
      ? `permission was not granted; run with --allow-net=${hostname}:${port}`
      : (cause as Error).message;
    throw new StartError(`Cannot listen on "${hostname}:${port}": ${why}`, { cause });
  }
}

/** Resolves with the first signal that asks to stop; a second one ends the process at once. */
function nextSignal(openedLog: OpenLog): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    let isFirst = true;
    for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15]] as const) {
      Deno.addSignalListener(signal, () => {
        if (!isFirst) {
          openedLog.flush();
          Deno.exit(128 + number);
        }
        isFirst = false;
        resolve(signal);
      });
    }
  });
}

/** Nothing that goes wrong anywhere may end the process: it is recorded instead. */
function containErrors(openedLog: OpenLog): void {
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    record(event.error);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    record(event.reason);
  });
  globalThis.addEventListener("unload", () => openedLog.flush());

  function record(error: unknown): void {
    openedLog.log("process.unhandled", {
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
    openedLog.flush();
  }
}

/** A folder that only its user can enter: the one that was asked for, made if need be, or a fresh one. */
async function createRuntimeDir(path: string | undefined): Promise<RuntimeDir> {
  if (path === undefined) return { path: await Deno.makeTempDir({ prefix: "wsward-" }), isOurs: true };
  try {
    await Deno.mkdir(path, { mode: 0o700 });
    return { path, isOurs: true };
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) {
      throw new StartError(`Cannot create the runtime folder "${path}": ${(cause as Error).message}`, {
        cause,
      });
    }
  }
  const info = await Deno.lstat(path);
  if (!info.isDirectory || (info.mode! & 0o077) !== 0) {
    throw new StartError(
      `Cannot use the runtime folder "${path}": it must be a folder that only its user can enter (mode 0700)`,
    );
  }
  return { path, isOurs: false };
}

async function removeRuntimeDir({ path, isOurs }: RuntimeDir): Promise<void> {
  for (const name of ["echo", "secure"]) await Deno.remove(`${path}/${name}.sock`).catch(() => {});
  if (isOurs) await Deno.remove(path).catch(() => {});
}
