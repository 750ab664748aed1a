// Composition: settings become objects, in order. No logic of its own.

import type { EventFeed } from "../admin/event_feed.ts";
import type { MetricsServer } from "../admin/metrics_server.ts";
import type { MonitoredParts } from "../admin/monitor.ts";
import type { AdminServer } from "../admin/server.ts";
import { descriptorsForPeers } from "../core/descriptors.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { Readiness } from "../core/readiness.ts";
import type { RuntimeDir } from "../core/runtime_dir.ts";
import type { Settings } from "../core/settings/declarations.ts";
import { type EndpointName, listEndpoints } from "../core/settings/endpoints.ts";
import { judgesTokens } from "../core/settings/settings.ts";
import { ALONE } from "../core/shared_state.ts";
import { urlHost } from "../core/shown.ts";
import { createEchoHandler } from "../endpoints/echo.ts";
import {
  checkSocketPath,
  type Endpoint,
  type EndpointOptions,
  startEndpoint,
} from "../endpoints/endpoint.ts";
import { Gateway, OpenGateway } from "../endpoints/gateway/gateway.ts";
import { createSecureEndpoint, loadSessionProtocol } from "../endpoints/secure/secure.ts";
import { SYSTEM_CLOCK } from "../endpoints/sessions/clock.ts";
import { SecureCounters } from "../endpoints/sessions/secure_counters.ts";
import { Firewall, type GuardedEndpoint } from "../firewall/firewall.ts";
import { checkMayConnect } from "../firewall/upstream/permission.ts";
import { openFileLimit } from "../process/granted.ts";
import type { Log } from "../telemetry/log.ts";
import { createJudge, type Judges, openJudges } from "./judges.ts";

const STOPPING = { code: 1001, reason: "the server is stopping" };

/** What an {@linkcode App} needs from whoever starts it. */
export interface AppOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  /** Gets all records; set with --admin-listen or --metrics-listen. */
  readonly feed: EventFeed | undefined;
  /** How many records the log file could not be given. */
  readonly lostRecords: () => number;
  /** Called once, when the server listens on all of these. */
  readonly onListening: (addresses: readonly Address[]) => void;
}

/** An address that is listened on. */
export interface Address {
  readonly url: string;
  readonly name: EndpointName | "admin" | "metrics";
}

/** Everything that runs, in the order in which it is started. */
export class App {
  readonly #options: AppOptions;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #runtimeDir: RuntimeDir;
  readonly #endpoints = new Map<EndpointName, Endpoint>();
  readonly #counters = new SecureCounters();
  #judges: Judges | undefined;
  #firewall: Firewall | undefined;
  /** The other nodes; set with --redis. */
  #cluster: Cluster | undefined;
  #admin: AdminServer | undefined;
  #metrics: MetricsServer | undefined;
  /** Each part that can be out of order adds a check. */
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
      this.#judges?.keys.isUsable === false ? ["there is no key to judge tokens by yet"] : []
    );
    this.#readiness.add(() =>
      listEndpoints(options.settings)
        .filter(({ name, socket }) =>
          socket !== undefined && this.#endpoints.has(name) && !runtimeDir.holds(socket)
        )
        .map(({ name }) => `the private socket of the endpoint ${name} is gone`)
    );
    this.#readiness.add(() => this.#firewall?.problems() ?? []);
    this.#readiness.addWarning(() =>
      this.#cluster?.isUp === false ? ["Redis can't be used: this node decides alone"] : []
    );
  }

  async start(): Promise<void> {
    const settings = this.#settings;
    this.#cluster = await this.#createCluster();
    const shared = this.#cluster ?? ALONE;
    if (judgesTokens(settings)) this.#judges = await openJudges(settings, this.#log, shared);
    // First, so that they can show that the other parts are not ready yet.
    if (this.#judges !== undefined) await this.#startAdmin(this.#judges);
    await this.#startMetrics();
    for (const url of settings.upstream) checkMayConnect(url);
    const listed = listEndpoints(settings);
    const guarded = listed.map(({ name, port, socket }): GuardedEndpoint => ({
      name,
      port,
      inside: socket === undefined ? this.#createGate(this.#judges) : this.#socketPath(socket),
    }));
    // What could fail after the ready line is checked before it.
    for (const { inside } of guarded) if (typeof inside === "string") checkSocketPath(inside);
    await this.#cluster?.start(this.#judges?.sessions);
    this.#firewall = await Firewall.start({
      settings,
      shared,
      endpoints: guarded,
      isReady: () => this.#readiness.problems().length === 0,
      descriptors: {
        most: descriptorsForPeers(openFileLimit(), settings),
        reservePath: this.#runtimeDir.path,
      },
      log: this.#log,
    });
    const scheme = settings.tlsCert === undefined ? "ws" : "wss";
    const addresses = this.#firewall.addresses.map(({ name, hostname, port }): Address => {
      const host = urlHost(hostname);
      return { url: `${scheme}://${host}:${port}/`, name: name as EndpointName };
    });
    this.#cluster?.guard(this.#firewall, addresses.map(({ url }) => url));
    if (this.#admin !== undefined) addresses.push({ url: this.#admin.url, name: "admin" });
    if (this.#metrics !== undefined) addresses.push({ url: this.#metrics.url, name: "metrics" });
    this.#options.onListening(addresses);
    // Last, because the runtime's HTTP server takes longer to load than all the rest. Until this returns the event loop
    // does not run, so no client is served before.
    for (const { name, socket } of listed) {
      if (socket !== undefined) this.#startEndpoint(name, this.#socketPath(socket));
    }
  }

  /**
   * Loads what the first session would have to wait for. If it can't be loaded, the process ends, and not that session.
   */
  async loadRest(): Promise<void> {
    if (this.#endpoints.has("secure")) await loadSessionProtocol();
  }

  /**
   * Reads the files of the settings again: rules, certificates, keys. A file that can't be used is logged and changes
   * nothing.
   */
  async reload(): Promise<void> {
    this.#firewall?.reload();
    this.#metrics?.reload();
    this.#cluster?.reload();
    if (this.#judges === undefined) return;
    const reason = await this.#judges.keys.reload();
    if (reason === undefined) this.#log("keys.reloaded");
    else this.#log("keys.reload_failed", { reason });
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#cluster?.leave();
    await this.#firewall?.drain(STOPPING, this.#settings.drainTimeout);
  }

  async close(): Promise<void> {
    for (const endpoint of this.#endpoints.values()) await endpoint.stop();
    await this.#admin?.stop();
    await this.#cluster?.stop();
    await this.#metrics?.stop();
    this.#judges?.revocations.close();
    this.#runtimeDir.close();
  }

  #startEndpoint(name: EndpointName, socketPath: string): void {
    const options = name === "echo"
      ? { createHandler: createEchoHandler({ prefix: this.#settings.echoPrefix }) }
      : this.#createSecure(this.#judges!);
    const endpoint = startEndpoint({
      name,
      socketPath,
      linkOf: (connection) => this.#firewall?.link(connection),
      log: this.#log,
      ...options,
    });
    this.#endpoints.set(name, endpoint);
  }

  async #createCluster(): Promise<Cluster | undefined> {
    const { settings, version, log } = this.#options;
    if (settings.redis === undefined) return undefined;
    // Loaded late: a process alone does not need it.
    const { Cluster } = await import("../cluster/cluster.ts");
    return new Cluster({ settings, version, log });
  }

  #socketPath(socket: string): string {
    return `${this.#runtimeDir.path}/${socket}`;
  }

  async #startAdmin(judges: Judges): Promise<void> {
    const { settings, feed, log } = this.#options;
    if (settings.adminListen === undefined || feed === undefined) return;
    // Loaded late: without it the metrics library costs nothing.
    const { startAdmin } = await import("../admin/server.ts");
    this.#admin = startAdmin({
      ...this.#monitoredParts(feed),
      listen: settings.adminListen,
      scope: settings.adminScope,
      verifier: createJudge(judges, settings),
      isRevoked: (identity) => judges.revocations.covers(identity),
      banTimeMs: settings.banTime,
      sessions: judges.sessions,
      log,
    });
  }

  async #startMetrics(): Promise<void> {
    const { settings, feed, log } = this.#options;
    if (settings.metricsListen === undefined || feed === undefined) return;
    const { startMetrics } = await import("../admin/metrics_server.ts");
    this.#metrics = startMetrics({
      ...this.#monitoredParts(feed),
      listen: settings.metricsListen,
      tokenFile: settings.metricsTokenFile,
      log,
    });
  }

  #monitoredParts(feed: EventFeed): MonitoredParts {
    const { settings, version, lostRecords } = this.#options;
    return {
      version,
      isSecure: settings.tlsCert !== undefined,
      firewall: () => this.#firewall,
      readiness: this.#readiness,
      sessions: this.#judges?.sessions,
      cluster: this.#cluster,
      counters: this.#counters,
      feed,
      lostRecords,
    };
  }

  /** What decides about the clients of an upstream. */
  #createGate(judges: Judges | undefined): Gateway | OpenGateway {
    const settings = this.#settings;
    if (judges === undefined || settings.upstreamAuth === "none") {
      return new OpenGateway(settings.upstreamForwardToken);
    }
    return new Gateway({
      verifier: this.#counters.timed(createJudge(judges, settings)),
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
      verifier: this.#counters.timed(createJudge(judges, settings)),
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

/** The ready line of an address. */
export function describeAddress({ url, name }: Address): string {
  if (name === "admin") return `Admin on ${url}`;
  return name === "metrics" ? `Metrics on ${url}` : `Listening on ${url} (${name})`;
}
