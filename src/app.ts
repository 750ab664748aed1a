// Composition: settings become objects, signals become a reload or a drain. No logic of its own.

import { urlHost } from "./core/shown.ts";
import { EventFeed } from "./admin/event_feed.ts";
import type { AdminServer } from "./admin/server.ts";
import { createKeyFileIfMissing } from "./auth/key_file.ts";
import { type KeyRing, openKeyRing } from "./auth/key_ring.ts";
import { createVerifier, type Verifier } from "./auth/token.ts";
import { StartError } from "./core/errors.ts";
import { Readiness } from "./core/readiness.ts";
import { openRuntimeDir, type RuntimeDir } from "./core/runtime_dir.ts";
import { judgesTokens, NO_LOG_FILE, type Settings } from "./core/settings.ts";
import { typed } from "./core/typed.ts";
import { parseUpstreamUrl } from "./core/upstream_text.ts";
import { SYSTEM_CLOCK } from "./endpoints/clock.ts";
import { createEchoHandler } from "./endpoints/echo.ts";
import { checkSocketPath, type Endpoint, type EndpointOptions, startEndpoint } from "./endpoints/endpoint.ts";
import { Gateway, OpenGateway } from "./endpoints/gateway/gateway.ts";
import { RevocationStore } from "./endpoints/revocation_store.ts";
import { createSecureEndpoint, loadSessionProtocol } from "./endpoints/secure.ts";
import { SecureCounters } from "./endpoints/secure_counters.ts";
import { SessionRegistry } from "./endpoints/session_registry.ts";
import { Firewall, type GuardedEndpoint } from "./firewall/firewall.ts";
import { Containment } from "./telemetry/containment.ts";
import { holdBack } from "./telemetry/held_log.ts";
import { isJournal } from "./telemetry/journal.ts";
import { type Log, type OpenLog, openLog } from "./telemetry/log.ts";
import type { ServiceManager } from "./telemetry/service_manager.ts";

type EndpointName = EndpointOptions["name"];

const SOCKET_NAMES: readonly string[] = (["echo", "secure"] satisfies EndpointName[]).map((name) =>
  `${name}.sock`
);
/** The client's socket, and both ends of the private one. */
const DESCRIPTORS_PER_CONNECTION = 3;
/** Listeners, files, the runtime's own, and some in reserve. */
const OTHER_DESCRIPTORS = 64;
/** How long the log has to say that the debugger is open. */
const DEBUGGED_MS = 50;
/** Within this time, a second signal to stop means the same as the first. */
const SAME_WISH_MS = 1000;
const STOPPING = { code: 1001, reason: "the server is stopping" };

/** What tokens are judged by, for the secure endpoint and for administrators. */
interface Judges {
  readonly keys: KeyRing;
  readonly revocations: RevocationStore;
  readonly sessions: SessionRegistry;
}

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
  const feed = settings.adminListen === undefined ? undefined : new EventFeed();
  const openedLog = openLog({
    level: settings.logLevel,
    file: settings.logFile === NO_LOG_FILE ? undefined : settings.logFile,
    format: settings.logFormat,
    maxSize: settings.logMaxSize,
    maxFiles: settings.logMaxFiles,
    chain: settings.logChain,
    isJournal: () => isJournal(readGranted("JOURNAL_STREAM")),
  });
  const shown = feed === undefined ? openedLog.log : feed.tee(openedLog.log);
  const held = holdBack(shown);
  const { log } = held;
  containErrors(openedLog, log);
  const stop = nextSignal(openedLog);
  endWhenDebugged(openedLog);
  const runtimeDir = await openRuntimeDir(settings.runtimeDir, SOCKET_NAMES);
  function onListening(addresses: readonly Address[]): void {
    const urls = addresses.map(({ url }) => url).join(" ");
    shown("server.started", { version, addresses: urls, pid: Deno.pid, config: configFile ?? "none" });
    held.release();
    warnOfFewDescriptors(settings, log);
    const { readyLines, logFormat } = settings;
    if (readyLines === "on" || (readyLines === "auto" && logFormat === "text")) {
      void printLines(addresses.map(describeAddress), log);
    }
  }
  const app = new App({ settings, version, log, feed, lostRecords: openedLog.lost, onListening }, runtimeDir);
  // Whoever closes the terminal wants the program to end; without one, SIGHUP means to reload.
  const terminals = [Deno.stdin, Deno.stdout, Deno.stderr].filter((stream) => stream.isTerminal());
  const { promise: terminalClosed, resolve: closed } = Promise.withResolvers<Deno.Signal>();
  let manager: ServiceManager | undefined;
  const tellReady = () => manager?.notify("READY=1", "STATUS=Serving");
  // Before anybody can know that the program runs: by default the signal ends it.
  addSignalListener("SIGHUP", () => {
    if (terminals.some((stream) => !stream.isTerminal())) return closed("SIGHUP");
    openedLog.reopen();
    manager?.notify("RELOADING=1", "STATUS=Reloading");
    void app.reload().finally(tellReady);
  });
  try {
    await app.start();
    manager = await findServiceManager(runtimeDir, log);
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
    held.release();
    await openedLog.finish();
  }
  return 0;
}

/** A server that runs within another command. */
export interface GuestServer {
  /** Its ready lines. */
  readonly lines: readonly string[];
  /** Ends it without a drain. */
  stop(): Promise<void>;
}

/**
 * Starts a server within another command, which keeps its signals and its terminal: nothing is logged or printed.
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

interface AppOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  /** Gets all records; there with --admin-listen. */
  readonly feed: EventFeed | undefined;
  /** How many records the log file could not be given. */
  readonly lostRecords: () => number;
  /** Called once, when all of these are listened on. */
  readonly onListening: (addresses: readonly Address[]) => void;
}

/** What is listened on. */
interface Address {
  readonly url: string;
  readonly name: EndpointName | "admin";
}

/** Everything that runs, in the order in which it is started. */
class App {
  readonly #options: AppOptions;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #runtimeDir: RuntimeDir;
  readonly #endpoints = new Map<EndpointName, Endpoint>();
  readonly #counters = new SecureCounters();
  #keys: KeyRing | undefined;
  #revocations: RevocationStore | undefined;
  #firewall: Firewall | undefined;
  #admin: AdminServer | undefined;
  /** Whoever makes a part that can be out of order adds a check of it. */
  readonly #readiness = new Readiness();
  #isDraining = false;

  constructor(options: AppOptions, runtimeDir: RuntimeDir) {
    this.#options = options;
    this.#settings = options.settings;
    this.#log = options.log;
    this.#runtimeDir = runtimeDir;
    this.#readiness.add(() => {
      if (this.#isDraining) return ["draining"];
      return this.#firewall === undefined ? ["starting"] : [];
    });
    this.#readiness.add(() =>
      Array.from(this.#endpoints).filter(([, { isListening }]) => !isListening)
        .map(([name]) => `the endpoint ${name} is down`)
    );
    this.#readiness.add(() =>
      this.#keys?.isUsable === false ? ["there is no key to judge tokens by yet"] : []
    );
    this.#readiness.add(() =>
      Array.from(this.#endpoints.keys()).filter((name) => !runtimeDir.holds(`${name}.sock`))
        .map((name) => `the private socket of the endpoint ${name} is gone`)
    );
    this.#readiness.add(() => this.#firewall?.problems() ?? []);
  }

  async start(): Promise<void> {
    const settings = this.#settings;
    const isAdministered = settings.adminListen !== undefined;
    const judges = judgesTokens(settings) || isAdministered ? await this.#openJudges() : undefined;
    // First, so that it can tell that the others are not there yet.
    if (judges !== undefined) await this.#startAdmin(judges);
    const guarded: GuardedEndpoint[] = [];
    const hasUpstream = settings.upstream.length > 0;
    if (settings.echo) guarded.push(this.#guard("echo", settings.echoPort));
    if (hasUpstream) {
      guarded.push({ name: "upstream", port: settings.securePort, inside: this.#createGate(judges) });
      for (const url of settings.upstream) checkMayConnect(url);
    } else if (settings.secure) {
      guarded.push(this.#guard("secure", settings.securePort));
    }
    // What could fail after the ready line has to fail before it.
    for (const { inside } of guarded) if (typeof inside === "string") checkSocketPath(inside);
    this.#firewall = await Firewall.start({ settings, endpoints: guarded, log: this.#log });
    const scheme = settings.tlsCert === undefined ? "ws" : "wss";
    const addresses = this.#firewall.addresses.map(({ name, hostname, port }): Address => {
      const host = urlHost(hostname);
      return { url: `${scheme}://${host}:${port}/`, name: name as EndpointName };
    });
    if (this.#admin !== undefined) addresses.push({ url: this.#admin.url, name: "admin" });
    this.#options.onListening(addresses);
    // Last, because the runtime's HTTP server takes longer to load than all the rest. The firewall comes to nobody's turn
    // before: until this returns the event loop stands still.
    if (settings.echo) {
      this.#startEndpoint("echo", { createHandler: createEchoHandler({ prefix: settings.echoPrefix }) });
    }
    if (settings.secure && !hasUpstream && judges !== undefined) {
      this.#startEndpoint("secure", this.#createSecure(judges));
    }
  }

  /** Loads what the first session would wait for otherwise. What can't be loaded ends the process, and not that session. */
  async loadRest(): Promise<void> {
    if (this.#endpoints.has("secure")) await loadSessionProtocol();
  }

  /** Reads again what the settings name: rules, certificates, keys. What can't be used is logged and stays as it was. */
  async reload(): Promise<void> {
    this.#firewall?.reload();
    if (this.#keys === undefined) return;
    const reason = await this.#keys.reload();
    if (reason === undefined) this.#log("keys.reloaded");
    else this.#log("keys.reload_failed", { reason });
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#firewall?.drain(STOPPING, this.#settings.drainTimeout);
  }

  async close(): Promise<void> {
    for (const endpoint of this.#endpoints.values()) await endpoint.stop();
    await this.#admin?.stop();
    this.#revocations?.close();
    this.#runtimeDir.close();
  }

  #guard(name: EndpointName, port: number): GuardedEndpoint {
    return { name, port, inside: this.#socketPath(name) };
  }

  #startEndpoint(name: EndpointName, options: Pick<EndpointOptions, "createHandler" | "admit">): void {
    const endpoint = startEndpoint({
      name,
      socketPath: this.#socketPath(name),
      linkOf: (connection) => this.#firewall?.link(connection),
      log: this.#log,
      ...options,
    });
    this.#endpoints.set(name, endpoint);
  }

  #socketPath(name: EndpointName): string {
    return `${this.#runtimeDir.path}/${name}.sock`;
  }

  async #openJudges(): Promise<Judges> {
    const settings = this.#settings;
    const log = this.#log;
    if (
      settings.jwksUrl === undefined && await createKeyFileIfMissing(settings.keyFile, settings.keyEncoding)
    ) {
      log("key.created", {
        file: settings.keyFile,
        hint: typed("make a token with: wsward token create --user NAME"),
      });
    }
    this.#keys = await openKeyRing({
      keyFile: settings.keyFile,
      keyEncoding: settings.keyEncoding,
      onDoubt: (reason) => log("keys.doubtful", { file: settings.keyFile, reason }),
      jwksUrl: settings.jwksUrl,
      onFetch: ({ reason, keys, ignored, fault }) => {
        if (reason !== undefined) log("keys.fetch_failed", { reason, keys });
        else log("keys.fetched", { keys, ignored, detail: fault });
      },
    });
    const revocations = this.#revocations = new RevocationStore({
      path: settings.stateFile,
      clockToleranceMs: settings.clockTolerance,
    });
    const { maxSessionsPerUser, onSessionLimit, replayCheck } = settings;
    const sessions = new SessionRegistry({
      revocations,
      maxSessionsPerUser,
      onSessionLimit,
      replayCheck,
      log,
    });
    return { keys: this.#keys, revocations, sessions };
  }

  #createVerifier({ keys }: Judges): Verifier {
    const settings = this.#settings;
    return createVerifier(keys, {
      issuer: settings.issuer,
      audience: settings.audience,
      tokenType: settings.tokenType,
      maxTokenAgeMs: settings.maxTokenAge,
      clockToleranceMs: settings.clockTolerance,
    });
  }

  async #startAdmin(judges: Judges): Promise<void> {
    const { settings, feed, version, log } = this.#options;
    if (settings.adminListen === undefined || feed === undefined) return;
    // Loaded late: without it the metrics library costs nothing.
    const { startAdmin } = await import("./admin/server.ts");
    this.#admin = startAdmin({
      listen: settings.adminListen,
      version,
      isSecure: settings.tlsCert !== undefined,
      scope: settings.adminScope,
      verifier: this.#createVerifier(judges),
      isRevoked: (identity) => judges.revocations.covers(identity),
      banTimeMs: settings.banTime,
      firewall: () => this.#firewall,
      readiness: this.#readiness,
      sessions: judges.sessions,
      counters: this.#counters,
      feed,
      lostRecords: this.#options.lostRecords,
      reservePath: this.#runtimeDir.path,
      log,
    });
  }

  /** Who decides about the clients of somebody else's server. */
  #createGate(judges: Judges | undefined): Gateway | OpenGateway {
    const settings = this.#settings;
    if (judges === undefined || settings.upstreamAuth === "none") {
      return new OpenGateway(settings.upstreamForwardToken);
    }
    return new Gateway({
      verifier: this.#counters.timed(this.#createVerifier(judges)),
      sessions: judges.sessions,
      counters: this.#counters,
      clock: SYSTEM_CLOCK,
      authTimeoutMs: settings.authTimeout,
      insecureTokenInQuery: settings.insecureTokenInQuery,
      tokenCookie: settings.tokenCookie,
      claims: settings.upstreamClaim,
      claimsHeader: settings.upstreamClaimsHeader,
      forwardToken: settings.upstreamForwardToken,
      onFailedAuthentication: (address) => this.#firewall?.violation(address),
      log: this.#log,
    });
  }

  #createSecure(judges: Judges): Pick<EndpointOptions, "createHandler" | "admit"> {
    const settings = this.#settings;
    return createSecureEndpoint({
      verifier: this.#counters.timed(this.#createVerifier(judges)),
      authTimeoutMs: settings.authTimeout,
      prefix: settings.echoPrefix,
      log: this.#log,
      sessions: judges.sessions,
      counters: this.#counters,
      expiryWarningMs: settings.expiryWarning,
      maxRpcMessageSize: settings.maxRpcMessageSize,
      insecureTokenInQuery: settings.insecureTokenInQuery,
      tokenCookie: settings.tokenCookie,
      onFailedAuthentication: (address) => this.#firewall?.violation(address),
    });
  }
}

function describeAddress({ url, name }: Address): string {
  return name === "admin" ? `Admin on ${url}` : `Listening on ${url} (${name})`;
}

/** Prints lines on stdout. Nobody waits for it: a pipe without a reader must not stop the server. */
async function printLines(lines: readonly string[], log: Log): Promise<void> {
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

/** The runtime can't say how many files it may open, so whoever starts it may: the executable's script, the start task. */
function warnOfFewDescriptors({ maxConnections }: Settings, log: Log): void {
  const limit = Number(readGranted("WSWARD_OPEN_FILES"));
  const needed = DESCRIPTORS_PER_CONNECTION * maxConnections + OTHER_DESCRIPTORS;
  // Neither without the variable nor for "unlimited".
  if (!(limit < needed)) return;
  const hint = "raise it (ulimit -n, LimitNOFILE), or lower --max-connections";
  log("server.few_descriptors", { limit, value: needed, hint });
}

/**
 * Asks the runtime whether an upstream may be connected to, so that a start and not the first client finds out.
 *
 * @throws {StartError} when it may not
 */
function checkMayConnect(url: string): void {
  const address = parseUpstreamUrl(url)!;
  if (address.kind === "unix") {
    const { path } = address;
    const isGranted = (["read", "write"] as const)
      .every((name) => Deno.permissions.querySync({ name, path }).state === "granted");
    if (isGranted) return;
  } else {
    const name = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
    if (Deno.permissions.querySync({ name: "net", host: `${name}:${address.port}` }).state === "granted") {
      return;
    }
  }
  throw new StartError(
    `Cannot use the upstream "${url}": permission was not granted; run with the flags that serve --print-permissions prints`,
  );
}

/** The service manager that started the program and asks to be told how it is, or nothing. */
async function findServiceManager(runtimeDir: RuntimeDir, log: Log): Promise<ServiceManager | undefined> {
  const address = readGranted("NOTIFY_SOCKET");
  if (address === undefined) return undefined;
  // Loaded late: most starts are by hand.
  const { ServiceManager } = await import("./telemetry/service_manager.ts");
  return new ServiceManager({
    address,
    ownPath: `${runtimeDir.path}/notify.sock`,
    onFailure: (reason) => log("server.notify_failed", { reason }),
  });
}

/** A variable, if the program was given the permission to read it. */
function readGranted(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * Resolves with the first signal that asks to stop. Another one ends the process at once, unless it comes within a second:
 * a task runner and a terminal both pass one Ctrl-C on.
 */
function nextSignal(openedLog: OpenLog): Promise<Deno.Signal> {
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
 * At SIGUSR1 the runtime opens a debugger, which nothing in here can prevent or close, and in which any local user can run
 * code. Unless the signal is blocked from outside (`env --block-signal=USR1`), it ends the program, as it does by default.
 */
function endWhenDebugged(openedLog: OpenLog): void {
  addSignalListener("SIGUSR1", () => {
    openedLog.log("process.debugger_opened", { hint: "start it with: env --block-signal=USR1" });
    void openedLog.finish(DEBUGGED_MS).finally(() => Deno.exit(1));
  });
}

function addSignalListener(signal: Deno.Signal, listener: () => void): void {
  // Windows knows no SIGHUP and no SIGTERM; what can't be listened for can't come either.
  if (Deno.build.os === "windows" && signal !== "SIGINT") return;
  Deno.addSignalListener(signal, listener);
}

/** Nothing that goes wrong anywhere may end the process: it is recorded instead. */
function containErrors(openedLog: OpenLog, log: Log): void {
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
