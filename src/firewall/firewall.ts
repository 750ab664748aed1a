// The firewall: the public listeners and all that they share.

import { StartError } from "../core/errors.ts";
import { describeListenError } from "../core/listen_error.ts";
import { ALONE, type SharedState } from "../core/shared_state.ts";
import type { Settings } from "../core/settings/declarations.ts";
import type { CloseReason } from "../protocol/close_code.ts";
import type { Log } from "../telemetry/log.ts";
import { Admission, type DescriptorLimits } from "./admission.ts";
import { isLoopback } from "./admission/network_set.ts";
import { createRequestRules } from "./admission/request_rules.ts";
import type { ConnectionFacts } from "./connection/connection_parts.ts";
import type { FirewallMetrics } from "./counters.ts";
import { FirewallListener } from "./listener.ts";
import { MemoryBudget } from "./memory_budget.ts";
import type { TlsAcceptor } from "./tls/tls_acceptor.ts";
import { readPem } from "./tls/pem_file.ts";
import type { TlsIdentity } from "./tls/tls_identity.ts";
import type { Gate } from "./upstream/gate.ts";
import { Upstream } from "./upstream/route.ts";
import type { Served } from "./ways/served.ts";

/** An endpoint behind the firewall. */
export interface GuardedEndpoint {
  readonly name: string;
  /** The public port; 0 for a free one. */
  readonly port: number;
  /** The Unix socket of the endpoint, or the gate that decides about the clients of an upstream. */
  readonly inside: string | Gate;
}

/** What a firewall is made of. */
export interface FirewallOptions {
  readonly settings: Settings;
  readonly endpoints: readonly GuardedEndpoint[];
  /** Whether all parts of the server are ready. */
  readonly isReady: () => boolean;
  /** If left out, there is no limit until descriptors run out. */
  readonly descriptors?: DescriptorLimits;
  readonly log: Log;
  /** What other nodes know; this process is alone if left out. */
  readonly shared?: SharedState;
}

/** Where an endpoint can be reached. */
export interface PublicAddress {
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
}

/** A client that may not connect for a time: its address, or the /64 network of one. */
export interface BannedClient {
  readonly client: string;
  readonly leftMs: number;
}

/** Accepts connections until it is drained. */
export class Firewall {
  /** One for each endpoint, with the port that was bound. */
  readonly addresses: readonly PublicAddress[];
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #admission: Admission;
  readonly #tls: TlsAcceptor | undefined;
  readonly #listeners: readonly FirewallListener[];
  readonly #budget: MemoryBudget;
  #upstream: Upstream | undefined;

  private constructor(options: FirewallOptions, tls: TlsAcceptor | undefined) {
    const { settings, endpoints, isReady, descriptors, log, shared = ALONE } = options;
    this.#settings = settings;
    this.#log = log;
    this.#tls = tls;
    this.#admission = new Admission(settings, log, { descriptors, shared });
    const insides = endpoints.map(({ inside }) =>
      typeof inside === "string" ? inside : this.#upstream = new Upstream(settings, inside, log)
    );
    const budget = this.#budget = new MemoryBudget(settings.maxBufferedMemory);
    const bound: Deno.TcpListener[] = [];
    try {
      for (const { port } of endpoints) bound.push(bind(settings, port));
    } catch (error) {
      for (const listener of bound) listener.close();
      this.#admission.stop();
      throw error;
    }
    if (this.#tls === undefined && bound.some(({ addr }) => !isLoopback(addr.hostname))) {
      log("server.plaintext", {
        host: settings.host,
        hint: "give --tls-cert and --tls-key, or put a TLS proxy in front",
      });
    }
    this.addresses = endpoints.map(({ name }, i) => ({ name, ...hostAndPort(bound[i]!) }));
    this.#listeners = endpoints.map(({ name }, i) =>
      new FirewallListener({
        endpoint: name,
        listener: bound[i]!,
        tls: this.#tls,
        inside: insides[i]!,
        health: settings.healthPath === undefined ? undefined : { path: settings.healthPath, isReady },
        requestRules: createRequestRules({
          paths: typeof insides[i] === "string" ? ["/"] : settings.upstreamPath,
          isLoopbackListener: isLoopback(bound[i]!.addr.hostname),
          settings,
        }),
        limits: settings,
        admission: this.#admission,
        budget,
        log,
      })
    );
  }

  /**
   * Starts a firewall; it accepts connections when this resolves.
   *
   * @throws {StartError} when an address can't be listened on or a file can't be used; nothing is left open then.
   */
  static async start(options: FirewallOptions): Promise<Firewall> {
    const identity = readIdentity(options.settings, options.log);
    if (identity === undefined) return new Firewall(options, undefined);
    // Loaded late: without TLS, its libraries are not needed.
    const { TlsAcceptor } = await import("./tls/tls_acceptor.ts");
    return new Firewall(options, new TlsAcceptor(identity, options.log));
  }

  /** The link of an endpoint in this process to a connection; undefined if there is none. */
  link(connection: string): Served | undefined {
    for (const listener of this.#listeners) {
      const link = listener.link(connection);
      if (link !== undefined) return link;
    }
    return undefined;
  }

  /** Counts a failed authentication of a client, as a violation. */
  violation(address: string): void {
    this.#admission.violation(address);
  }

  /** Reads the files of the settings again; a file that can't be used is logged and changes nothing. */
  reload(): void {
    this.#admission.reload();
    this.#upstream?.reload();
    if (this.#tls === undefined) return;
    try {
      this.#tls.reload(readIdentity(this.#settings, this.#log)!);
      this.#log("tls.reloaded");
    } catch (error) {
      this.#log("tls.reload_failed", { reason: (error as Error).message });
    }
  }

  /** The bans of now. */
  bans(): readonly BannedClient[] {
    return this.#admission.bans();
  }

  /** Bans by a key of `banKey` for a time and closes the connections. False for loopback, unless --ban-loopback is given. */
  ban(key: string, forMs: number): boolean {
    return this.#admission.ban(key, forMs);
  }

  /** Ends a ban; returns whether there was one. */
  unban(key: string): boolean {
    return this.#admission.unban(key);
  }

  /** As {@linkcode Admission} has it: there was no descriptor for a socket. */
  lackDescriptors(): boolean {
    return this.#admission.lackDescriptors();
  }

  /** All open connections, endpoint by endpoint. */
  connections(): readonly ConnectionFacts[] {
    return this.#listeners.flatMap((listener) => [...listener.connectionFacts()]);
  }

  /** Begins to close a connection; returns whether there is one with this id. */
  closeConnection(id: string, close: CloseReason): boolean {
    return this.#listeners.some((listener) => listener.closeConnection(id, close));
  }

  /** Bans a client by its key because another node did; 0 for a ban that is over. */
  followBan(client: string, forMs: number): void {
    this.#admission.followBan(client, forMs);
  }

  /** Bans a client by its key, for what it did here and on other nodes together. */
  banForViolations(client: string): void {
    this.#admission.banForViolations(client);
  }

  /** How many connections are open. */
  get size(): number {
    return this.#admission.size;
  }

  /** Why no upstream can serve anybody, if there are upstreams. */
  problems(): readonly string[] {
    return this.#upstream?.pool.problems() ?? [];
  }

  /** What has been counted so far. */
  metrics(): FirewallMetrics {
    return {
      endpoints: this.#listeners.map(({ endpoint, counters, sendQueueBytes }) => ({
        name: endpoint,
        counters,
        refusals: this.#admission.refusalsOf(endpoint),
        sendQueueBytes,
      })),
      bansBegun: this.#admission.bansBegun,
      bansInForce: this.#admission.bans().length,
      bufferedBytes: this.#budget.usedBytes,
      upstreams: this.#upstream?.pool,
    };
  }

  /** Stops accepting, closes every connection with `close` and cuts those still open after `timeoutMs`. */
  async drain(close: CloseReason, timeoutMs: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.drain(close, timeoutMs)));
    this.#admission.stop();
  }
}

/** The certificate, key and authority that the settings name; undefined without TLS. */
function readIdentity({ tlsCert, tlsKey, tlsClientCa }: Settings, log: Log): TlsIdentity | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const cert = readPem("TLS certificate", tlsCert).text;
  const key = readPem("TLS key", tlsKey);
  if (key.isOpen) log("tls.key_open", { file: tlsKey, hint: "run chmod 600, or 640 for a group of servers" });
  const clientCa = tlsClientCa === undefined ? {} : { clientCa: readPem("TLS client CA", tlsClientCa).text };
  const files = { cert: tlsCert, key: tlsKey, clientCa: tlsClientCa };
  return { cert, key: key.text, ...clientCa, files };
}

function hostAndPort({ addr: { hostname, port } }: Deno.TcpListener): { hostname: string; port: number } {
  return { hostname, port };
}

function bind({ host: hostname, reusePort }: Settings, port: number): Deno.TcpListener {
  if (reusePort && Deno.build.os !== "linux") {
    throw new StartError(
      `Cannot use --reuse-port on ${Deno.build.os}: only Linux divides connections among processes`,
    );
  }
  try {
    return Deno.listen({ hostname, port, reusePort });
  } catch (cause) {
    const address = `${hostname}:${port}`;
    throw new StartError(`Cannot listen on "${address}": ${describeListenError(cause, address)}`, { cause });
  }
}
