// A list of which every node has a whole copy: what is added or taken back anywhere arrives everywhere.

import { type RedisClient, RedisRefusal } from "../redis/client.ts";
import type { Reply } from "../redis/reply_reader.ts";
import { CHANGES, PUT } from "./scripts.ts";
import { workOff } from "./work_off.ts";
import { type Entry, readEntry, remainingMs, type TimeShift } from "./wire.ts";

/** What a list needs. */
export interface SharedListOptions {
  readonly client: Pick<RedisClient, "run" | "now">;
  readonly shift: TimeShift;
  /** Its name in Redis. */
  readonly key: "r" | "b";
  /** The most entries that all nodes together may have. */
  readonly maxEntries: number;
  /** The content of an entry that was not taken back; undefined if it is not known here any more. */
  readonly bodyOf: (id: string) => string | undefined;
  /** Called with entries of other nodes; each replaces what was known of it. */
  readonly apply: (entries: readonly Entry[]) => void;
}

interface Known {
  readonly rank: number;
  readonly endsAtMs: number;
  readonly isTakenBack: boolean;
}

/** The most entries, and characters in them, of one call. */
const MAX_BATCH = 100;
const MAX_BATCH_SIZE = 256 * 1024;

const SWEEP_INTERVAL_MS = 60_000;

/** By how much less than here an entry may last in Redis, in milliseconds: clocks drift. */
const SET_AHEAD_MS = 60_000;

/** One list, as this node knows it. An empty Redis empties nothing: the lists of all nodes are put together. */
export class SharedList {
  readonly #options: SharedListOptions;
  readonly #known = new Map<string, Known>();
  /** What Redis has not confirmed. */
  readonly #unsent = new Set<string>();
  #version = 0;
  #sweptAtMs = 0;
  /** Whether Redis may have something new. */
  #isStale = false;
  /** Whether Redis had no room for something. */
  #isFull = false;
  #mayHaveRoom = false;
  /** Changes are sent one call after the other. */
  #sending: Promise<void> | undefined;
  #fetching: Promise<void> | undefined;

  constructor(options: SharedListOptions) {
    this.#options = options;
  }

  /** Whether Redis has all changes. */
  get isTold(): boolean {
    return this.#unsent.size === 0 && !this.#isFull;
  }

  /** Resolves when what is under way was sent, or failed. */
  async settled(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
  }

  /** Takes in what was added or taken back here; `send` sends it. */
  put(id: string, rank: number, endsAtMs: number, isTakenBack: boolean): void {
    // A flood of bans must not fill the memory: the firewall itself remembers no more.
    if (!this.#known.has(id) && this.#known.size >= this.#options.maxEntries) {
      this.#isFull = true;
      return;
    }
    // Whatever the clocks say, the later change holds.
    const next = Math.max(rank, (this.#known.get(id)?.rank ?? -1) + 1);
    this.#known.set(id, { rank: next, endsAtMs, isTakenBack });
    this.#unsent.add(id);
  }

  /** When a known entry ends; undefined if it is not known. */
  endOf(id: string): number | undefined {
    return this.#known.get(id)?.endsAtMs;
  }

  /** All entries that were not taken back. */
  *held(): Iterable<{ readonly id: string; readonly endsAtMs: number }> {
    for (const [id, { endsAtMs, isTakenBack }] of this.#known) if (!isTakenBack) yield { id, endsAtMs };
  }

  /** Sends what was not sent yet. Rejects as `RedisClient.run` does. */
  send(): Promise<void> {
    return this.#sending ??= workOff({
      hasMore: () => this.#unsent.size > 0,
      step: () => this.#sendSome(),
      onEnd: () => this.#sending = undefined,
    });
  }

  /**
   * Reads the changes of other nodes, if Redis has another version than is known here. Rejects as `RedisClient.run`
   * does.
   */
  async follow(version: number): Promise<void> {
    if (version < this.#version || this.#mayHaveRoom) return await this.join();
    if (version > this.#version) await this.fetch();
  }

  /** Reads the changes of other nodes. Rejects as `RedisClient.run` does. */
  fetch(): Promise<void> {
    // A read under way may have begun before the change that this call is about.
    this.#isStale = true;
    return this.#fetching ??= workOff({
      hasMore: () => this.#isStale,
      step: async () => {
        this.#isStale = false;
        this.#version = await this.#read(this.#version);
      },
      onEnd: () => this.#fetching = undefined,
    });
  }

  /** Reads all that Redis has, and sends it what it lacks. Rejects as `RedisClient.run` does. */
  async join(): Promise<void> {
    this.#isFull = this.#mayHaveRoom = false;
    const seen = new Map<string, Entry>();
    this.#version = await this.#read(0, (entry) => seen.set(entry.id, entry));
    for (const [id, { rank, endsAtMs, isTakenBack }] of this.#known) {
      const there = seen.get(id);
      if (there === undefined || there.rank < rank) this.#unsent.add(id);
      // The clock of Redis was set ahead: it would forget this too early.
      else if (there.rank === rank && there.endsAtMs < endsAtMs - SET_AHEAD_MS) {
        this.put(id, rank, endsAtMs, isTakenBack);
      }
    }
    await this.send();
  }

  /** Forgets what has ended, now and then, and calls `onForgotten` for each. */
  sweep(onForgotten: (id: string) => void = () => {}): void {
    const nowMs = Date.now();
    if (Math.abs(nowMs - this.#sweptAtMs) < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = nowMs;
    for (const [id, { endsAtMs }] of this.#known) {
      if (endsAtMs > nowMs) continue;
      this.#known.delete(id);
      this.#unsent.delete(id);
      onForgotten(id);
    }
    this.#mayHaveRoom = this.#isFull;
  }

  async #sendSome(): Promise<void> {
    const { client, shift, key, maxEntries, bodyOf } = this.#options;
    const args: (string | number)[] = [key, maxEntries];
    const sent = new Map<string, Known>();
    let size = 0;
    for (const id of this.#unsent) {
      if (sent.size >= MAX_BATCH || size >= MAX_BATCH_SIZE) break;
      const known = this.#known.get(id);
      const body = known?.isTakenBack ? "" : bodyOf(id);
      if (known === undefined || body === undefined || known.endsAtMs <= Date.now()) {
        this.#unsent.delete(id);
        continue;
      }
      sent.set(id, known);
      size += body.length;
      const endsAtMs = Date.now() + remainingMs(known.endsAtMs);
      args.push(id, known.rank, Math.round(shift.toRedis(endsAtMs)), body);
    }
    if (sent.size === 0) return;
    const [, full] = await client.run(PUT, args);
    if (full !== 0) this.#isFull = true;
    // What was changed meanwhile is sent again.
    for (const [id, known] of sent) if (this.#known.get(id) === known) this.#unsent.delete(id);
  }

  /** Takes in the changes after a version; returns the last version. */
  async #read(after: number, onEntry: (entry: Entry) => void = () => {}): Promise<number> {
    const { client, key, apply, shift, maxEntries } = this.#options;
    for (;;) {
      const [, version, more, ...parts] = await client.run(CHANGES, [key, after]);
      const entries: Entry[] = [];
      for (const [id, value] of pairs(parts)) {
        const entry = readEntry(id, value, shift);
        if (entry === undefined) continue;
        onEntry(entry);
        const isTakenBack = entry.body === "";
        const { rank = -1, isTakenBack: wasTakenBack = false } = this.#known.get(id) ?? {};
        // If two nodes did opposite things at once, the one that Redis heard first holds.
        if (rank > entry.rank || (rank === entry.rank && isTakenBack === wasTakenBack)) continue;
        this.#known.set(id, { rank: entry.rank, endsAtMs: entry.endsAtMs, isTakenBack });
        this.#unsent.delete(id);
        entries.push(entry);
      }
      if (entries.length > 0) apply(entries);
      // A wrong answer must not make this go on for ever.
      const isWrong = !(Number(version) >= after) || (more === 1 && Number(version) === after) ||
        this.#known.size > 2 * maxEntries;
      if (isWrong) {
        throw new RedisRefusal(`Cannot read the list "${key}": its versions or its length are impossible`);
      }
      after = Number(version);
      if (more !== 1) return after;
    }
  }
}

/** The texts of an answer in pairs. */
export function pairs(parts: readonly Reply[]): readonly (readonly [string, string])[] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) found.push([String(parts[i]), String(parts[i + 1])]);
  return found;
}
