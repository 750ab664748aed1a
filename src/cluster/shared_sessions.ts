// The sessions of this node in Redis: exactly the open ones are registered.

import type { Settings } from "../core/settings/declarations.ts";
import type { Place } from "../core/shared_state.ts";
import { type RedisClient, RedisRefusal } from "../redis/client.ts";
import { ADMIT, MAX_BATCH, REGISTER, RELEASE } from "./scripts.ts";
import { parse, remainingMs, type TimeShift, writeRow } from "./wire.ts";

/** The sessions that are open here. */
export interface OpenSessions {
  readonly size: number;
  has(id: string): boolean;
  place(id: string): Place | undefined;
  ids(): Iterable<string>;
  /** Ends a session because its user has too many. */
  endForLimit(id: string): void;
  close(id: string, code: number, reason: string): unknown;
}

/** What registering needs. */
export interface SharedSessionsOptions {
  readonly client: Pick<RedisClient, "run" | "read" | "isUp">;
  readonly shift: TimeShift;
  readonly node: string;
  /** The prefix of all keys. */
  readonly prefix: string;
  readonly open: OpenSessions;
  readonly settings: Pick<Settings, "maxSessionsPerUser" | "onSessionLimit">;
  /** Runs an action with Redis whose result is not awaited. */
  readonly attempt: (action: () => Promise<unknown>) => Promise<void>;
}

/**
 * How long the end of a session may be held back to be sent with others, in milliseconds, if nobody can be waiting for
 * its place.
 */
const FLUSH_MS = 25;

/**
 * How many unused tokens, of sessions that did not begin, are remembered until Redis is back: more than can have been
 * asked for when it was lost. Sessions that fail meanwhile add no more.
 */
export const MAX_UNUSED_TOKENS = 20_000;

/** More sessions than a node can have. */
const MAX_REGISTERED = 2_000_000;

/** Keeps Redis in agreement with this node. */
export class SharedSessions {
  readonly #options: SharedSessionsOptions;
  /** The sessions that Redis has, by its answers. */
  readonly #registered = new Set<string>();
  /** Sessions that Redis is asked for now: not open yet, but not to be removed. */
  readonly #asked = new Set<string>();
  /** Sessions to release, each perhaps with the key of a token that it did not use. */
  readonly #ended = new Map<string, string>();
  readonly #changed = new Set<string>();
  /** Sessions whose users have room for many more, so that nobody waits for their places. */
  readonly #roomy = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isUrgent = false;
  /** Whether parts of what Redis has may have ended too early. */
  #isDoubtful = false;

  constructor(options: SharedSessionsOptions) {
    this.#options = options;
  }

  /** How many sessions of this node Redis has. */
  get registered(): number {
    return this.#registered.size;
  }

  /**
   * Asks for a session; `jtiKey` is the key of the token that it uses up, or empty. Rejects as `RedisClient.run` does;
   * then it may have been registered all the same.
   */
  async admit(place: Place, jtiKey: string): Promise<"ok" | "full" | "used"> {
    const { client, node, shift, settings: { maxSessionsPerUser, onSessionLimit } } = this.#options;
    const limit = maxSessionsPerUser === Infinity ? -1 : maxSessionsPerUser;
    const ask = () => {
      const left = remainingMs(place.expiresAtMs);
      return client.run(ADMIT, [node, place.id, writeRow(place, shift), limit, onSessionLimit, jtiKey, left]);
    };
    // First, so that nobody is refused for a session of his own that has ended.
    if (this.#isUrgent) this.#tellNow();
    this.#asked.add(place.id);
    try {
      let [status, isCrowded] = await ask();
      if (status === "FULL") {
        // Perhaps refused for a session of his own that has ended, which this node or another has not reported yet.
        this.#tellNow();
        await new Promise((resolve) => setTimeout(resolve, 2 * FLUSH_MS));
        [status, isCrowded] = await ask();
      }
      if (status !== "OK") return status === "FULL" ? "full" : "used";
      this.#registered.add(place.id);
      if (isCrowded === 0) this.#roomy.add(place.id);
      return "ok";
    } finally {
      this.#asked.delete(place.id);
    }
  }

  /** A session was extended. */
  changed(id: string): void {
    if (!this.#registered.has(id)) return;
    this.#changed.add(id);
    this.#tellSoon(false);
  }

  /** A session has ended, or did not begin: then with the key of its token. */
  ended(id: string, jtiKey = ""): void {
    const isRoomy = this.#roomy.delete(id);
    const hasRoom = this.#options.client.isUp || this.#ended.size < MAX_UNUSED_TOKENS;
    if (this.#registered.has(id) || (jtiKey !== "" && hasRoom)) this.#ended.set(id, jtiKey);
    this.#tellSoon(!isRoomy || jtiKey !== "");
  }

  /** Ends the sessions that another node has ordered to end, each with its reason. */
  obey(orders: readonly (readonly [string, string])[]): void {
    for (const [id, why] of orders) {
      if (why === "limit") this.#options.open.endForLimit(id);
      else this.#close(id, why);
      // Its end is reported like any other. If it is not here, the order is done too.
      this.#ended.set(id, "");
    }
    if (orders.length > 0) this.#tellSoon(true);
  }

  #close(id: string, why: string): void {
    const { code, reason } = Object(parse(why));
    if (typeof code !== "number" || typeof reason !== "string") return;
    try {
      this.#options.open.close(id, code, reason);
    } catch (error) {
      // No node of this version orders what can't be in a Close frame.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** Sends changes soon, many together; at the end of the turn if users may wait for the places. */
  #tellSoon(isUrgent: boolean): void {
    const hasNews = this.#ended.size > 0 || this.#changed.size > 0;
    if (!this.#options.client.isUp || !hasNews) return;
    if (isUrgent && !this.#isUrgent) {
      this.#isUrgent = true;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#timer ??= setTimeout(() => this.#tellNow(), isUrgent ? 0 : FLUSH_MS);
  }

  /** Sends changes now, if Redis is there. */
  #tellNow(): void {
    this.stop();
    if (this.#options.client.isUp) void this.#options.attempt(() => this.flush());
  }

  /** Sends nothing any more, until something changes. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isUrgent = false;
  }

  /** Sends the changes to Redis, before anything that is sent after this. Rejects as `RedisClient.run` does. */
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

  /** Parts of what Redis has may have ended too early: the next `sync` registers all anew. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  /** Compares all of it with what is open here, and mends the difference. Rejects as `RedisClient.run`. */
  async sync(): Promise<void> {
    const { client, node, prefix, open } = this.#options;
    // This Redis may be another one than that of the last connection.
    this.#registered.clear();
    for (let cursor = "0";;) {
      const page = await client.read("HSCAN", `${prefix}s:${node}`, cursor, "COUNT", MAX_BATCH);
      const [next, rows] = Array.isArray(page) ? page : [];
      for (const [i, id] of (Array.isArray(rows) ? rows : []).entries()) {
        if (i % 2 === 1) continue;
        if (!this.#isDoubtful) this.#registered.add(String(id));
        if (!open.has(String(id)) && !this.#asked.has(String(id))) {
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
    this.#isDoubtful = false;
    await this.flush();
  }

  /** Registers open sessions that are not registered yet. Rejects as `RedisClient.run` does. */
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
      // It has ended while it was being registered.
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
      // A full comparison comes only after Redis was lost, and can't tell that a token was not used.
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
