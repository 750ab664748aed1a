// One public listener: accepts connections, reads their heads, and joins those it admits to the endpoint.

import {
  badRequest,
  canBeRequest,
  checkHandshake,
  encodeInnerRequest,
  encodeRefusal,
  findHeadEnd,
  isRefusalStatus,
  parseRequestHead,
  parseResponseHead,
  type Refusal,
  type RequestHead,
} from "../protocol/handshake.ts";
import type { CloseReason } from "../protocol/close_code.ts";
import type { Log } from "../telemetry/log.ts";
import type { Admission, Admitted } from "./admission.ts";
import { clientAddress } from "./admission/forwarded_for.ts";
import { canonicalAddress } from "./admission/network_set.ts";
import { MAX_V2_SIZE, parseProxyHeader } from "./admission/proxy_protocol.ts";
import { firstRefusal, type RequestRule } from "./admission/request_rules.ts";
import { small } from "./buffer_stock.ts";
import { type ByteSocket, closeQuietly, finish, PrefixedSocket, writeAll } from "./byte_socket.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import { EndpointCounters } from "./counters.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { Outbox } from "./outbox.ts";

import type { TlsAcceptor } from "./tls_acceptor.ts";

/** The longest request head, in bytes: room for a token of 8 KiB in a header. */
const MAX_HEAD_SIZE = 16_384;

const LF = 10;

/** How long a refused peer may take to read why, in milliseconds: it holds a descriptor for that time. */
const REFUSAL_TIMEOUT_MS = 1000;

/** Pause after a failed accept, in milliseconds: what made it fail is seldom over at once. */
const ACCEPT_RETRY_MS = 100;

/** What a listener holds its peers to; times in milliseconds. */
export interface ListenerLimits extends ConnectionLimits {
  /** From the accept to the end of the request head. */
  readonly handshakeTimeout: number;
}

/** What a listener is made of. */
export interface ListenerOptions {
  /** The endpoint's name, for the log. */
  readonly endpoint: string;
  /** Already bound; the firewall owns and closes it. */
  readonly listener: Deno.TcpListener;
  /** Makes TLS of what is accepted; without it the listener speaks plain HTTP. */
  readonly tls?: TlsAcceptor | undefined;
  /** The Unix socket of the endpoint. */
  readonly socketPath: string;
  /** Applied to each head that is a handshake. */
  readonly requestRules: readonly RequestRule[];
  readonly limits: ListenerLimits;
  /** Shared by all listeners of the process. */
  readonly admission: Admission;
  /** What all listeners of the process may hold together. */
  readonly budget: MemoryBudget;
  readonly log: Log;
}

/** The endpoint's 101, as it is sent on, and what came after it. */
interface Welcome {
  readonly head: Uint8Array<ArrayBuffer>;
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** What a peer asked for, and what it sent after that. */
interface Opening {
  readonly head: RequestHead;
  readonly rest: Uint8Array<ArrayBuffer>;
}

const LATE: Refusal = {
  status: 408,
  reason: "the request head did not come in time",
  rule: "handshake_timeout",
};
const TOO_LONG: Refusal = {
  status: 431,
  reason: `the request head may have at most ${MAX_HEAD_SIZE} bytes`,
  rule: "head_size",
  limit: MAX_HEAD_SIZE,
};
const STOPPING: Refusal = {
  status: 503,
  reason: "the server is stopping",
  rule: "draining",
  headers: { "Retry-After": "5" },
};
const UNAVAILABLE: Refusal = {
  status: 503,
  reason: "the endpoint is not available",
  rule: "endpoint",
  headers: { "Retry-After": "1" },
};

let lastConnection = 0;
const runId = Date.now().toString(36);

/** Accepts until it is drained. */
export class FirewallListener {
  /** Its own; read by whoever wants to know. */
  readonly counters = new EndpointCounters();
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  readonly #handshakes = new Set<Handshake>();
  /** The ways to the peers, by connection, from when the endpoint is asked to the end. */
  readonly #outboxes = new Map<string, Outbox>();
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  /** Starts to accept at once. */
  constructor(options: ListenerOptions) {
    this.#options = options;
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

  /** Bytes that wait to be sent to all its peers together. */
  get sendQueueBytes(): number {
    let bytes = 0;
    for (const outbox of this.#outboxes.values()) bytes += outbox.pendingBytes;
    return bytes;
  }

  /** The way to the peer of a connection, from when the endpoint is asked about it; undefined when there is none. */
  outbox(connection: string): Outbox | undefined {
    return this.#outboxes.get(connection);
  }

  /**
   * Stops accepting, sends `close` to every open connection and cuts those that are left after `timeoutMs`. Resolves
   * when all have ended.
   */
  async drain(close: CloseReason, timeoutMs: number): Promise<void> {
    if (!this.#isDraining) this.#options.listener.close();
    this.#isDraining = true;
    const empty = new Promise<void>((resolve) => this.#onEmpty = resolve);
    const timer = setTimeout(() => {
      for (const { peer } of this.#handshakes) closeQuietly(peer);
      for (const connection of this.#connections) connection.cut();
    }, timeoutMs);
    // Their own deadlines would come first otherwise.
    for (const connection of this.#connections) connection.close(close, timeoutMs);
    this.#checkEmpty();
    await empty;
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.sweep(nowMs);
    this.#options.budget.sweep();
  }

  #checkEmpty(): void {
    if (this.#connections.size === 0 && this.#handshakes.size === 0) this.#onEmpty?.();
  }

  async #acceptAll(): Promise<void> {
    const { listener, endpoint, limits, log } = this.#options;
    let isFailing = false;
    while (!this.#isDraining) {
      try {
        const peer = await listener.accept();
        if (isFailing) log("server.accepting", { endpoint });
        isFailing = false;
        // Not before: there is nothing to sweep, and the runtime's first timer takes time that a start does not have.
        this.#sweeper ??= setInterval(() => this.#sweep(), sweepIntervalMs(limits));
        void this.#serve(peer);
      } catch (error) {
        if (this.#isDraining) return;
        // A peer that was gone before it was accepted is nobody's trouble.
        if (!isOutOfDescriptors(error)) continue;
        if (!isFailing) {
          log("server.accept_failed", {
            endpoint,
            error: "no file descriptors are left",
            hint: "raise the limit (ulimit -n) or lower --max-connections: a connection needs three",
          });
        }
        isFailing = true;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
      }
    }
  }

  /** The whole life of one accepted socket. Never rejects. */
  async #serve(peer: Deno.TcpConn): Promise<void> {
    this.counters.sockets++;
    const { admission, endpoint, log } = this.#options;
    const { hostname } = peer.remoteAddr;
    const handshake = new Handshake(peer, canonicalAddress(hostname) ?? hostname);
    const refusal = admission.enter();
    if (refusal !== undefined) {
      admission.record(handshake.address, endpoint, refusal);
      // It was not counted, so it may not linger; most peers see the answer all the same.
      if (this.#options.tls === undefined) await writeAll(peer, encodeRefusal(refusal)).catch(() => {});
      return closeQuietly(peer);
    }
    this.#handshakes.add(handshake);
    try {
      // Small messages must not wait for the acknowledgement of the last one.
      peer.setNoDelay(true);
      const connection = await this.#admit(handshake);
      this.#handshakes.delete(handshake);
      if (connection !== undefined) {
        handshake.connection = connection;
        this.#connections.add(connection);
        if (this.#isDraining) connection.close({ code: 1001, reason: STOPPING.reason });
        await connection.run();
        this.#connections.delete(connection);
      }
    } catch {
      log("handshake.failed", { peer: handshake.address, endpoint });
    }
    this.#handshakes.delete(handshake);
    if (handshake.id !== undefined) this.#outboxes.delete(handshake.id);
    admission.end(handshake);
    admission.leave();
    closeQuietly(handshake.peer);
    closeQuietly(peer);
    this.#checkEmpty();
  }

  /** Reads the head and answers it. Resolves with the connection, or with nothing when the peer has been refused. */
  async #admit(handshake: Handshake): Promise<Connection | undefined> {
    const { admission, requestRules, limits } = this.#options;
    const isProxy = admission.proxies.has(handshake.address);
    if (!isProxy) {
      const refusal = admission.check(handshake.address);
      if (refusal !== undefined) return await this.#refuse(handshake, refusal);
      admission.begin(handshake.address, handshake);
    }
    const opening = await this.#readOpening(handshake);
    if (opening === undefined) return undefined;
    if ("status" in opening) return await this.#refuse(handshake, opening);
    const { head, rest } = opening;
    if (isProxy) {
      // Without a preamble the header counts, and with one it is a claim of whoever stands before the proxy.
      const claim = head.headers.get("x-forwarded-for");
      handshake.address = handshake.proxied ?? clientAddress(handshake.address, claim, admission.proxies);
      const refusal = admission.check(handshake.address);
      if (refusal !== undefined) return await this.#refuse(handshake, refusal);
      admission.begin(handshake.address, handshake);
    }
    const refusal = admission.handshake(handshake.address) ??
      (this.#isDraining ? STOPPING : checkHandshake(head)) ??
      admission.enforce(handshake.address, firstRefusal(requestRules, head));
    if (refusal !== undefined) return await this.#refuse(handshake, refusal);

    const id = `${runId}-${(++lastConnection).toString(36)}`;
    const outbox = new Outbox(handshake.peer, this.counters);
    this.#outboxes.set(id, outbox);
    handshake.id = id;
    const joined = await this.#join(id, head, handshake);
    if ("status" in joined) return await this.#refuse(handshake, joined);
    const { inner, welcome } = joined;
    try {
      await writeAll(handshake.peer, welcome.head);
    } catch (error) {
      closeQuietly(inner);
      throw error;
    }
    return new Connection({
      id,
      endpoint: this.#options.endpoint,
      address: handshake.address,
      peer: handshake.peer,
      outbox,
      inner,
      fromPeer: rest,
      fromEndpoint: welcome.rest,
      limits,
      budget: this.#options.budget,
      counters: this.counters,
      onViolation: () => admission.violation(handshake.address),
      log: this.#options.log,
    });
  }

  /**
   * Gets through the PROXY preamble and TLS, where there are any, to the request head, all within the handshake
   * timeout. Undefined when the peer has ended, has failed at TLS, or has been cut for being late.
   */
  async #readOpening(handshake: Handshake): Promise<Opening | Refusal | undefined> {
    const { admission, endpoint, tls, limits: { handshakeTimeout } } = this.#options;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      admission.record(handshake.address, endpoint, { ...LATE, limit: handshakeTimeout / 1000 });
      const { peer } = handshake;
      // A read is pending, so this can't wait for the peer's end; closing ends that read.
      if (handshake.canAnswer) {
        writeAll(peer, encodeRefusal(LATE)).catch(() => {}).then(() => closeQuietly(peer));
      } else closeQuietly(peer);
    }, handshakeTimeout);
    try {
      handshake.canAnswer = tls === undefined;
      if (admission.expectsPreamble(handshake.address)) {
        const refusal = await readPreamble(handshake);
        if (refusal !== undefined) return refusal;
      }
      if (tls !== undefined) {
        const result = await tls.handshake(handshake.peer, handshakeTimeout);
        if (!result.ok) {
          if (!isLate) {
            admission.record(handshake.address, endpoint, { ...badRequest(result.reason), rule: "tls" });
          }
          return undefined;
        }
        handshake.peer = result.socket;
        handshake.canAnswer = true;
      }
      const opening = await readHead(handshake.peer);
      return isLate ? undefined : opening;
    } catch (error) {
      if (isLate) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Opens the private hop. Resolves with it and its 101, or with why the endpoint does not want the peer. */
  async #join(
    id: string,
    head: RequestHead,
    { address }: Handshake,
  ): Promise<{ inner: ByteSocket; welcome: Welcome } | Refusal> {
    const { socketPath, tls, endpoint, log } = this.#options;
    let inner: ByteSocket;
    try {
      inner = await Deno.connect({ transport: "unix", path: socketPath });
    } catch (error) {
      log("endpoint.unreachable", { connection: id, endpoint, error: String(error) });
      return UNAVAILABLE;
    }
    try {
      await writeAll(
        inner,
        encodeInnerRequest(head, { connection: id, address, isSecure: tls !== undefined }),
      );
      // Whatever becomes of the peer meanwhile: the runtime leaks a descriptor if the hop is closed before the head is here.
      const answer = await readAnswer(inner);
      if (answer !== undefined && !("status" in answer)) return { inner, welcome: answer };
      closeQuietly(inner);
      return answer ?? UNAVAILABLE;
    } catch {
      closeQuietly(inner);
      return UNAVAILABLE;
    }
  }

  /** Answers with a refusal and gives the peer a moment to read it. */
  async #refuse({ peer, address, canAnswer }: Handshake, refusal: Refusal): Promise<undefined> {
    this.#options.admission.record(address, this.#options.endpoint, refusal);
    if (!canAnswer) return closeQuietly(peer) as undefined;
    const timer = setTimeout(() => closeQuietly(peer), REFUSAL_TIMEOUT_MS);
    try {
      await writeAll(peer, encodeRefusal(refusal));
      await finish(peer, new Uint8Array(MAX_HEAD_SIZE));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A peer from its accept on: what there is of it before, and after, it has become a connection. */
class Handshake implements Admitted {
  /** The accepted socket, and later what was put around it. */
  peer: ByteSocket;
  /** The peer's address, or, once that is known, the address of the client that a trusted proxy speaks for. */
  address: string;
  /** The client that a PROXY preamble named. */
  proxied: string | undefined;
  /** Whether the peer would understand an HTTP response: not before TLS is there. */
  canAnswer = true;
  /** The id of the connection, once the endpoint is asked about it. */
  id: string | undefined;
  connection: Connection | undefined;

  constructor(peer: ByteSocket, address: string) {
    this.peer = peer;
    this.address = address;
  }

  expel({ reason }: Refusal): void {
    if (this.connection === undefined) closeQuietly(this.peer);
    else this.connection.close({ code: 1008, reason });
  }
}

/** How often the limits in time are looked at: often enough for the shortest of them, and too seldom to cost anything. */
function sweepIntervalMs(limits: ListenerLimits): number {
  const { closeTimeout, idleTimeout, pingInterval, pingTimeout, sendTimeout, maxLifetime } = limits;
  const shortest = Math.min(closeTimeout, idleTimeout, pingInterval, pingTimeout, sendTimeout, maxLifetime);
  return Math.max(25, Math.min(250, shortest / 4));
}

function isOutOfDescriptors(error: unknown): boolean {
  return error instanceof Error && /os error (23|24)\b|EMFILE|ENFILE/.test(error.message);
}

/** Reads a PROXY preamble and leaves the socket as it is after that. Resolves with what is wrong with it, if anything. */
async function readPreamble(handshake: Handshake): Promise<Refusal | undefined> {
  const bytes = new Uint8Array(MAX_V2_SIZE);
  for (let end = 0;;) {
    const size = await handshake.peer.read(bytes.subarray(end));
    if (size === null) return badPreamble("the PROXY preamble is missing");
    end += size;
    const preamble = parseProxyHeader(bytes, 0, end);
    if (preamble.state === "invalid") return badPreamble(preamble.reason);
    if (preamble.state === "incomplete") continue;
    handshake.proxied = preamble.source?.address;
    handshake.peer = new PrefixedSocket(handshake.peer, bytes.subarray(preamble.size, end));
    return undefined;
  }
}

function badPreamble(reason: string): Refusal {
  return { ...badRequest(reason), rule: "proxy_protocol" };
}

/** Reads a request head; undefined when the peer ended before it was whole. */
async function readHead(peer: ByteSocket): Promise<Opening | Refusal | undefined> {
  const first = small.take();
  let bytes = first;
  let isLineRead = false;
  try {
    for (let end = 0;;) {
      const size = await peer.read(bytes.subarray(end));
      if (size === null) return undefined;
      const headEnd = findHeadEnd(bytes, end, end + size);
      if (!isLineRead) {
        if (!canBeRequest(bytes, end, end + size)) return badRequest("this is not an HTTP/1.1 request");
        isLineRead = bytes.subarray(end, end + size).includes(LF);
      }
      end += size;
      if (headEnd >= 0) {
        const result = parseRequestHead(bytes, 0, headEnd);
        return result.ok ? { head: result.head, rest: bytes.slice(headEnd, end) } : result.refusal;
      }
      if (end >= MAX_HEAD_SIZE) return TOO_LONG;
      if (end === bytes.length) {
        const larger = new Uint8Array(MAX_HEAD_SIZE);
        larger.set(bytes);
        bytes = larger;
      }
    }
  } finally {
    small.giveBack(first);
  }
}

/** Reads the answer of the endpoint: its 101, its refusal, or undefined when it is neither. */
async function readAnswer(inner: ByteSocket): Promise<Welcome | Refusal | undefined> {
  const bytes = small.take();
  try {
    let headEnd = -1;
    let end = 0;
    while (headEnd < 0) {
      const size = await inner.read(bytes.subarray(end));
      // At the end of the buffer nothing more is read, and 0 says so.
      if (size === null || size === 0) return undefined;
      headEnd = findHeadEnd(bytes, end, end + size);
      end += size;
    }
    const head = parseResponseHead(bytes, 0, headEnd);
    if (head?.status === 101) return { head: bytes.slice(0, headEnd), rest: bytes.slice(headEnd, end) };
    if (head === undefined || !isRefusalStatus(head.status)) return undefined;
    const bodyEnd = Math.min(headEnd + Number(head.headers.get("content-length") ?? 0), bytes.length);
    while (end < bodyEnd) {
      const size = await inner.read(bytes.subarray(end));
      if (size === null) break;
      end += size;
    }
    const reason = new TextDecoder().decode(bytes.subarray(headEnd, end)).trim();
    const headers: Record<string, string> = {};
    for (const name of ["WWW-Authenticate", "Retry-After"]) {
      const value = head.headers.get(name.toLowerCase());
      if (value !== undefined) headers[name] = value;
    }
    return { status: head.status, reason, rule: "endpoint", headers };
  } finally {
    small.giveBack(bytes);
  }
}
