// One public listener: accepts, has each peer opened, checked and joined to the endpoint, and drains.

import { ABNORMAL_CLOSURE, type CloseReason } from "../protocol/close_code.ts";
import { isOutOfDescriptors } from "../core/descriptors.ts";
import { StandstillMeter } from "../core/standstill.ts";
import { encodeClose } from "../protocol/frame.ts";
import { checkHandshake, type Refusal } from "../protocol/handshake.ts";
import { describeFault } from "../telemetry/fault.ts";
import type { Log } from "../telemetry/log.ts";
import type { Admission } from "./admission.ts";
import { canonicalAddress } from "./admission/network_set.ts";
import { firstRefusal, type RequestRule } from "./admission/request_rules.ts";
import { closeQuietly, expectLoss, isConnectionLost } from "./byte_socket.ts";
import type { Connection } from "./connection/connection.ts";
import type { ConnectionFacts } from "./connection/connection_parts.ts";
import { EndpointCounters } from "./counters.ts";
import { connectionCost, join, type JoiningLimits, type JoiningOptions } from "./handshake/joining.ts";
import { answerHealth, type Health, isHealthCheck } from "./handshake/health.ts";
import { open, type OpeningOptions } from "./handshake/opening.ts";
import { Peer } from "./handshake/peer.ts";
import { answer, interrupt, refuse, sendLast } from "./handshake/refusing.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import type { TlsAcceptor } from "./tls/tls_acceptor.ts";
import type { Crossing, Upstream } from "./upstream/route.ts";
import { Served } from "./ways/served.ts";

/** Pause after a failed accept, in milliseconds: the reason seldom goes away at once. */
const ACCEPT_RETRY_MS = 100;

/** The same where descriptors were let go, which are free in a moment. */
const ACCEPT_ROOM_MS = 10;

/** How many peers are accepted before the runtime polls for other I/O: each takes about 50 microseconds. */
const MOST_ACCEPTED_AT_ONCE = 64;

/** The pause between closing one connection and the next at a drain, in milliseconds; less if there is less time. */
const CLOSE_STEP_MS = 10;

/** How long connections that were cut at the end of a drain may take to end, in milliseconds. */
const DRAIN_GRACE_MS = 1000;

/** The limits on a listener's peers; times in milliseconds. */
export type ListenerLimits = JoiningLimits;

/** What a listener is made of. */
export interface ListenerOptions {
  /** The endpoint's name, for the log. */
  readonly endpoint: string;
  /** Already bound; the firewall owns and closes it. */
  readonly listener: Deno.TcpListener;
  /** Makes TLS of what is accepted; without it the listener speaks plain HTTP. */
  readonly tls?: TlsAcceptor | undefined;
  /** Where the endpoint is: the Unix socket of one in this process, or somebody else's server. */
  readonly inside: string | Upstream;
  /** The public health path; none if left out. */
  readonly health?: Health | undefined;
  /** Applied to each head that is a handshake. */
  readonly requestRules: readonly RequestRule[];
  readonly limits: ListenerLimits;
  /** Shared by all listeners of the process. */
  readonly admission: Admission;
  /** The memory of all listeners of the process together. */
  readonly budget: MemoryBudget;
  readonly log: Log;
}

const STOPPING: Refusal = {
  status: 503,
  reason: "the server is stopping",
  rule: "draining",
  headers: { "Retry-After": "5" },
};
const NO_MEMORY: Refusal = {
  status: 503,
  reason: "the server is short of memory",
  rule: "memory",
  headers: { "Retry-After": "5" },
};
const FAULT: Refusal = { status: 500, reason: "a failure on the server's side" };

/** Accepts until it is drained. */
export class FirewallListener {
  /** The counters of this listener. */
  readonly counters = new EndpointCounters();
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  /** Peers that are no connection yet. */
  readonly #newcomers = new Set<Peer>();
  /** The ways to the endpoint, by connection, from the question to the endpoint to the end. */
  readonly #ways = new Map<string, Served | Crossing>();
  readonly #joining: JoiningOptions;
  readonly #opening: OpeningOptions;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #isDraining = false;
  #drained: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  /** Starts to accept at once. */
  constructor(options: ListenerOptions) {
    this.#options = options;
    const { counters } = this;
    this.#joining = { ...options, isSecure: options.tls !== undefined, counters, ways: this.#ways };
    const { health } = options;
    this.#opening = { ...options, oldPaths: new Set(health === undefined ? [] : [health.path]) };
    void this.#acceptAll();
  }

  /** The endpoint's name. */
  get endpoint(): string {
    return this.#options.endpoint;
  }

  /** Connections that have been admitted and have not ended. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The connections, oldest first. */
  *connectionFacts(): Iterable<ConnectionFacts> {
    for (const { facts } of this.#connections) yield facts;
  }

  /** Begins to close a connection; returns whether there is one with this id. */
  closeConnection(id: string, close: CloseReason): boolean {
    for (const connection of this.#connections) {
      if (connection.id !== id) continue;
      connection.close(close);
      return true;
    }
    return false;
  }

  /** Bytes that wait to be sent to all its peers together. */
  get sendQueueBytes(): number {
    let bytes = 0;
    for (const { pendingBytes } of this.#ways.values()) bytes += pendingBytes;
    return bytes;
  }

  /**
   * The link of an endpoint in this process to a connection, from the question to the endpoint on; undefined if there
   * is none.
   */
  link(connection: string): Served | undefined {
    const way = this.#ways.get(connection);
    return way instanceof Served ? way : undefined;
  }

  /**
   * Stops accepting, sends `close` to every open connection and cuts those still open after `timeoutMs`. Resolves when
   * all have ended, or a second later: what is open then is a fault, and ends with the process.
   */
  drain(close: CloseReason, timeoutMs: number): Promise<void> {
    return this.#drained ??= this.#drain(close, timeoutMs);
  }

  async #drain(close: CloseReason, timeoutMs: number): Promise<void> {
    this.#options.listener.close();
    this.#isDraining = true;
    const ended = new Promise<void>((resolve) => this.#onEmpty = resolve);
    let timer = setTimeout(() => {
      for (const peer of this.#newcomers) peer.cut();
      for (const connection of this.#connections) connection.cut();
      timer = setTimeout(() => this.#onEmpty?.(), DRAIN_GRACE_MS);
    }, timeoutMs);
    const closer = this.#closeAll(close, timeoutMs);
    this.#checkEmpty();
    await ended;
    clearInterval(closer);
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  #startSweeping(everyMs: number): void {
    const standstill = new StandstillMeter(everyMs, performance.now());
    this.#sweeper = setInterval(() => this.#sweep(standstill), everyMs);
  }

  /**
   * Closes one connection after the other, within the first half of the time: clients closed all at once would all
   * reconnect at once.
   */
  #closeAll(close: CloseReason, timeoutMs: number): ReturnType<typeof setInterval> {
    const startedMs = performance.now();
    const connections = [...this.#connections];
    const stepMs = Math.min(CLOSE_STEP_MS, timeoutMs / 2 / connections.length);
    let next = 0;
    const closeDue = () => {
      const elapsedMs = performance.now() - startedMs;
      // Their own deadlines would come first otherwise.
      while (next < connections.length && next * stepMs <= elapsedMs) {
        connections[next++]!.close(close, timeoutMs - elapsedMs);
      }
    };
    closeDue();
    return setInterval(closeDue, CLOSE_STEP_MS);
  }

  #sweep(standstill: StandstillMeter): void {
    const nowMs = performance.now();
    const stoodStillMs = standstill.tick(nowMs);
    for (const peer of this.#newcomers) {
      try {
        peer.sweep(nowMs, standstill.lateMs);
      } catch (error) {
        void this.#contain(peer, error).finally(() => peer.cut());
      }
    }
    for (const connection of this.#connections) {
      if (stoodStillMs > 0) connection.excuse(stoodStillMs);
      connection.sweep(nowMs);
    }
    this.#options.budget.sweep(nowMs);
  }

  #checkEmpty(): void {
    if (this.#connections.size === 0 && this.#newcomers.size === 0) this.#onEmpty?.();
  }

  async #acceptAll(): Promise<void> {
    const { listener, endpoint, limits, log } = this.#options;
    let isFailing = false;
    let accepted = 0;
    while (!this.#isDraining) {
      try {
        const socket = await listener.accept();
        if (isFailing) log("server.accepting", { endpoint });
        isFailing = false;
        // Not before: there is nothing to sweep, and the runtime's first timer would slow down the start.
        if (this.#sweeper === undefined) this.#startSweeping(sweepIntervalMs(limits));
        void this.#serve(socket);
        // An accept that does not have to wait lets nothing else run.
        if (++accepted % MOST_ACCEPTED_AT_ONCE === 0) await pause(0);
        while (this.#options.admission.isCrowded) await pause(0);
      } catch (error) {
        if (this.#isDraining) return;
        // The peer was gone before it was accepted.
        if (isConnectionLost(error) && !(error instanceof Deno.errors.BadResource)) continue;
        if (!isFailing) log("server.accept_failed", { endpoint, ...describeAcceptFailure(error) });
        isFailing = true;
        const isSoonOver = isOutOfDescriptors(error) && this.#options.admission.lackDescriptors();
        await pause(isSoonOver ? ACCEPT_ROOM_MS : ACCEPT_RETRY_MS);
      }
    }
  }

  /** The whole life of one accepted socket. Never rejects. */
  async #serve(socket: Deno.TcpConn): Promise<void> {
    this.counters.sockets++;
    const { admission, endpoint, log, tls } = this.#options;
    const { hostname } = socket.remoteAddr;
    const peer = new Peer(socket, canonicalAddress(hostname) ?? hostname, endpoint);
    let hasEntered = false;
    try {
      const refusal = admission.enter(peer);
      hasEntered = true;
      if (refusal !== undefined) {
        admission.record(peer.address, endpoint, refusal);
        peer.canAnswer = tls === undefined && admission.mayExplain();
        // It has no place, so it may not linger; most peers see the answer all the same.
        return await interrupt(peer, refusal);
      }
      this.#newcomers.add(peer);
      // Small messages must not wait for the acknowledgement of the last one.
      socket.setNoDelay(true);
      const connection = await this.#admit(peer);
      if (connection !== undefined) await this.#run(connection, peer);
    } catch (error) {
      if (!isConnectionLost(error)) await this.#contain(peer, error);
      else if (!peer.isRefused) log("handshake.failed", { peer: peer.address, endpoint });
    } finally {
      try {
        this.#leave(peer, socket, hasEntered);
      } catch (error) {
        await this.#contain(peer, error);
      }
    }
  }

  /** Takes it out of everything: a failure in one step does not keep the others from it. */
  #leave(peer: Peer, socket: Deno.TcpConn, hasEntered: boolean): void {
    const { id, connection } = peer;
    const { admission } = this.#options;
    const way = id === undefined ? undefined : this.#ways.get(id);
    this.#newcomers.delete(peer);
    if (connection !== undefined) this.#connections.delete(connection);
    if (id !== undefined) this.#ways.delete(id);
    try {
      way?.release(connection?.result.code ?? ABNORMAL_CLOSURE);
    } finally {
      try {
        peer.cut();
        closeQuietly(socket);
        admission.end(peer);
      } finally {
        if (hasEntered) admission.leave(peer);
        this.#checkEmpty();
      }
    }
  }

  /** Reads the head and answers it. Resolves with the connection, or with nothing when the peer has been refused. */
  async #admit(peer: Peer): Promise<Connection | undefined> {
    const { admission, budget, health, requestRules } = this.#options;
    const opening = await open(peer, this.#opening);
    // A peer that lost its place to another has been answered.
    if (opening === undefined || peer.isRefused) return undefined;
    if (!("head" in opening)) return void await refuse(peer, opening, this.#options);
    const { head } = opening;
    if (health !== undefined && isHealthCheck(head, health)) {
      return void await answerHealth(peer, !this.#isDraining && health.isReady());
    }
    const hasPlace = budget.hasPlaceFor(connectionCost(peer.socket));
    const refusal = (this.#isDraining ? STOPPING : checkHandshake(head)) ??
      admission.enforce(peer.address, hasPlace ? undefined : NO_MEMORY) ??
      admission.enforce(peer.address, firstRefusal(requestRules, head));
    if (refusal !== undefined) return void await refuse(peer, refusal, this.#options);
    const tooMany = admission.settle(peer);
    if (tooMany !== undefined) return void await refuse(peer, tooMany, this.#options);
    const joined = await join(peer, opening, this.#joining);
    if (!("status" in joined)) return joined;
    admission.unsettle(peer);
    // If a drain has cut it, it is not the endpoint's failure.
    return void await refuse(peer, this.#isDraining ? STOPPING : joined, this.#options);
  }

  async #run(connection: Connection, peer: Peer): Promise<void> {
    peer.connection = connection;
    this.#newcomers.delete(peer);
    this.#connections.add(connection);
    if (this.#isDraining) connection.close({ code: 1001, reason: STOPPING.reason });
    await connection.run();
  }

  /** A fault of our own ends this connection and nothing else: recorded once, and never called the peer's. */
  async #contain(peer: Peer, fault: unknown): Promise<void> {
    const { endpoint, log } = this.#options;
    const { id, address, socket, isWelcomed, canAnswer } = peer;
    log("connection.fault", { connection: id, peer: address, endpoint, ...describeFault(fault) });
    try {
      if (isWelcomed) await sendLast(socket, encodeClose({ code: 1011, reason: "internal error" }));
      else if (canAnswer && !peer.isRefused) await answer(peer, FAULT);
    } catch (error) {
      expectLoss(error);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** How often time limits are checked: often enough for the shortest, and seldom enough to cost nothing. */
function sweepIntervalMs(limits: ListenerLimits): number {
  const shortest = Math.min(
    limits.handshakeTimeout,
    limits.closeTimeout,
    limits.idleTimeout,
    limits.pingInterval,
    limits.pingTimeout,
    limits.sendTimeout,
    limits.messageTimeout,
    limits.maxLifetime,
  );
  return Math.max(25, Math.min(250, shortest / 4));
}

function describeAcceptFailure(error: unknown): { readonly error: string; readonly hint?: string } {
  if (isOutOfDescriptors(error)) {
    return {
      error: "no file descriptors are left",
      hint: "raise the limit (ulimit -n) or lower --max-connections: a connection needs three",
    };
  }
  return { error: String(error) };
}
