// Whether this node is there, as the other nodes see it: its signs of life, what it brings to a Redis, and its end.

import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { RedisClient } from "../redis/client.ts";
import { BEAT, LEASE_MS, SWEEP, USE } from "./scripts.ts";
import type { SharedBans, SharedFirewall } from "./shared_bans.ts";
import { pairs } from "./shared_list.ts";
import type { SharedRevocations } from "./shared_revocations.ts";
import type { SharedSessions } from "./shared_sessions.ts";
import { keyOf, remainingMs, type TimeShift } from "./wire.ts";

/** What nodes share: bans, and the rest if there are sessions here. */
export interface Parts {
  readonly bans: SharedBans;
  revocations?: SharedRevocations;
  sessions?: SharedSessions;
  /** The sessions that are open here. */
  open?: Pick<SessionRegistry, "usedTokens">;
}

/** What membership needs. */
export interface MembershipOptions {
  readonly client: Pick<RedisClient, "run" | "isUp">;
  readonly shift: TimeShift;
  readonly node: string;
  readonly version: string;
  /** Whether used tokens are shared. */
  readonly replayCheck: boolean;
  readonly parts: Parts;
  /** Runs an action with Redis whose result is not awaited. */
  readonly attempt: (action: () => Promise<unknown>) => Promise<void>;
}

/** How often a node sends a sign of life, in milliseconds, give or take a tenth. */
const BEAT_MS = 5000;
/** How many used tokens are sent at once. */
const TOKENS_BATCH = 100;
const STOP_MS = 2000;

/** Keeps this node among the others, until it leaves. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #startedAtMs = Date.now();
  #firewall: SharedFirewall | undefined;
  #addresses: readonly string[] = [];
  #epoch: string | undefined;
  #isJoining = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How late the last beat was, in milliseconds, because this node was busy. */
  #lagMs = 0;
  /** How often this node has sent a sign of life. */
  beats = 0;
  /** Whether it leaves, or has left. */
  isLeaving = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** From now on others are told where this node listens, and how many connections it has. */
  announce(firewall: SharedFirewall, addresses: readonly string[]): void {
    this.#firewall = firewall;
    this.#addresses = addresses;
    if (this.#options.client.isUp) void this.beat();
  }

  /** Has the others forget this node's sessions at once, and says no more. */
  async leave(): Promise<void> {
    const { client, node, attempt } = this.#options;
    this.isLeaving = true;
    clearTimeout(this.#timer);
    const endMs = performance.now() + STOP_MS;
    await attempt(async () => {
      for (let left = 1; left > 0 && client.isUp && performance.now() < endMs;) {
        left = Number((await client.run(SWEEP, [node, 1]))[1]);
      }
    });
  }

  /** Calls off the next sign of life. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Sends a sign of life, and finds out whether Redis and the other nodes have changed. */
  async beat(): Promise<void> {
    if (this.isLeaving) return;
    clearTimeout(this.#timer);
    try {
      await this.#options.attempt(async () => {
        const strange = await this.#sayBeat();
        if (strange !== undefined && !this.#isJoining) await this.join();
      });
    } finally {
      clearTimeout(this.#timer);
      if (!this.isLeaving) {
        const delayMs = BEAT_MS * (0.9 + Math.random() / 5);
        const dueAtMs = performance.now() + delayMs;
        this.#timer = setTimeout(() => {
          this.#lagMs = Math.max(0, performance.now() - dueAtMs);
          void this.beat();
        }, delayMs);
      }
    }
  }

  /** Returns undefined if Redis still has what this node told it, or else its epoch. */
  async #sayBeat(): Promise<string | undefined> {
    const { client, shift, node, version, parts, attempt } = this.#options;
    const info = JSON.stringify({
      version,
      addresses: this.#addresses,
      since: Math.round(shift.toRedis(this.#startedAtMs)),
      connections: this.#firewall?.size ?? 0,
      lag: Math.round(this.#lagMs),
    });
    const [, known, count, epoch, revocations, bans, dead, ...orders] = await client.run(BEAT, [
      node,
      LEASE_MS,
      info,
      randomName(16),
    ]);
    const registered = parts.sessions?.registered ?? 0;
    this.beats++;
    parts.sessions?.obey(pairs(orders));
    parts.revocations?.list.sweep();
    parts.bans.sweep();
    const isSame = known === 1 && count === registered && epoch === this.#epoch;
    if (typeof dead === "string" && dead !== "") void attempt(() => this.#sweep(dead));
    if (!isSame || this.#isJoining) return String(epoch);
    await parts.revocations?.list.follow(Number(revocations));
    await parts.bans.list.follow(Number(bans));
    // What could not be sent at once.
    await parts.revocations?.list.send();
    await parts.bans.list.send();
    await parts.sessions?.registerMissing();
    await parts.sessions?.flush();
    return undefined;
  }

  /** Removes a dead node, piece by piece. */
  async #sweep(node: string): Promise<void> {
    for (let left = 1; left > 0;) left = Number((await this.#options.client.run(SWEEP, [node, 0]))[1]);
  }

  /** Begins with a new connection, perhaps to another Redis. Rejects as `RedisClient.run` does. */
  async join(): Promise<void> {
    if (this.isLeaving) return;
    this.#isJoining = true;
    try {
      const epoch = await this.#sayBeat();
      await this.#bringAll();
      // Only now: if it fails before, the next beat tries again.
      this.#epoch = epoch;
    } finally {
      this.#isJoining = false;
    }
  }

  /** Merges what this node and Redis know. */
  async #bringAll(): Promise<void> {
    const { client, node, replayCheck, parts: { sessions, revocations, bans, open } } = this.#options;
    await revocations?.list.join();
    await bans.list.join();
    const tokens = replayCheck ? open?.usedTokens() ?? [] : [];
    for (let at = 0; at < tokens.length; at += TOKENS_BATCH) {
      const args = tokens.slice(at, at + TOKENS_BATCH).flatMap(({ jti, expiresAtMs }) => [
        keyOf(jti),
        node,
        remainingMs(expiresAtMs),
      ]);
      await client.run(USE, args);
    }
    await sessions?.sync();
  }
}

/** Lowercase letters and digits. */
export function randomName(length: number): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, length);
}
