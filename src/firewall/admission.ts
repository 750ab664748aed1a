// Who may connect, over all listeners: the IP rules, the limits on clients, the bans, and the record of refusals.

import type { Settings } from "../core/settings/declarations.ts";
import type { Refusal } from "../protocol/handshake.ts";
import type { RefusalRule } from "../protocol/refusal_rule.ts";
import type { Log } from "../telemetry/log.ts";
import { BANNED, type ClientLimits, ClientTable } from "./admission/client_table.ts";
import { IpRules, type IpRuleSettings } from "./admission/ip_rules.ts";
import { clientKey, createNetworkSet, type NetworkSet } from "./admission/network_set.ts";
import { RefusalLog } from "./admission/refusal_log.ts";
import { countUp } from "./counters.ts";

/** The settings that decide who may connect. */
export type AdmissionSettings =
  & ClientLimits
  & IpRuleSettings
  & Pick<Settings, "maxConnections" | "trustProxy" | "proxyProtocol" | "firewallDryRun">;

/** A connection that has to go when its address is not welcome any more. */
export interface Admitted {
  /** Called once, with why. */
  expel(refusal: Refusal): void;
}

const TOO_MANY: Refusal = {
  status: 503,
  rule: "max_connections",
  reason: "the server has too many open connections",
  headers: { "Retry-After": "5" },
};

const SWEEP_INTERVAL_MS = 1000;

/** One for the whole process. Addresses are in canonical form. */
export class Admission {
  readonly #settings: AdmissionSettings;
  readonly #log: Log;
  readonly #rules: IpRules;
  readonly #clients: ClientTable;
  readonly #proxies: NetworkSet;
  readonly #refusals: RefusalLog;
  /** Whom each address rule must be asked about again when it changes, and each ban. */
  readonly #admitted = new Map<Admitted, { readonly address: string; readonly key: string }>();
  #sweeper: ReturnType<typeof setInterval> | undefined;
  readonly #refusalCounts = new Map<string, Map<RefusalRule, number>>();
  #connections = 0;
  #bansBegun = 0;

  /** @throws {StartError} when the rules file can't be used. */
  constructor(settings: AdmissionSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#rules = new IpRules(settings);
    this.#clients = new ClientTable(settings);
    this.#proxies = createNetworkSet(settings.trustProxy);
    this.#refusals = new RefusalLog(log);
  }

  /** The addresses whose word about a client is believed. */
  get proxies(): NetworkSet {
    return this.#proxies;
  }

  /** Whether a connection from `address` begins with a PROXY preamble. */
  expectsPreamble(address: string): boolean {
    return this.#settings.proxyProtocol && this.#proxies.has(address);
  }

  /** Counts an accepted socket in, or says why there are too many. Each that was counted must be given to `leave`. */
  enter(): Refusal | undefined {
    // Not before: there is nothing to sweep, and the runtime's first timer takes time that a start does not have.
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    if (this.#connections >= this.#settings.maxConnections) {
      const refusal = this.enforce("others", TOO_MANY);
      if (refusal !== undefined) return refusal;
    }
    this.#connections++;
    return undefined;
  }

  /** Counts a socket out. */
  leave(): void {
    this.#connections--;
  }

  /** Why the client may not connect, by the rules, its ban or the number of its connections. */
  check(address: string): Refusal | undefined {
    return this.enforce(
      address,
      this.#rules.check(address) ?? this.#clients.check(clientKey(address), performance.now()),
    );
  }

  /** Counts a client's connection, which each rule passed, until `end`. */
  begin(address: string, admitted: Admitted): void {
    const key = clientKey(address);
    this.#admitted.set(admitted, { address, key });
    this.#clients.open(key);
  }

  /** Counts a client's connection out. */
  end(admitted: Admitted): void {
    const known = this.#admitted.get(admitted);
    if (known === undefined) return;
    this.#admitted.delete(admitted);
    this.#clients.close(known.key);
  }

  /** Counts a handshake, or says that the client makes too many. */
  handshake(address: string): Refusal | undefined {
    return this.enforce(address, this.#clients.handshake(clientKey(address), performance.now()));
  }

  /** Counts a violation or a failed authentication; too many of them ban the client. */
  violation(address: string): void {
    const key = clientKey(address);
    if (this.#clients.violation(key, performance.now())) this.#banned(key, this.#settings.banTime);
  }

  /** The bans of now: each key is an address, or the /64 network of one; `leftMs` is how long it still lasts. */
  bans(): { readonly client: string; readonly leftMs: number }[] {
    const nowMs = performance.now();
    return this.#clients.bans(nowMs).map(({ key, untilMs }) => ({ client: key, leftMs: untilMs - nowMs }));
  }

  /** Bans an address for a time and closes its connections. False for loopback, unless --ban-loopback is given. */
  ban(address: string, forMs: number): boolean {
    const key = clientKey(address);
    if (!this.#clients.ban(key, forMs, performance.now())) return false;
    this.#banned(key, forMs);
    return true;
  }

  /** Ends the ban of an address; returns whether there was one. */
  unban(address: string): boolean {
    return this.#clients.unban(clientKey(address), performance.now());
  }

  /** How many bans have begun. */
  get bansBegun(): number {
    return this.#bansBegun;
  }

  /** How many handshakes of an endpoint were refused, by rule. */
  refusalsOf(endpoint: string): ReadonlyMap<RefusalRule, number> {
    return this.#refusalCounts.get(endpoint) ?? new Map();
  }

  /** Records a refusal; repetitions are counted and summarised. */
  record(address: string, endpoint: string, refusal: Refusal): void {
    let counts = this.#refusalCounts.get(endpoint);
    if (counts === undefined) this.#refusalCounts.set(endpoint, counts = new Map());
    countUp(counts, refusal.rule ?? "handshake");
    // The endpoint has recorded what is wrong with the token itself, and knows more about it.
    if (refusal.rule === "endpoint" && refusal.status === 401) return;
    const fields = { peer: address, endpoint, ...this.#fieldsOf(refusal) };
    this.#refusals.record(clientKey(address), fields, performance.now());
  }

  /** Passes a refusal on, or in a dry run only records it. */
  enforce(address: string, refusal: Refusal | undefined): Refusal | undefined {
    if (refusal === undefined || !this.#settings.firewallDryRun) return refusal;
    const fields = { peer: address, ...this.#fieldsOf(refusal), dry_run: true };
    this.#refusals.record(`dry run ${address}`, fields, performance.now());
    return undefined;
  }

  #fieldsOf({ status, reason, rule = "handshake", limit, detail }: Refusal) {
    const { maxConnections, maxConnectionsPerIp, handshakeRate } = this.#settings;
    const settings: { readonly [Rule in RefusalRule]?: number } = {
      max_connections: maxConnections,
      max_connections_per_ip: maxConnectionsPerIp,
      handshake_rate: handshakeRate,
    };
    return { status, rule, reason, limit: limit ?? settings[rule], detail };
  }

  /** Reads the rules file again and closes who is not allowed any more; a bad file changes nothing. */
  reload(): void {
    const { rulesFile } = this.#settings;
    if (rulesFile === undefined) return;
    const problem = this.#rules.reload();
    if (problem !== undefined) return this.#log("rules.reload_failed", { reason: problem });
    this.#log("rules.reloaded", { file: rulesFile });
    this.#expel(({ address }) => this.#rules.check(address));
  }

  /** Ends the sweeps and logs what has been counted. */
  stop(): void {
    clearInterval(this.#sweeper);
    this.#refusals.flush();
  }

  #sweep(): void {
    const nowMs = performance.now();
    this.#clients.sweep(nowMs);
    this.#refusals.sweep(nowMs);
  }

  #banned(key: string, forMs: number): void {
    this.#bansBegun++;
    this.#log("client.banned", { peer: key, duration: Math.round(forMs) / 1000 });
    // The keys are not made anew: that takes a third of a second for ten thousand IPv6 addresses.
    this.#expel((known) => known.key === key ? BANNED : undefined);
  }

  #expel(check: (known: { readonly address: string; readonly key: string }) => Refusal | undefined): void {
    if (this.#settings.firewallDryRun) return;
    for (const [admitted, known] of this.#admitted) {
      const refusal = check(known);
      if (refusal !== undefined) admitted.expel(refusal);
    }
  }
}
