// The pool of upstreams: which one is next, and which are left out for a time. No I/O.

import type { UpstreamAddress } from "../../core/upstream_text.ts";
import { Histogram, LATENCY_BOUNDS } from "../../telemetry/histogram.ts";
import type { Log } from "../../telemetry/log.ts";

/** The result of an attempt; a closed set, used as labels. */
export type ConnectResult = "ok" | "refused" | "unreachable" | "tls" | "timeout" | "bad_answer";

/** After so many failures in a row a server is left out. */
const MOST_FAILURES = 3;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** One server. */
export class UpstreamServer {
  readonly address: UpstreamAddress;
  /** Connections to it, with the attempts under way. */
  open = 0;
  /** Attempts so far by result, and how long the successful ones took, in seconds. */
  readonly connects = new Map<ConnectResult, number>();
  readonly seconds = new Histogram(LATENCY_BOUNDS);
  failures = 0;
  /** How long it is left out each time, 0 if it is not; until when; whether a client is trying it. */
  pauseMs = 0;
  pausedUntilMs = 0;
  isTried = false;
  /** Whether it accepted a connection when it last failed: then it is better than nothing. */
  isListening = false;

  constructor(address: UpstreamAddress) {
    this.address = address;
  }

  get name(): string {
    return this.address.name;
  }

  get isUp(): boolean {
    return this.pauseMs === 0;
  }
}

/**
 * Chooses the server with the fewest open connections, in turn among equals. After three failures in a row a server is
 * left out for a second, after each further one for twice as long, up to 30 s; then one client at a time tries it. Open
 * connections are never touched, and a lone server is always tried.
 */
export class Pool {
  readonly servers: readonly UpstreamServer[];
  /** Attempts beyond the first one of a handshake. */
  retries = 0;
  readonly #maxConnections: number;
  readonly #log: Log;
  readonly #now: () => number;
  #next = 0;

  constructor(
    addresses: readonly UpstreamAddress[],
    { maxConnections, log, now = () => performance.now() }: {
      readonly maxConnections: number;
      readonly log: Log;
      readonly now?: () => number;
    },
  ) {
    this.servers = addresses.map((address) => new UpstreamServer(address));
    this.#maxConnections = maxConnections;
    this.#log = log;
    this.#now = now;
  }

  /**
   * Takes a place at the best server not among `tried`; it must be given back by `release`. Undefined if there is none.
   */
  pick(tried: ReadonlySet<UpstreamServer>): UpstreamServer | undefined {
    const { servers } = this;
    let best: UpstreamServer | undefined;
    let bestRank = Infinity;
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(this.#next + i) % servers.length]!;
      if (tried.has(server) || server.open >= this.#maxConnections) continue;
      const rank = this.#rank(server);
      if (rank < bestRank || rank === bestRank && rank < Infinity && server.open < best!.open) {
        best = server;
        bestRank = rank;
      }
    }
    if (best === undefined) return undefined;
    this.#next = (servers.indexOf(best) + 1) % servers.length;
    best.open++;
    if (!best.isUp && bestRank === 0) best.isTried = true;
    return best;
  }

  /** 0 to be used, 1 if there is nothing better, Infinity if left out. */
  #rank(server: UpstreamServer): number {
    if (server.isUp || this.servers.length === 1) return 0;
    if (this.#now() >= server.pausedUntilMs && !server.isTried) return 0;
    // A client can make a server slow to answer, and must not take it away from all others that way.
    return server.isListening ? 1 : Infinity;
  }

  /** Gives a place back. */
  release(server: UpstreamServer): void {
    server.open--;
    // An attempt that was given up says nothing about the server.
    server.isTried = false;
  }

  /** Counts the result of an attempt. */
  tried(server: UpstreamServer, result: ConnectResult, seconds = 0): void {
    server.connects.set(result, (server.connects.get(result) ?? 0) + 1);
    server.isTried = false;
    if (result === "ok" || result === "refused") {
      if (result === "ok") server.seconds.observe(seconds);
      if (!server.isUp) this.#log("upstream.up", { upstream: server.name });
      server.failures = 0;
      server.pauseMs = 0;
      return;
    }
    server.failures++;
    server.isListening = result === "timeout" || result === "bad_answer";
    const nowMs = this.#now();
    if (server.failures < MOST_FAILURES || !server.isUp && nowMs < server.pausedUntilMs) return;
    server.pauseMs = Math.min(LONGEST_PAUSE_MS, server.isUp ? FIRST_PAUSE_MS : server.pauseMs * 2);
    server.pausedUntilMs = nowMs + server.pauseMs;
    this.#log("upstream.down", { upstream: server.name, duration: server.pauseMs / 1000 });
  }

  /** Why nobody can be served, for the readiness of the program. */
  problems(): readonly string[] {
    return this.servers.every((server) => !server.isUp) ? ["no upstream can be used"] : [];
  }
}
