// One node of a cluster: shared state is in Redis, with a copy here of what is needed at once.

import { readCaCerts } from "../core/ca_file.ts";
import { StartError } from "../core/errors.ts";
import { parseRedisUrl, type RedisAddress } from "../core/redis_text.ts";
import type { Settings } from "../core/settings/declarations.ts";
import type { Place, SharedState, Verdict } from "../core/shared_state.ts";
import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import { RedisClient, RedisRefusal } from "../redis/client.ts";
import { RedisLost } from "../redis/connection.ts";
import { Histogram, LATENCY_BOUNDS } from "../telemetry/histogram.ts";
import type { Log } from "../telemetry/log.ts";
import { Directory } from "./directory.ts";
import { Membership, type Parts, randomName } from "./membership.ts";
import { ORDERS, POLICY, USE } from "./scripts.ts";
import { SharedBans, type SharedFirewall } from "./shared_bans.ts";
import { pairs } from "./shared_list.ts";
import { SharedRevocations } from "./shared_revocations.ts";
import { SharedSessions } from "./shared_sessions.ts";
import { keyOf, nameOf, remainingMs, type TimeShift } from "./wire.ts";

/** The settings of a node. */
export type ClusterSettings = Pick<
  Settings,
  | ("redis" | "redisPrefix" | "redisTimeout" | "redisCa" | "nodeName" | "onRedisLoss")
  | ("maxSessionsPerUser" | "onSessionLimit" | "replayCheck" | "banAfter" | "banWindow" | "banTime")
>;

/** What a node needs. */
export interface ClusterOptions {
  readonly settings: ClusterSettings;
  readonly version: string;
  readonly log: Log;
}

/** How long a change waits at most until others know of it, in milliseconds: all bans of a flood may be before it. */
const TOLD_MS = 2000;

/** This node, until it is stopped. */
export class Cluster implements SharedState {
  readonly #options: ClusterOptions;
  /** Its name with a random part: another node may have had, or have, the same name. */
  readonly node: string;
  readonly #address: RedisAddress;
  /** The prefix of all keys. */
  readonly #prefix: string;
  readonly #client: RedisClient;
  readonly #shift: TimeShift;
  readonly #parts: Parts;
  readonly #membership: Membership;
  #caCerts: string[] = [];
  #lostAtMs: number | undefined;
  #isStarted = false;
  /** How long answers of Redis took, in seconds. */
  readonly latency = new Histogram(LATENCY_BOUNDS);
  /** How often Redis was lost. */
  losses = 0;
  readonly #directory: Directory;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { redis, redisPrefix, redisTimeout, nodeName, replayCheck } = options.settings;
    this.node = `${nodeName ?? `node-${randomName(4)}`}:${randomName(8)}`;
    this.#address = parseRedisUrl(redis!)!;
    const prefix = `{${redisPrefix}}:`;
    const client = this.#client = new RedisClient({
      address: this.#address,
      timeoutMs: redisTimeout,
      caCerts: () => this.#caCerts,
      key: prefix,
      channel: `${prefix}hints`,
      onMessage: (text) => this.#hinted(text),
      join: () => this.#membership.join(),
      onSetAhead: () => this.#parts.sessions?.doubt(),
      onUp: () => this.#up(),
      onDown: (reason) => this.#down(reason),
      onAnswer: (seconds) => this.latency.observe(seconds),
    });
    this.#shift = {
      toRedis: (ownMs) => ownMs - Date.now() + client.now(),
      toOwn: (redisMs) => redisMs - client.now() + Date.now(),
    };
    const bans = new SharedBans({
      client,
      shift: this.#shift,
      name: this.name,
      settings: options.settings,
      attempt: (action) => this.#attempt(action),
    });
    this.#parts = { bans };
    this.#membership = new Membership({
      client,
      shift: this.#shift,
      node: this.node,
      version: options.version,
      replayCheck,
      parts: this.#parts,
      attempt: (action) => this.#attempt(action),
    });
    this.#directory = new Directory({ client, shift: this.#shift, node: this.node });
    this.#prefix = prefix;
  }

  /** Whether the other nodes can be asked now. */
  get isUp(): boolean {
    return this.#client.isUp;
  }

  /** How often this node has sent a sign of life. */
  get beats(): number {
    return this.#membership.beats;
  }

  /** The name of this node in lists. */
  get name(): string {
    return nameOf(this.node);
  }

  /** The name of the node on which a ban began. */
  nodeOfBan(client: string): string {
    return this.#parts.bans.nodeOf(client);
  }

  /** Asks about all nodes; undefined if they can't be asked now. */
  async ask<Value>(
    question: (directory: Directory) => Promise<Value>,
  ): Promise<{ readonly value: Value } | undefined> {
    if (!this.#client.isUp) return undefined;
    try {
      return { value: await question(this.#directory) };
    } catch (error) {
      this.#expect(error);
      return undefined;
    }
  }

  /** Where Redis is, without name and password. */
  get redisName(): string {
    return this.#address.name;
  }

  get isClosed(): boolean {
    return !this.#client.isUp && this.#options.settings.onRedisLoss === "refuse";
  }

  /**
   * Joins the other nodes. Resolves when the first attempt has succeeded or failed; goes on trying.
   *
   * @throws {StartError} when Redis may not be connected to, or the CA can't be used
   */
  async start(sessions: SessionRegistry | undefined): Promise<void> {
    this.#client.checkPermission();
    this.#readCa();
    this.#isStarted = true;
    if (sessions !== undefined) {
      this.#parts.open = sessions;
      this.#parts.sessions = new SharedSessions({
        client: this.#client,
        shift: this.#shift,
        node: this.node,
        prefix: this.#prefix,
        open: sessions,
        settings: this.#options.settings,
        attempt: (action) => this.#attempt(action),
      });
      this.#parts.revocations = new SharedRevocations({
        client: this.#client,
        shift: this.#shift,
        name: this.name,
        sessions,
        attempt: (action) => this.#attempt(action),
      });
    }
    await this.#client.start();
  }

  /** Reads the CA again, for the connections to come; what can't be used is logged and changes nothing. */
  reload(): void {
    const { log, settings: { redisCa: file } } = this.#options;
    if (file === undefined) return;
    try {
      this.#readCa();
      log("redis.reloaded", { file });
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      log("redis.reload_failed", { reason: error.message });
    }
  }

  /** From now on bans reach the firewall, and others are told where this node listens. */
  guard(firewall: SharedFirewall, addresses: readonly string[]): void {
    this.#parts.bans.guard(firewall);
    this.#membership.announce(firewall, addresses);
  }

  /**
   * Leaves: the other nodes forget this node's sessions at once. Called before those are closed, so that nobody who
   * reconnects elsewhere is refused for his own old session. No more sessions are opened here.
   */
  leave(): Promise<void> {
    return this.#membership.leave();
  }

  /** Ends for good. */
  async stop(): Promise<void> {
    this.#parts.bans.stop();
    this.#parts.sessions?.stop();
    if (this.#isStarted) await this.leave();
    this.#client.stop();
  }

  admit(place: Place, jti: string | undefined): Verdict | Promise<Verdict> {
    if (this.#membership.isLeaving) return "refused";
    const { sessions } = this.#parts;
    if (this.#client.isUp && sessions !== undefined) return this.#ask(place, jti, sessions);
    return this.#withoutRedis();
  }

  async #ask(place: Place, jti: string | undefined, sessions: SharedSessions): Promise<Verdict> {
    const key = this.#options.settings.replayCheck && jti !== undefined ? keyOf(jti) : "";
    try {
      return await sessions.admit(place, key);
    } catch (error) {
      this.#expect(error);
      // Perhaps it was done, and the answer was lost.
      if (this.#withoutRedis() === "refused") sessions.ended(place.id, key);
      return this.#withoutRedis();
    }
  }

  use(sessionId: string, jti: string, expiresAtMs: number): Verdict | Promise<Verdict> {
    if (!this.#options.settings.replayCheck) return "alone";
    if (!this.#client.isUp) return this.#withoutRedis();
    return this.#client.run(USE, [keyOf(jti), sessionId, remainingMs(expiresAtMs)]).then(
      ([status]) => status === "OK" ? "ok" : "used",
      (error) => {
        this.#expect(error);
        return this.#withoutRedis();
      },
    );
  }

  changed({ id }: Place): void {
    this.#parts.sessions?.changed(id);
  }

  ended(id: string, jti?: string): void {
    const key = this.#options.settings.replayCheck && jti !== undefined ? keyOf(jti) : "";
    this.#parts.sessions?.ended(id, key);
  }

  revoked(id: string, replacedId: string | undefined): void {
    this.#parts.revocations?.add(id, replacedId);
  }

  unrevoked(id: string, expiresAtMs: number): void {
    this.#parts.revocations?.takeBack(id, expiresAtMs);
  }

  banned(client: string, forMs: number): void {
    this.#parts.bans.add(client, forMs);
  }

  unbanned(client: string): void {
    this.#parts.bans.lift(client);
  }

  violated(client: string): void {
    this.#parts.bans.violated(client);
  }

  async told(): Promise<boolean> {
    const { revocations, bans } = this.#parts;
    const lists = [revocations?.list, bans.list].filter((list) => list !== undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => timer = setTimeout(resolve, TOLD_MS));
    await this.#attempt(async () => {
      for (const list of lists) await Promise.race([list.settled(), late]);
    });
    clearTimeout(timer);
    return this.#client.isUp && lists.every((list) => list.isTold);
  }

  #readCa(): void {
    const { redisCa } = this.#options.settings;
    if (redisCa !== undefined) this.#caCerts = readCaCerts("--redis-ca", redisCa);
  }

  #withoutRedis(): "refused" | "alone" {
    return this.#options.settings.onRedisLoss === "refuse" ? "refused" : "alone";
  }

  #up(): void {
    const { log } = this.#options;
    const lostForS = this.#lostAtMs === undefined
      ? undefined
      : Math.round(performance.now() - this.#lostAtMs) / 1000;
    this.#lostAtMs = undefined;
    log("redis.connected", { server: this.#address.name, node: this.node, duration: lostForS });
    // Also registers sessions that were opened while this node joined.
    void this.#membership.beat();
    void this.#attempt(() => this.#lookAtPolicy());
  }

  /** Says so if Redis may throw away what it is told. */
  async #lookAtPolicy(): Promise<void> {
    const [, policy] = await this.#client.run(POLICY, []);
    if (typeof policy !== "string" || policy === "") return;
    const reason = `maxmemory-policy ${policy}`;
    this.#options.log("redis.evicts", { server: this.#address.name, reason });
  }

  #down(reason: string): void {
    this.losses++;
    this.#lostAtMs = performance.now();
    this.#membership.pause();
    this.#options.log("redis.lost", { server: this.#address.name, reason });
  }

  #hinted(text: string): void {
    if (!this.#client.isUp) return;
    if (text === "r") void this.#attempt(async () => await this.#parts.revocations?.list.fetch());
    else if (text === "b") void this.#attempt(() => this.#parts.bans.list.fetch());
    else if (text === `o ${this.node}`) void this.#attempt(() => this.#readOrders());
  }

  async #readOrders(): Promise<void> {
    const [, ...orders] = await this.#client.run(ORDERS, [this.node]);
    this.#parts.sessions?.obey(pairs(orders));
  }

  /** Runs an action with Redis whose result is not awaited. */
  async #attempt(action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#expect(error);
    }
  }

  /** Throws faults of this program again. */
  #expect(error: unknown): void {
    if (error instanceof RedisLost) return;
    if (!(error instanceof RedisRefusal)) throw error;
    this.#options.log("redis.refused", { server: this.#address.name, error: error.message });
  }
}
