// Who may connect, over all listeners: the IP rules, the limits on clients, the bans, and the record of refusals.

import { connectionsWithin, usedDescriptors } from "../core/descriptors.ts";
import { ALONE, type SharedState } from "../core/shared_state.ts";
import type { Settings } from "../core/settings/declarations.ts";
import { TokenBucket } from "../core/token_bucket.ts";
import type { Refusal } from "../protocol/handshake.ts";
import type { RefusalRule } from "../protocol/refusal_rule.ts";
import type { Log } from "../telemetry/log.ts";
import { BANNED, type ClientLimits, ClientTable, TOO_MANY_CONNECTIONS } from "./admission/client_table.ts";
import { IpRules, type IpRuleSettings } from "./admission/ip_rules.ts";
import { NetworkBans } from "./admission/network_bans.ts";
import {
  banKey,
  clientKey,
  createNetworkSet,
  isNetworkKey,
  type NetworkSet,
} from "./admission/network_set.ts";
import { Newcomers } from "./admission/newcomers.ts";
import { countUp } from "./counters.ts";

/** The settings that decide who may connect. */
export type AdmissionSettings =
  & ClientLimits
  & IpRuleSettings
  & Pick<Settings, "maxConnections" | "trustProxy" | "proxyProtocol" | "firewallDryRun">;

/** Somebody who has connected, from the accept to the end. */
export interface Visitor {
  /** Its address, as far as it is known. */
  readonly address: string;
  readonly endpoint: string;
  /** Ends it, because its address is not welcome any more: called at most once, with the reason. */
  expel(refusal: Refusal): void;
  /**
   * Gives its place to another, and is told why if `mayExplain` says so: called at most once, and not once it is being
   * joined to the endpoint.
   */
  makeRoom(refusal: Refusal, mayExplain: () => boolean): void;
}

/** The descriptors that peers may use. */
export interface DescriptorLimits {
  /** How many; `NaN` if that is not known. */
  readonly most: number;
  /** A file or a folder that may be read: descriptors of it are kept in reserve until the limit is known. */
  readonly reservePath: string;
}

const TOO_MANY: Refusal = {
  status: 503,
  rule: "max_connections",
  reason: "the server has too many open connections",
  headers: { "Retry-After": "5" },
};

const SWEEP_INTERVAL_MS = 1000;

/** How many descriptors are held in reserve while their limit is not known. */
const RESERVED_DESCRIPTORS = 8;
/** How many are left free when it is, besides those that connections may need. */
const SPARE_DESCRIPTORS = 16;
/** With this many sockets without a place, nobody is accepted: a flood would take all descriptors otherwise. */
const MOST_LEAVING = 8;
/** The share of the places that one client may have where places are few. */
const CLIENT_SHARE = 3 / 4;
/** How many peers a second that are refused before they send anything are told why. */
const MOST_EXPLAINED = 1000;
/** How long it takes until descriptors that were let go are free, in milliseconds. */
const LACK_INTERVAL_MS = 100;

/** There is one for the whole process. Addresses are in canonical form. */
export class Admission {
  readonly #settings: AdmissionSettings;
  readonly #log: Log;
  readonly #shared: SharedState;
  readonly #rules: IpRules;
  readonly #clients: ClientTable;
  readonly #networks: NetworkBans;
  readonly #proxies: NetworkSet;
  /** Those to check again when an address rule or a ban changes. */
  readonly #admitted = new Map<Visitor, { readonly address: string; readonly key: string }>();
  #sweeper: ReturnType<typeof setInterval> | undefined;
  readonly #refusalCounts = new Map<string, Map<RefusalRule, number>>();
  /** Everybody who has a place, and those of them who could lose it. */
  readonly #visitors = new Set<Visitor>();
  readonly #newcomers = new Newcomers<Visitor>();
  /** How many have no place and are not closed yet. */
  #leaving = 0;
  /** How many places there are descriptors for. */
  #places: number;
  readonly #reservePath: string | undefined;
  readonly #reserve: Deno.FsFile[] = [];
  #lackedMs = -Infinity;
  readonly #explanations = new TokenBucket(MOST_EXPLAINED);
  #bansBegun = 0;

  /**
   * @param descriptors Without it, there is no limit until one is found.
   * @throws {StartError} when the rules file can't be used.
   */
  constructor(
    settings: AdmissionSettings,
    log: Log,
    { descriptors, shared = ALONE }: { descriptors?: DescriptorLimits | undefined; shared?: SharedState } =
      {},
  ) {
    this.#settings = settings;
    this.#log = log;
    this.#shared = shared;
    this.#places = connectionsWithin(descriptors?.most || Infinity);
    this.#reservePath = descriptors?.reservePath;
    this.#rules = new IpRules(settings);
    this.#clients = new ClientTable(settings);
    this.#networks = new NetworkBans(settings.banLoopback);
    this.#proxies = createNetworkSet(settings.trustProxy);
  }

  /** The proxies whose word about a client is trusted. */
  get proxies(): NetworkSet {
    return this.#proxies;
  }

  /** Whether a connection from `address` begins with a PROXY preamble. */
  expectsPreamble(address: string): boolean {
    return this.#settings.proxyProtocol && this.#proxies.has(address);
  }

  /**
   * Whether one more peer that is refused before it sends anything is told why: an answer costs as much as five
   * accepts.
   */
  readonly mayExplain = (): boolean => this.#explanations.take(1, performance.now());

  /**
   * Gives an accepted socket its place, or says why there is none. Each must be given to `leave` when it is closed.
   *
   * When all places are taken, the client with most newcomers loses its oldest one. A head that is sent at once is read
   * before that many others can come, so those who only hold places take them from each other.
   */
  enter(visitor: Visitor): Refusal | undefined {
    this.#begin();
    const { maxConnections, firewallDryRun } = this.#settings;
    // A dry run has no more descriptors than a real one.
    const most = firewallDryRun ? this.#places : Math.min(maxConnections, this.#places);
    if (this.#visitors.size >= most && !this.#makeRoom(most)) {
      this.#leaving++;
      return { ...TOO_MANY, limit: most };
    }
    if (this.#visitors.size >= maxConnections) this.enforce("others", TOO_MANY);
    this.#visitors.add(visitor);
    this.#newcomers.add(visitor, clientKey(visitor.address));
    return undefined;
  }

  /**
   * From now on the visitor keeps its place: it is about to be a connection. Refused where there are fewer places than
   * there may be connections, and its client has its share of them already.
   */
  settle(visitor: Visitor): Refusal | undefined {
    const key = clientKey(visitor.address);
    const most = Math.max(1, Math.floor(this.#places * CLIENT_SHARE));
    if (most < this.#settings.maxConnectionsPerIp && this.#settings.maxConnectionsPerIp !== Infinity) {
      const settled = this.#clients.connectionsOf(key) - this.#newcomers.countOf(key);
      if (settled >= most) return { ...TOO_MANY_CONNECTIONS, limit: most };
    }
    this.#newcomers.delete(visitor);
    return undefined;
  }

  /** It is not becoming a connection and only has to read why: others may have its place. */
  unsettle(visitor: Visitor): void {
    if (this.#visitors.has(visitor)) this.#newcomers.add(visitor, clientKey(visitor.address));
  }

  /** Takes back the place of a visitor that is gone, if it had one. */
  leave(visitor: Visitor): void {
    if (!this.#visitors.delete(visitor)) this.#leaving--;
    this.#newcomers.delete(visitor);
  }

  /** Whether too many sockets without a place are still open to accept another one. */
  get isCrowded(): boolean {
    return this.#leaving >= MOST_LEAVING;
  }

  /**
   * To be called when there was no descriptor for a socket: from now on there are only as many places as descriptors
   * were found, and peers beyond that go. Returns whether there may be descriptors soon.
   */
  lackDescriptors(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#lackedMs < LACK_INTERVAL_MS) return true;
    this.#lackedMs = nowMs;
    const { size } = this.#newcomers;
    const left = usedDescriptors(this.#visitors.size - size) + size + this.#reserve.length -
      SPARE_DESCRIPTORS;
    this.#places = Math.min(this.#places, connectionsWithin(left));
    let isReleased = this.#release();
    while (this.#visitors.size > this.#places && this.#makeRoom(this.#places)) isReleased = true;
    return isReleased;
  }

  #release(): boolean {
    const files = this.#reserve.splice(0);
    for (const file of files) file.close();
    return files.length > 0;
  }

  /** Lets a newcomer go, if there is one: no more than `limit` may have places. */
  #makeRoom(limit: number): boolean {
    const refusal = { ...TOO_MANY, limit };
    const worst = this.#newcomers.takeWorst();
    if (worst === undefined) return false;
    this.#visitors.delete(worst);
    this.#leaving++;
    this.record(worst.address, worst.endpoint, refusal);
    worst.makeRoom(refusal, this.mayExplain);
    return true;
  }

  /** Not before somebody comes: there is nothing to sweep, and the runtime's first timer would slow down the start. */
  #begin(): void {
    if (this.#sweeper !== undefined) return;
    this.#sweeper = setInterval(() => this.#clients.sweep(performance.now()), SWEEP_INTERVAL_MS);
    if (this.#reservePath === undefined || this.#places !== Infinity) return;
    try {
      while (this.#reserve.length < RESERVED_DESCRIPTORS) {
        this.#reserve.push(Deno.openSync(this.#reservePath));
      }
    } catch {
      // There are none left, or the folder may not be read: without a reserve, running out of them costs more the first
      // time.
    }
  }

  /** Why the client may not connect, by the rules, its ban or the number of its connections. */
  check(address: string): Refusal | undefined {
    return this.enforce(
      address,
      this.#rules.check(address) ?? this.#banOfNetwork(address) ??
        this.#clients.check(clientKey(address), performance.now()),
    );
  }

  /** Counts a client's connection, which has passed all rules, until `end`. */
  begin(address: string, admitted: Visitor): void {
    const key = clientKey(address);
    this.#admitted.set(admitted, { address, key });
    this.#clients.open(key);
    // A proxy may have named another client for it.
    this.#newcomers.move(admitted, key);
  }

  /** Ends the count of a client's connection. */
  end(admitted: Visitor): void {
    const known = this.#admitted.get(admitted);
    if (known === undefined) return;
    this.#admitted.delete(admitted);
    this.#clients.close(known.key);
  }

  /** Counts a handshake, or returns the refusal if the client makes too many. */
  handshake(address: string): Refusal | undefined {
    return this.enforce(address, this.#clients.handshake(clientKey(address), performance.now()));
  }

  /** Counts a violation or a failed authentication; too many of them ban the client. A dry run tells no other node. */
  violation(address: string): void {
    const key = clientKey(address);
    const { banTime, firewallDryRun } = this.#settings;
    const isBan = this.#clients.violation(key, performance.now());
    if (firewallDryRun) isBan && this.#banned(key, banTime);
    else if (isBan) this.#bannedHere(key, banTime);
    else this.#shared.violated(key);
  }

  /** The bans of now: each key is as `banKey` writes it; `leftMs` is how long it still lasts. */
  bans(): { readonly client: string; readonly leftMs: number }[] {
    const nowMs = performance.now();
    return [...this.#clients.bans(nowMs), ...this.#networks.bans(nowMs)].map(({ key, untilMs }) => ({
      client: key,
      leftMs: untilMs - nowMs,
    }));
  }

  /**
   * Bans a client or a network, by the key that `banKey` gives, for a time and closes its connections. False for loopback,
   * unless --ban-loopback is given.
   */
  ban(key: string, forMs: number): boolean {
    if (!this.#tableOf(key).ban(key, forMs, performance.now())) return false;
    this.#bannedHere(key, forMs);
    return true;
  }

  /** Bans a client or a network by its key because another node did; `forMs` is 0 for a ban that is over. */
  followBan(key: string, forMs: number): void {
    // The key comes from elsewhere, so it is checked.
    if (isNetworkKey(key) && banKey(key) !== key) return;
    const table = this.#tableOf(key);
    if (forMs <= 0) table.unban(key, performance.now());
    else if (table.ban(key, forMs, performance.now())) this.#banned(key, forMs);
  }

  #tableOf(key: string): ClientTable | NetworkBans {
    return isNetworkKey(key) ? this.#networks : this.#clients;
  }

  #banOfNetwork(address: string): Refusal | undefined {
    return this.#networks.has(address, performance.now()) ? BANNED : undefined;
  }

  /** Bans a client by its key, for what it did here and on other nodes together. */
  banForViolations(key: string): void {
    const { banTime } = this.#settings;
    // It may be banned already, and for longer.
    if (this.#clients.isBanned(key, performance.now())) return;
    if (this.#clients.ban(key, banTime, performance.now())) this.#bannedHere(key, banTime);
  }

  /** Ends the ban of a client or a network, by its key; returns whether there was one. */
  unban(key: string): boolean {
    const wasBanned = this.#tableOf(key).unban(key, performance.now());
    if (wasBanned) this.#shared.unbanned(key);
    return wasBanned;
  }

  /** How many connections are open. */
  get size(): number {
    return this.#visitors.size;
  }

  /** How many bans have begun. */
  get bansBegun(): number {
    return this.#bansBegun;
  }

  /** How many handshakes of an endpoint were refused, by rule. */
  refusalsOf(endpoint: string): ReadonlyMap<RefusalRule, number> {
    return this.#refusalCounts.get(endpoint) ?? new Map();
  }

  /** Counts and records a refusal. */
  record(address: string, endpoint: string, refusal: Refusal): void {
    let counts = this.#refusalCounts.get(endpoint);
    if (counts === undefined) this.#refusalCounts.set(endpoint, counts = new Map());
    countUp(counts, refusal.rule ?? "handshake");
    // The endpoint has recorded what is wrong with the token, and knows more about it.
    if (refusal.rule === "endpoint" && refusal.status === 401) return;
    this.#log("handshake.refused", { peer: address, endpoint, ...this.#fieldsOf(refusal) });
  }

  /** Returns a refusal, or in a dry run only records it. */
  enforce(address: string, refusal: Refusal | undefined): Refusal | undefined {
    if (refusal === undefined || !this.#settings.firewallDryRun) return refusal;
    this.#log("handshake.refused", { peer: address, ...this.#fieldsOf(refusal), dry_run: true });
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

  /** Ends the sweeps. */
  stop(): void {
    clearInterval(this.#sweeper);
    this.#release();
  }

  #bannedHere(key: string, forMs: number): void {
    this.#shared.banned(key, forMs);
    this.#banned(key, forMs);
  }

  #banned(key: string, forMs: number): void {
    this.#bansBegun++;
    this.#log("client.banned", { peer: key, duration: Math.round(forMs) / 1000 });
    if (isNetworkKey(key)) return this.#expel(({ address }) => this.#banOfNetwork(address));
    // A flood can bring thousands of bans, also from other nodes, and few of those clients have a connection here.
    if (this.#clients.connectionsOf(key) === 0) return;
    // The keys are kept: making them again takes a third of a second for ten thousand IPv6 addresses.
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
