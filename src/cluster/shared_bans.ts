// Bans that hold on all nodes, and the violations, seen by any of them, that lead to bans.

import type { Settings } from "../core/settings/declarations.ts";
import type { RedisClient } from "../redis/client.ts";
import { FORGET, VIOLATE } from "./scripts.ts";
import { SharedList } from "./shared_list.ts";
import { type Entry, keyOf, type TimeShift } from "./wire.ts";

/** The part of the firewall that takes bans of other nodes. */
export interface SharedFirewall {
  /** Bans a client because another node did; `forMs` is 0 for a ban that is over. */
  followBan(client: string, forMs: number): void;
  /** Bans a client that broke rules here and elsewhere. */
  banForViolations(client: string): void;
  /** How many connections are open. */
  readonly size: number;
}

/** What shared bans need. */
export interface SharedBansOptions {
  readonly client: Pick<RedisClient, "run" | "now" | "isUp">;
  readonly shift: TimeShift;
  /** The name of this node in lists. */
  readonly name: string;
  readonly settings: Pick<Settings, "banAfter" | "banWindow">;
  /** Runs an action with Redis whose result is not awaited. */
  readonly attempt: (action: () => Promise<unknown>) => Promise<void>;
}

/** The most bans that all nodes have together. */
const MAX_BANS = 65_536;
/** How long violations are collected before they are sent, in milliseconds. */
const VIOLATIONS_MS = 500;
/** The most clients whose violations are collected; those of more are only counted here. */
const MAX_VIOLATORS = 1000;

/** The bans of all nodes, as this one knows them. */
export class SharedBans {
  readonly list: SharedList;
  readonly #options: SharedBansOptions;
  /** The nodes on which bans of other nodes began. */
  readonly #nodes = new Map<string, string>();
  readonly #violations = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firewall: SharedFirewall | undefined;

  constructor(options: SharedBansOptions) {
    this.#options = options;
    const { client, shift } = options;
    this.list = new SharedList({
      client,
      shift,
      key: "b",
      maxEntries: MAX_BANS,
      bodyOf: (client) => this.nodeOf(client),
      apply: (entries) => this.#apply(entries),
    });
  }

  /** The name of the node on which a ban began. */
  nodeOf(client: string): string {
    return this.#nodes.get(client) ?? this.#options.name;
  }

  /** From now on bans reach the firewall. */
  guard(firewall: SharedFirewall): void {
    this.#firewall = firewall;
    for (const { id, endsAtMs } of this.list.held()) firewall.followBan(id, endsAtMs - Date.now());
  }

  /** A client was banned here. */
  add(client: string, forMs: number): void {
    this.#nodes.delete(client);
    this.#forgetViolations(client);
    this.list.put(client, this.#rank(), Date.now() + forMs, false);
    this.#send();
  }

  /** A ban was lifted here, wherever it began. */
  lift(client: string): void {
    const endsAtMs = this.list.endOf(client);
    this.#forgetViolations(client);
    if (endsAtMs === undefined) return;
    this.list.put(client, this.#rank(), endsAtMs, true);
    this.#send();
  }

  /** A client broke a rule here. */
  violated(client: string): void {
    const { client: redis, settings, attempt } = this.#options;
    if (!redis.isUp || settings.banAfter === Infinity) return;
    const count = this.#violations.get(client);
    if (count === undefined && this.#violations.size >= MAX_VIOLATORS) return;
    this.#violations.set(client, (count ?? 0) + 1);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void attempt(() => this.#tellViolations());
    }, VIOLATIONS_MS);
  }

  /** Forgets the bans that are over. */
  sweep(): void {
    this.list.sweep((client) => this.#nodes.delete(client));
  }

  /** Sends nothing any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** A ban settles its violations: after its end the next violation is the first. */
  #forgetViolations(client: string): void {
    const { client: redis, attempt } = this.#options;
    this.#violations.delete(client);
    if (redis.isUp) void attempt(() => redis.run(FORGET, [keyOf(client)]));
  }

  /** The later change of a ban holds. While the clock of Redis is not known, ours is used. */
  #rank(): number {
    const nowMs = this.#options.client.now();
    return Math.round(Number.isFinite(nowMs) ? nowMs : Date.now());
  }

  #send(): void {
    if (this.#options.client.isUp) void this.#options.attempt(() => this.list.send());
  }

  async #tellViolations(): Promise<void> {
    const { client: redis, settings: { banWindow, banAfter } } = this.#options;
    const told = new Map([...this.#violations].map(([client, count]) => [keyOf(client), { client, count }]));
    this.#violations.clear();
    const args = [...told].flatMap(([key, { count }]) => [key, count]);
    const [, ...banned] = await redis.run(VIOLATE, [banWindow, banAfter, ...args]);
    for (const key of banned) {
      const known = told.get(String(key));
      if (known !== undefined) this.#firewall?.banForViolations(known.client);
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const { id, endsAtMs, body } of entries) {
      if (body === "") this.#nodes.delete(id);
      else this.#nodes.set(id, body);
      this.#firewall?.followBan(id, body === "" ? 0 : endsAtMs - Date.now());
    }
  }
}
