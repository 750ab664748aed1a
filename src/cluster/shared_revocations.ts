// Revocations that hold on all nodes.

import type { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { RedisClient } from "../redis/client.ts";
import { SharedList } from "./shared_list.ts";
import { type Entry, readRevocation, type TimeShift, writeRevocation } from "./wire.ts";

/** What shared revocations need. */
export interface SharedRevocationsOptions {
  readonly client: Pick<RedisClient, "run" | "now" | "isUp">;
  readonly shift: TimeShift;
  /** The name of this node in lists. */
  readonly name: string;
  readonly sessions: Pick<SessionRegistry, "revocation" | "revocations" | "followRevocations">;
  /** Runs an action with Redis whose result is not awaited. */
  readonly attempt: (action: () => Promise<unknown>) => Promise<void>;
}

/** The most revocations that all nodes have together. */
const MAX_REVOCATIONS = 200_000;

/** Ranks of a revocation: one that was taken back never returns. */
const REVOKED = 1;
const TAKEN_BACK = 1e15;

/** The revocations of all nodes, as this one knows them; begins with those here. */
export class SharedRevocations {
  readonly list: SharedList;
  readonly #options: SharedRevocationsOptions;

  constructor(options: SharedRevocationsOptions) {
    this.#options = options;
    const { client, shift, name, sessions } = options;
    this.list = new SharedList({
      client,
      shift,
      key: "r",
      maxEntries: MAX_REVOCATIONS,
      bodyOf: (id) => {
        const revocation = sessions.revocation(id);
        return revocation === undefined ? undefined : writeRevocation(revocation, shift, name);
      },
      apply: (entries) => this.#apply(entries),
    });
    for (const { id, expiresAtMs } of sessions.revocations()) this.list.put(id, REVOKED, expiresAtMs, false);
  }

  /** A revocation was added here, perhaps in place of another. */
  add(id: string, replacedId: string | undefined): void {
    const revocation = this.#options.sessions.revocation(id);
    if (revocation === undefined) return;
    // First, so that the new one is not taken for the one that was taken back.
    if (replacedId !== undefined) this.#putBack(replacedId, revocation.expiresAtMs);
    this.list.put(id, REVOKED, revocation.expiresAtMs, false);
    this.#send();
  }

  /** A revocation was taken back here that would have lasted until `expiresAtMs`. */
  takeBack(id: string, expiresAtMs: number): void {
    this.#putBack(id, expiresAtMs);
    this.#send();
  }

  #putBack(id: string, expiresAtMs: number): void {
    this.list.put(id, TAKEN_BACK, this.list.endOf(id) ?? expiresAtMs, true);
  }

  #send(): void {
    if (this.#options.client.isUp) void this.#options.attempt(() => this.list.send());
  }

  #apply(entries: readonly Entry[]): void {
    const { sessions, shift } = this.#options;
    const added = entries.filter(({ body }) => body !== "").map((entry) => readRevocation(entry, shift));
    const removed = entries.filter(({ body }) => body === "").map(({ id }) => id);
    const merged = sessions.followRevocations(added.filter((one) => one !== undefined), removed);
    // The kept one has more now than Redis knows. The other must not return when the kept one is taken back.
    for (const { keptId, droppedId } of merged) this.add(keptId, droppedId);
  }
}
