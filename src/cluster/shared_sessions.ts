// The sessions of this node in Redis: each is registered while it is open, and nothing else is.

import type { Place } from "../core/shared_state.ts";
import { type RedisClient, RedisRefusal } from "../redis/client.ts";
import { MAX_BATCH, REGISTER, RELEASE } from "./scripts.ts";
import { type TimeShift, writeRow } from "./wire.ts";

/** The sessions that are open here. */
export interface OpenSessions {
  readonly size: number;
  has(id: string): boolean;
  place(id: string): Place | undefined;
  ids(): Iterable<string>;
}

/** What they are registered with. */
export interface SharedSessionsOptions {
  readonly client: Pick<RedisClient, "run" | "read" | "isUp">;
  readonly shift: TimeShift;
  readonly node: string;
  /** The beginning of all keys. */
  readonly prefix: string;
  readonly open: OpenSessions;
}

/** More sessions than a node can have. */
const MAX_REGISTERED = 2_000_000;

/** Keeps Redis and this node in agreement. */
export class SharedSessions {
  readonly #options: SharedSessionsOptions;
  /** What Redis has, as far as its answers tell. */
  readonly #registered = new Set<string>();
  /** Sessions that Redis is asked for now: they are not open yet, and no ghosts. */
  readonly asked = new Set<string>();
  /** What is to be released, each perhaps with the key of a token that it did not use. */
  readonly #ended = new Map<string, string>();
  readonly #changed = new Set<string>();
  /** Sessions whose users have room for many more: nobody waits for their places. */
  readonly #roomy = new Set<string>();

  constructor(options: SharedSessionsOptions) {
    this.#options = options;
  }

  /** How many Redis has of this node. */
  get registered(): number {
    return this.#registered.size;
  }

  /** Told that Redis has registered a session, and whether its user had room for many more then. */
  admitted(id: string, isRoomy: boolean): void {
    this.#registered.add(id);
    if (isRoomy) this.#roomy.add(id);
  }

  /** A session was extended. */
  changed(id: string): void {
    if (this.#registered.has(id)) this.#changed.add(id);
  }

  /** A session has ended, or never began: then with the key of its token. Returns whether that should be told at once. */
  ended(id: string, jtiKey = ""): boolean {
    const isRoomy = this.#roomy.delete(id);
    if (this.#registered.has(id) || jtiKey !== "") this.#ended.set(id, jtiKey);
    return !isRoomy || jtiKey !== "";
  }

  /** Forgets an order for a session that is not here. */
  unknown(id: string): void {
    this.#ended.set(id, "");
  }

  /** Whether there is something to tell. */
  get hasNews(): boolean {
    return this.#ended.size > 0 || this.#changed.size > 0;
  }

  /** Tells Redis what has changed, before anything that is sent after this. Rejects as `RedisClient.run`. */
  async flush(): Promise<void> {
    const sent: Promise<void>[] = [];
    while (this.#changed.size > 0) {
      const ids = take(this.#changed, MAX_BATCH);
      for (const id of ids) this.#changed.delete(id);
      sent.push(this.#extend(ids));
    }
    while (this.#ended.size > 0) {
      const ended = take(this.#ended, MAX_BATCH);
      for (const [id] of ended) this.#ended.delete(id);
      sent.push(this.#release(ended));
    }
    await Promise.all(sent);
  }

  /** Compares all of it with what is open here, and mends the difference. Rejects as `RedisClient.run`. */
  async sync(): Promise<void> {
    const { client, node, prefix, open } = this.#options;
    // What was answered to an earlier connection says nothing about a Redis that may be another one.
    this.#registered.clear();
    for (let cursor = "0";;) {
      const page = await client.read("HSCAN", `${prefix}s:${node}`, cursor, "COUNT", MAX_BATCH);
      const [next, rows] = Array.isArray(page) ? page : [];
      for (const [i, id] of (Array.isArray(rows) ? rows : []).entries()) {
        if (i % 2 === 1) continue;
        this.#registered.add(String(id));
        if (!open.has(String(id)) && !this.asked.has(String(id))) {
          this.#ended.set(String(id), this.#ended.get(String(id)) ?? "");
        }
      }
      if (next === undefined || next === "0") break;
      if (this.#registered.size > MAX_REGISTERED) {
        throw new RedisRefusal("Cannot read the sessions of this node: there are more than there can be");
      }
      cursor = String(next);
    }
    await this.#registerMissing();
    await this.flush();
  }

  /** Registers those that are open and not registered, if there are any. Rejects as `RedisClient.run`. */
  async registerMissing(): Promise<void> {
    if (this.#registered.size < this.#options.open.size) await this.#registerMissing();
  }

  async #registerMissing(): Promise<void> {
    const missing: string[] = [];
    for (const id of this.#options.open.ids()) if (!this.#registered.has(id)) missing.push(id);
    for (let at = 0; at < missing.length; at += MAX_BATCH) {
      await this.#register(missing.slice(at, at + MAX_BATCH));
    }
  }

  async #register(ids: readonly string[]): Promise<void> {
    const { client, node, open, shift } = this.#options;
    const args: string[] = [node];
    for (const id of ids) {
      const place = open.place(id);
      if (place !== undefined) args.push(id, writeRow(place, shift));
    }
    if (args.length === 1) return;
    await client.run(REGISTER, args);
    for (let i = 1; i < args.length; i += 2) {
      this.#registered.add(args[i]!);
      // It ended while Redis was told that it is there.
      if (!open.has(args[i]!)) this.#ended.set(args[i]!, "");
    }
  }

  async #extend(ids: readonly string[]): Promise<void> {
    try {
      await this.#register(ids);
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      throw error;
    }
  }

  async #release(ended: readonly (readonly [id: string, jtiKey: string])[]): Promise<void> {
    const { client, node } = this.#options;
    try {
      await client.run(RELEASE, [node, ...ended.flat()]);
    } catch (error) {
      // All is compared only after Redis was lost, and nothing tells then that a token was not used.
      for (const [id, jtiKey] of ended) this.#ended.set(id, this.#ended.get(id) || jtiKey);
      throw error;
    }
    for (const [id] of ended) this.#registered.delete(id);
  }
}

function take<Item>(items: Iterable<Item>, count: number): Item[] {
  const taken: Item[] = [];
  for (const item of items) {
    if (taken.length === count) break;
    taken.push(item);
  }
  return taken;
}
