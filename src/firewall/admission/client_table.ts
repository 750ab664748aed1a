// What is remembered about each client: its open connections, its handshakes, its violations and its ban.

import type { Settings } from "../../core/settings/declarations.ts";
import type { Refusal } from "../../protocol/handshake.ts";
import { isLoopback } from "./network_set.ts";
import { Shelf, type Shelved } from "./shelf.ts";
import { TokenBucket } from "../../core/token_bucket.ts";

/** The settings that clients are held to. */
export type ClientLimits = Pick<
  Settings,
  "maxConnectionsPerIp" | "handshakeRate" | "banAfter" | "banWindow" | "banTime" | "banLoopback"
>;

/** One ban: the client's key and when it ends, in milliseconds of the table's clock. */
export interface Ban {
  readonly key: string;
  readonly untilMs: number;
}

/**
 * How many clients without a connection are remembered: an owner of many networks must not fill the memory. Clients
 * with connections are always remembered; --max-connections bounds them.
 */
const MAX_IDLE_CLIENTS = 65_536;

/** What a banned client is told. */
export const BANNED: Refusal = { status: 403, reason: "this address is banned for a time", rule: "ban" };
/** What a client with too many connections is told. */
export const TOO_MANY_CONNECTIONS: Refusal = {
  status: 429,
  reason: "this address has too many open connections",
  rule: "max_connections_per_ip",
  headers: { "Retry-After": "5" },
};
const TOO_MANY_HANDSHAKES: Refusal = {
  status: 429,
  reason: "this address opens connections too fast",
  rule: "handshake_rate",
  headers: { "Retry-After": "1" },
};

interface Client extends Shelved<Client> {
  readonly key: string;
  readonly handshakes: TokenBucket;
  connections: number;
  /** Violations since `windowStartMs`, and in the window before that. */
  violations: number;
  earlierViolations: number;
  windowStartMs: number;
  /** 0 without a ban. A ban that is over stays until the sweep or the next violation. */
  bannedUntilMs: number;
  /** The list in which the client waits to be forgotten; undefined while it has connections. */
  shelf: Shelf<Client> | undefined;
}

/**
 * All clients, by the `clientKey` of their addresses. All times are of one clock that does not go back. With more than
 * {@linkcode MAX_IDLE_CLIENTS} clients without a connection, the longest idle is forgotten: first those with a clean
 * record, then those with violations, and banned ones last.
 */
export class ClientTable {
  readonly #limits: ClientLimits;
  readonly #maxIdle: number;
  readonly #clients = new Map<string, Client>();
  readonly #clean = new Shelf<Client>();
  readonly #marked = new Shelf<Client>();
  readonly #banned = new Shelf<Client>();

  constructor(limits: ClientLimits, maxIdle = MAX_IDLE_CLIENTS) {
    this.#limits = limits;
    this.#maxIdle = maxIdle;
  }

  /** How many clients are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  /** Why the client may not have one more connection, or undefined. Changes nothing. */
  check(key: string, nowMs: number): Refusal | undefined {
    const client = this.#clients.get(key);
    if (client === undefined) return undefined;
    if (client.bannedUntilMs > nowMs) return BANNED;
    return client.connections >= this.#limits.maxConnectionsPerIp ? TOO_MANY_CONNECTIONS : undefined;
  }

  /** Counts a new connection; {@linkcode close} must be called at its end. */
  open(key: string): void {
    const client = this.#remember(key);
    client.connections++;
    this.#shelve(client);
  }

  /** How many connections a client has. */
  connectionsOf(key: string): number {
    return this.#clients.get(key)?.connections ?? 0;
  }

  /** Counts the end of a connection. */
  close(key: string): void {
    const client = this.#clients.get(key);
    if (client === undefined || client.connections === 0) return;
    client.connections--;
    this.#shelve(client);
  }

  /** Counts a handshake, or returns why there may not be one now. */
  handshake(key: string, nowMs: number): Refusal | undefined {
    if (this.#limits.handshakeRate === Infinity) return undefined;
    const client = this.#remember(key);
    const isFree = client.handshakes.take(1, nowMs);
    this.#shelve(client);
    return isFree ? undefined : TOO_MANY_HANDSHAKES;
  }

  /**
   * Counts a violation or a failed authentication; returns whether it brought a ban. Violations within a --ban-window
   * of the first count in full; over the next window they fade away evenly.
   */
  violation(key: string, nowMs: number): boolean {
    const { banAfter, banTime } = this.#limits;
    if (banAfter === Infinity || !this.#isBannable(key)) return false;
    const client = this.#remember(key);
    if (client.bannedUntilMs > nowMs) return false;
    client.bannedUntilMs = 0;
    if (this.#violations(client, nowMs) === 0) client.windowStartMs = nowMs;
    client.violations++;
    if (this.#violations(client, nowMs) >= banAfter) return this.ban(key, banTime, nowMs);
    this.#shelve(client);
    return false;
  }

  /** Whether the client is banned now. */
  isBanned(key: string, nowMs: number): boolean {
    return (this.#clients.get(key)?.bannedUntilMs ?? 0) > nowMs;
  }

  /**
   * Bans the client for `forMs` from now, in place of a ban it may have. Returns false, and does nothing, for loopback
   * unless --ban-loopback is given: who administers the machine must not be locked out by a program on it.
   */
  ban(key: string, forMs: number, nowMs: number): boolean {
    if (!this.#isBannable(key)) return false;
    const client = this.#remember(key);
    client.bannedUntilMs = nowMs + forMs;
    clearViolations(client);
    this.#shelve(client);
    return true;
  }

  /** Ends a ban; returns whether there was one. */
  unban(key: string, nowMs: number): boolean {
    const client = this.#clients.get(key);
    if (client === undefined || client.bannedUntilMs <= nowMs) return false;
    client.bannedUntilMs = 0;
    this.#shelve(client);
    return true;
  }

  /** The bans of now, in no particular order. */
  bans(nowMs: number): readonly Ban[] {
    const bans: Ban[] = [];
    for (const { key, bannedUntilMs } of this.#clients.values()) {
      if (bannedUntilMs > nowMs) bans.push({ key, untilMs: bannedUntilMs });
    }
    return bans;
  }

  /** Forgets clients with nothing left to remember. To be called about once a second. */
  sweep(nowMs: number): void {
    // A bucket is full again within a second, so clients behind one that is not yet full are found soon.
    this.#sweepShelf(this.#clean, nowMs, true);
    this.#sweepShelf(this.#marked, nowMs);
    this.#sweepShelf(this.#banned, nowMs);
  }

  #sweepShelf(shelf: Shelf<Client>, nowMs: number, isInOrder = false): void {
    let client = shelf.oldest;
    while (client !== undefined) {
      const { newer } = client;
      const isOver = client.bannedUntilMs <= nowMs && this.#violations(client, nowMs) === 0;
      if (isOver && client.handshakes.isFull(nowMs)) this.#forget(client);
      else if (isInOrder) return;
      client = newer;
    }
  }

  #isBannable(key: string): boolean {
    return this.#limits.banLoopback || !isLoopback(key);
  }

  /** The violations that count now. Moves the window. */
  #violations(client: Client, nowMs: number): number {
    const { banWindow } = this.#limits;
    if (client.violations === 0 && client.earlierViolations === 0) return 0;
    const age = nowMs - client.windowStartMs;
    if (age >= banWindow * 2) {
      clearViolations(client);
      return 0;
    }
    if (age >= banWindow) {
      client.earlierViolations = client.violations;
      client.violations = 0;
      client.windowStartMs += banWindow;
    }
    const faded = (nowMs - client.windowStartMs) / banWindow;
    return client.violations + client.earlierViolations * (1 - faded);
  }

  #remember(key: string): Client {
    let client = this.#clients.get(key);
    if (client === undefined) {
      client = {
        key,
        handshakes: new TokenBucket(this.#limits.handshakeRate),
        connections: 0,
        violations: 0,
        earlierViolations: 0,
        windowStartMs: 0,
        bannedUntilMs: 0,
        shelf: undefined,
        older: undefined,
        newer: undefined,
      };
      this.#clients.set(key, client);
    }
    return client;
  }

  /**
   * Puts a client at the end of the shelf where it belongs now, and makes room. Called after every change of a client.
   */
  #shelve(client: Client): void {
    client.shelf?.delete(client);
    if (client.connections > 0) return;
    this.#shelfOf(client).add(client);
    if (this.#clean.size + this.#marked.size + this.#banned.size <= this.#maxIdle) return;
    this.#forget((this.#clean.oldest ?? this.#marked.oldest ?? this.#banned.oldest)!);
  }

  #shelfOf(client: Client): Shelf<Client> {
    if (client.bannedUntilMs > 0) return this.#banned;
    return client.violations > 0 || client.earlierViolations > 0 ? this.#marked : this.#clean;
  }

  #forget(client: Client): void {
    client.shelf?.delete(client);
    this.#clients.delete(client.key);
  }
}

function clearViolations(client: Client): void {
  client.violations = 0;
  client.earlierViolations = 0;
}
