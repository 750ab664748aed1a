// Takes a client to an upstream: first the gate decides, then a server of the pool, and its 101 is passed on.

import type { Settings } from "../../core/settings/declarations.ts";
import { parseUpstreamUrl } from "../../core/upstream_text.ts";
import type { CloseReason } from "../../protocol/close_code.ts";
import { encodeClose } from "../../protocol/frame.ts";
import type { Refusal, RequestHead } from "../../protocol/handshake.ts";
import type { Log, LogFields } from "../../telemetry/log.ts";
import { type ByteSocket, closeQuietly, expectLoss, isConnectionLost, writeAll } from "../byte_socket.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { Outbox } from "../connection/outbox.ts";
import type { EndpointCounters } from "../counters.ts";
import { GOING_AWAY, newMaskKey, Relayed } from "../ways/relayed.ts";
import type { Host, Way } from "../ways/way.ts";
import { type Accepted, acceptFor, readUpstreamAnswer } from "./answer.ts";
import { dial, type DialFailure, readUpstreamTls, type UpstreamTls } from "./dial.ts";
import { FirstMessage } from "./first_message.ts";
import type { Asked, Crossed, Gate, Pass, Ticket } from "./gate.ts";
import { type ConnectResult, Pool, type UpstreamServer } from "./pool.ts";
import { encodeUpstreamRequest, encodeWelcome } from "./request.ts";

const FULL: Refusal = {
  status: 503,
  reason: "no upstream can take the connection now",
  rule: "upstream",
  headers: { "Retry-After": "1" },
};
const UNUSABLE: Refusal = { status: 502, reason: "the upstream can't be used", rule: "upstream" };
const SHORT: Refusal = {
  status: 503,
  reason: "the server can't open another connection now",
  rule: "upstream",
  headers: { "Retry-After": "1" },
};
const LATE: Refusal = { status: 504, reason: "the upstream did not answer in time", rule: "upstream" };

/** How long until released descriptors are free, in milliseconds. */
const ROOM_MS = 20;

/** What there is of a client's connection before it has an upstream. */
export interface Client {
  readonly id: string;
  readonly address: string;
  /** Whether it came over TLS. */
  readonly isSecure: boolean;
  readonly outbox: Outbox;
  readonly check: FrameCheck;
  readonly counters: EndpointCounters;
  /** To be called when there are no descriptors; returns whether there may be some soon. */
  readonly lackDescriptors: () => boolean;
}

/** A client that may pass: its way, and the response head for it. */
export interface Entered {
  readonly way: Way;
  readonly welcome: Uint8Array;
}

/** A server that has accepted a handshake. */
export interface Joined extends Accepted {
  readonly socket: ByteSocket;
  readonly server: UpstreamServer;
  readonly accept: string;
}

/** What all clients of an upstream share. */
export class Upstream {
  readonly pool: Pool;
  readonly settings: Settings;
  readonly gate: Gate;
  readonly log: Log;
  tls: UpstreamTls;

  /** @throws {StartError} when a file that the settings name can't be read. */
  constructor(settings: Settings, gate: Gate, log: Log) {
    this.settings = settings;
    this.gate = gate;
    this.log = log;
    this.tls = readUpstreamTls(settings);
    this.pool = new Pool(settings.upstream.map((url) => parseUpstreamUrl(url)!), {
      maxConnections: settings.upstreamMaxConnections,
      log,
    });
  }

  /** Reads the files for TLS again; a file that can't be read is logged and changes nothing. */
  reload(): void {
    const { upstreamCa, upstreamCert } = this.settings;
    if (upstreamCa === undefined && upstreamCert === undefined) return;
    try {
      this.tls = readUpstreamTls(this.settings);
      this.log("upstream.reloaded");
    } catch (error) {
      this.log("upstream.reload_failed", { reason: (error as Error).message });
    }
  }
}

/** A client of an upstream, from its handshake to the end of its connection. */
export class Crossing implements Crossed {
  readonly #upstream: Upstream;
  readonly #client: Client;
  #server: UpstreamServer | undefined;
  #ticket: Ticket | undefined;
  #way: Way | undefined;
  #host: Host | undefined;
  /** The Close, if it was closed before there was a connection. */
  #ending: CloseReason | undefined;
  #socket: ByteSocket | undefined;
  /** Whether the upstream has accepted the handshake, so that it must be told of the end. */
  #isJoined = false;
  #isReleased = false;
  readonly #abortion = new AbortController();

  constructor(upstream: Upstream, client: Client) {
    this.#upstream = upstream;
    this.#client = client;
  }

  get isOpen(): boolean {
    return this.#host?.isOpen ?? this.#ending === undefined;
  }

  get messagesIn(): number {
    return this.#client.check.messages;
  }

  get messagesOut(): number {
    return this.#way?.messagesOut ?? 0;
  }

  /** Bytes that wait to be sent to the client. */
  get pendingBytes(): number {
    return this.#client.outbox.pendingBytes;
  }

  close(close: CloseReason): void {
    this.#ending ??= close;
    this.#abortion.abort();
    if (this.#host !== undefined) this.#host.close(close);
    else if (this.#socket !== undefined) this.#dismiss(this.#socket);
  }

  /** Ends every wait for a server at once. */
  cut(): void {
    this.#ending ??= GOING_AWAY;
    this.#abortion.abort();
    if (this.#socket !== undefined) this.#dismiss(this.#socket);
  }

  /** Releases everything; `code` is the close code of the connection, 1006 if there was none. */
  release(code: number): void {
    this.#isReleased = true;
    this.#abortion.abort();
    if (this.#socket !== undefined) this.#dismiss(this.#socket);
    if (this.#server !== undefined) this.#upstream.pool.release(this.#server);
    this.#server = undefined;
    this.#giveBack(code);
    this.#client.outbox.drop();
  }

  /** Resolves with the way, or with a refusal. Rejects only for a fault of our own. */
  async enter(head: RequestHead): Promise<Entered | Refusal> {
    const { gate } = this.#upstream;
    const asked: Asked = { connection: this.#client.id, address: this.#client.address, head };
    const pass = await gate.admit(asked, this);
    if ("status" in pass) return pass;
    if (pass.ticket === undefined) return await this.#enterFirst(asked, pass);
    this.#ticket = pass.ticket;
    const joined = await this.#join(head, pass, pass.ticket);
    if ("status" in joined) {
      // Before the client is answered, because it may try again at once.
      this.#giveBack(1006);
      return joined;
    }
    const { accept, subprotocol = pass.fallback, cookies } = joined;
    return { way: this.#relay(joined), welcome: encodeWelcome({ accept, subprotocol, cookies }) };
  }

  /** The first message must be a token: it is answered in the connection. */
  async #enterFirst(asked: Asked, pass: Pass): Promise<Entered> {
    const { gate } = this.#upstream;
    const { outbox, check } = this.#client;
    const accept = await acceptFor(asked.head.headers.get("sec-websocket-key")!);
    const way = this.#way = new FirstMessage({
      check,
      outbox,
      timeoutMs: gate.tokenTimeoutMs,
      onStart: (host) => this.#host = host,
      authenticate: async (token, isText) => {
        const ticket = await gate.authenticate(token, isText, asked, this);
        if (!("headers" in ticket)) return ticket;
        if (this.#isReleased) {
          ticket.closed(1006);
          return undefined;
        }
        this.#ticket = ticket;
        const joined = await this.#join(asked.head, pass, ticket);
        if ("status" in joined) {
          this.#giveBack(1006);
          return { code: 1011, reason: joined.reason };
        }
        return this.#relay(joined);
      },
    });
    return { way, welcome: encodeWelcome({ accept, subprotocol: undefined, cookies: [] }) };
  }

  #giveBack(code: number): void {
    this.#ticket?.closed(code);
    this.#ticket = undefined;
  }

  #relay({ socket, rest, server }: Joined): Relayed {
    const { check, outbox, counters } = this.#client;
    const way = this.#way = new Relayed({
      check,
      outbox,
      inner: socket,
      fromEndpoint: rest,
      sizes: counters.messagesOut,
      maxMessageSize: this.#upstream.settings.upstreamMaxMessageSize,
      upstream: server.name,
      onStart: (host) => {
        this.#host = host;
        this.#socket = undefined;
        // What came while the 101 was on its way: the server has been told, and the client is now.
        if (this.#ending !== undefined) host.close(this.#ending);
      },
    });
    return way;
  }

  /** Closes a socket that did not become a way. */
  #dismiss(socket: ByteSocket): void {
    this.#socket = undefined;
    if (!this.#isJoined) return closeQuietly(socket);
    void writeAll(socket, encodeClose(GOING_AWAY, newMaskKey())).catch(expectLoss).finally(() =>
      closeQuietly(socket)
    );
  }

  /** Finds a server that accepts the handshake; tries the next one only after a failed connection or a 503. */
  async #join(head: RequestHead, pass: Pass, ticket: Ticket): Promise<Joined | Refusal> {
    const { pool, settings: { upstreamTimeout } } = this.#upstream;
    const deadlineMs = performance.now() + upstreamTimeout;
    const tried = new Set<UpstreamServer>();
    let last = FULL;
    for (;;) {
      const server = this.#isReleased ? undefined : pool.pick(tried);
      if (server === undefined) return last;
      this.#server = server;
      if (tried.size > 0) pool.retries++;
      tried.add(server);
      const hasOthers = tried.size < pool.servers.length;
      const outcome = await this.#try(server, { head, pass, ticket, deadlineMs, hasOthers });
      // What has ended it has closed the socket too.
      if (this.#ending !== undefined || this.#isReleased) return endedRefusal(this.#ending);
      if ("socket" in outcome) {
        ticket.opened();
        return outcome;
      }
      this.#server = undefined;
      pool.release(server);
      last = outcome.refusal;
      if (!outcome.mayRetry || performance.now() >= deadlineMs) return last;
    }
  }

  async #try(
    server: UpstreamServer,
    { head, pass, ticket, deadlineMs, hasOthers }: {
      readonly head: RequestHead;
      readonly pass: Pass;
      readonly ticket: Ticket;
      readonly deadlineMs: number;
      readonly hasOthers: boolean;
    },
  ): Promise<Joined | { readonly refusal: Refusal; readonly mayRetry: boolean }> {
    const { settings } = this.#upstream;
    const { id: connection, address, isSecure } = this.#client;
    const startedMs = performance.now();
    const leftMs = Math.max(1, deadlineMs - startedMs);
    // One that does not even accept must leave time for the next.
    const socket = await this.#dial(server, hasOthers ? leftMs / 2 : leftMs);
    if ("result" in socket) {
      if (this.#abortion.signal.aborted) return { refusal: UNUSABLE, mayRetry: false };
      const { result, error, hint } = socket;
      if (result === "descriptors" || result === "resources") {
        this.#record(server, { status: SHORT.status, error, hint });
        // Of ports there may be one for another server.
        return { refusal: SHORT, mayRetry: result === "resources" };
      }
      const refusal = result === "timeout" ? LATE : UNUSABLE;
      // `timeout` is for a server that accepts and does not answer; not accepting in time is as bad as refusing.
      this.#failed(server, result === "timeout" ? "unreachable" : result, {
        status: refusal.status,
        error,
        hint,
      });
      return { refusal, mayRetry: true };
    }
    // It ended in the same turn, before there was a socket to close.
    if (this.#ending !== undefined || this.#isReleased) {
      closeQuietly(socket);
      return { refusal: UNUSABLE, mayRetry: false };
    }
    this.#socket = socket;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      closeQuietly(socket);
    }, Math.max(1, deadlineMs - performance.now()));
    try {
      const accept = await acceptFor(head.headers.get("sec-websocket-key")!);
      const host = settings.upstreamHost;
      const request = { head, pass, ticket, server: server.address, host, connection, address, isSecure };
      await writeAll(socket, encodeUpstreamRequest(request));
      const answer = await readUpstreamAnswer(socket, accept, pass.subprotocols);
      if ("rest" in answer) {
        this.#tried(server, "ok", (performance.now() - startedMs) / 1000);
        this.#isJoined = true;
        return { ...answer, socket, server, accept };
      }
      closeQuietly(socket);
      if ("fault" in answer) {
        this.#failed(server, "bad_answer", { status: UNUSABLE.status, reason: answer.fault });
        return { refusal: UNUSABLE, mayRetry: false };
      }
      this.#refused(server, answer.status);
      return { refusal: answer, mayRetry: answer.status === 503 };
    } catch (error) {
      closeQuietly(socket);
      if (!isConnectionLost(error)) throw error;
      if (this.#ending !== undefined || this.#isReleased) return { refusal: UNUSABLE, mayRetry: false };
      const refusal = isLate ? LATE : UNUSABLE;
      const reason = isLate ? "it did not answer in time" : "it broke the connection without an answer";
      this.#failed(server, isLate ? "timeout" : "bad_answer", { status: refusal.status, reason });
      return { refusal, mayRetry: false };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Connects; a second time if descriptors have run out, whose limit is known by then. */
  async #dial(server: UpstreamServer, timeoutMs: number): Promise<ByteSocket | DialFailure> {
    const attempt = () => dial(server.address, this.#upstream.tls, timeoutMs, this.#abortion.signal);
    const first = await attempt();
    const isLack = "result" in first && first.result === "descriptors";
    if (!isLack || !this.#client.lackDescriptors()) return first;
    await new Promise((resolve) => setTimeout(resolve, ROOM_MS));
    return await attempt();
  }

  #tried(server: UpstreamServer, result: ConnectResult, seconds?: number): void {
    this.#upstream.pool.tried(server, result, seconds);
  }

  #refused(server: UpstreamServer, status: number): void {
    this.#tried(server, "refused");
    const { id: connection } = this.#client;
    this.#upstream.log("upstream.refused", {
      connection,
      endpoint: "upstream",
      upstream: server.name,
      status,
    });
  }

  #failed(
    server: UpstreamServer,
    result: ConnectResult,
    fields: LogFields<"upstream.unreachable">,
  ): void {
    this.#tried(server, result);
    this.#record(server, fields);
  }

  #record(server: UpstreamServer, fields: LogFields<"upstream.unreachable">): void {
    const { id: connection } = this.#client;
    const where = { connection, endpoint: "upstream", upstream: server.name };
    this.#upstream.log("upstream.unreachable", { ...where, ...fields });
  }
}

/** The refusal for a session that ended while a server was asked. */
function endedRefusal(ending: CloseReason | undefined): Refusal {
  if (ending === undefined) return FULL;
  const status = ending.code === 3000 ? 401 : ending === GOING_AWAY ? 503 : 403;
  return { status, reason: ending.reason, rule: "endpoint" };
}
