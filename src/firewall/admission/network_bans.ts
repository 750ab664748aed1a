// Bans of whole networks, which administrators make by hand.

import type { Ban } from "./client_table.ts";
import { createNetworkSet, isLoopback, type NetworkSet } from "./network_set.ts";

/** How many there may be; with more, the one that ends first is forgotten. */
export const MAX_NETWORK_BANS = 1024;

/** The banned networks. Times are of one clock that does not go back. */
export class NetworkBans {
  readonly #banLoopback: boolean;
  /** When each ends, by the network as `banKey` writes it. */
  readonly #untilMs = new Map<string, number>();
  #set: NetworkSet = createNetworkSet([]);
  /** When the first of them ends. */
  #nextMs = Infinity;

  /** @param banLoopback whether addresses of the machine itself are banned with their network */
  constructor(banLoopback: boolean) {
    this.#banLoopback = banLoopback;
  }

  /** Whether an address is in a banned network. */
  has(address: string, nowMs: number): boolean {
    if (nowMs >= this.#nextMs) this.#update(nowMs);
    return this.#set.has(address) && (this.#banLoopback || !isLoopback(address));
  }

  /** Bans a network for `forMs` from now, in place of a ban it may have. False for loopback, unless that may be banned. */
  ban(network: string, forMs: number, nowMs: number): boolean {
    if (!this.#banLoopback && isLoopback(network.slice(0, network.indexOf("/")))) return false;
    this.#untilMs.set(network, nowMs + forMs);
    this.#update(nowMs);
    return true;
  }

  /** Ends a ban; returns whether there was one. */
  unban(network: string, nowMs: number): boolean {
    const wasBanned = (this.#untilMs.get(network) ?? 0) > nowMs;
    this.#untilMs.delete(network);
    this.#update(nowMs);
    return wasBanned;
  }

  /** The bans of now. */
  bans(nowMs: number): readonly Ban[] {
    return Array.from(this.#untilMs, ([key, untilMs]) => ({ key, untilMs }))
      .filter(({ untilMs }) => untilMs > nowMs);
  }

  /** Forgets bans that are over, and the first to end if there are too many. */
  #update(nowMs: number): void {
    for (const [network, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(network);
    const ends = [...this.#untilMs].sort(([, a], [, b]) => a - b);
    for (const [network] of ends.splice(0, ends.length - MAX_NETWORK_BANS)) this.#untilMs.delete(network);
    this.#nextMs = ends[0]?.[1] ?? Infinity;
    this.#set = createNetworkSet([...this.#untilMs.keys()]);
  }
}
