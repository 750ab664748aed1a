// One public listener: accepts connections, reads their heads, and joins those it admits to the endpoint.

import {
  badRequest,
  canBeRequest,
  checkHandshake,
  encodeInnerRequest,
  encodeRefusal,
  findHeadEnd,
  parseRequestHead,
  parseStatus,
  Refusal,
  RequestHead,
} from "../protocol/handshake.ts";
import type { CloseReason } from "../protocol/close_code.ts";
import type { Log } from "../telemetry/log.ts";
import { ByteSocket, closeQuietly, finish, writeAll } from "./byte_socket.ts";
import { Connection, ConnectionLimits } from "./connection.ts";

/** The longest request head, in bytes. */
const MAX_HEAD_SIZE = 8192;

/** What a listener holds its peers to; times in milliseconds. */
export interface ListenerLimits extends ConnectionLimits {
  /** From the accept to the end of the request head. */
  readonly handshakeTimeout: number;
}

/** What a listener is made of. */
export interface ListenerOptions {
  /** The endpoint's name, for the log. */
  readonly endpoint: string;
  /** Already bound; the listener owns and closes it. */
  readonly listener: Deno.TcpListener;
  /** The Unix socket of the endpoint. */
  readonly socketPath: string;
  readonly limits: ListenerLimits;
  readonly log: Log;
}

/** Bytes that were read, of which those from `start` to `end` are not yet used. */
interface Bytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly start: number;
  readonly end: number;
}

let lastConnection = 0;
const runId = Date.now().toString(36);

/** Accepts until it is drained. */
export class FirewallListener {
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  readonly #handshakes = new Set<ByteSocket>();
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  /** Starts to accept at once. */
  constructor(options: ListenerOptions) {
    this.#options = options;
    void this.#acceptAll();
  }

  /** Connections that have been admitted and have not ended. */
  get connections(): number {
    return this.#connections.size;
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
      for (const socket of this.#handshakes) closeQuietly(socket);
      for (const connection of this.#connections) connection.cut();
    }, timeoutMs);
    // Their own deadlines would come first otherwise.
    for (const connection of this.#connections) connection.close(close, timeoutMs);
    this.#checkEmpty();
    await empty;
    clearTimeout(timer);
  }

  #checkEmpty(): void {
    if (this.#connections.size === 0 && this.#handshakes.size === 0) this.#onEmpty?.();
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isDraining) {
      try {
        const peer = await this.#options.listener.accept();
        void this.#serve(peer);
      } catch (error) {
        if (this.#isDraining) return;
        // A peer that was gone before it was accepted, or no descriptors left: the listener itself goes on.
        this.#options.log("server.accept_failed", { endpoint: this.#options.endpoint, error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  /** The whole life of one accepted socket. Never rejects. */
  async #serve(peer: Deno.TcpConn): Promise<void> {
    const address = peer.remoteAddr.hostname;
    this.#handshakes.add(peer);
    try {
      // Small messages must not wait for the acknowledgement of the last one.
      peer.setNoDelay(true);
      const connection = await this.#admit(peer, address);
      this.#handshakes.delete(peer);
      if (connection !== undefined) {
        this.#connections.add(connection);
        if (this.#isDraining) connection.close({ code: 1001, reason: "the server is stopping" });
        await connection.run();
        this.#connections.delete(connection);
      }
    } catch (error) {
      // The peer was lost during the handshake: there is nobody left to tell.
      this.#options.log("handshake.failed", {
        peer: address,
        endpoint: this.#options.endpoint,
        error: String(error),
      });
    }
    this.#handshakes.delete(peer);
    closeQuietly(peer);
    this.#checkEmpty();
  }

  /** Reads the head and answers it. Resolves with the connection, or with nothing when the peer has been refused. */
  async #admit(peer: ByteSocket, address: string): Promise<Connection | undefined> {
    const { limits, log, endpoint, socketPath } = this.#options;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#logRefusal(address, LATE);
      // A read is pending, so this can't wait for the peer's end; closing ends that read.
      writeAll(peer, encodeRefusal(LATE)).catch(() => {}).then(() => closeQuietly(peer));
    }, limits.handshakeTimeout);
    let rest: Bytes;
    let head: RequestHead;
    try {
      const read = await readRequestHead(peer);
      if (read === undefined || isLate) return undefined;
      if ("refusal" in read) {
        await this.#refuse(peer, address, read.refusal);
        return undefined;
      }
      ({ head, rest } = read);
    } catch (error) {
      if (isLate) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
    const refusal = this.#isDraining ? STOPPING : checkHandshake(head) ?? checkPath(head);
    if (refusal !== undefined) {
      await this.#refuse(peer, address, refusal);
      return undefined;
    }
    const id = `${runId}-${(++lastConnection).toString(36)}`;
    let inner: ByteSocket;
    try {
      inner = await Deno.connect({ transport: "unix", path: socketPath });
    } catch (error) {
      log("endpoint.unreachable", { connection: id, endpoint, error: String(error) });
      await this.#refuse(peer, address, UNAVAILABLE);
      return undefined;
    }
    let response: Bytes | undefined;
    try {
      await writeAll(inner, encodeInnerRequest(head, { connection: id, address, secure: false }));
      // Whatever becomes of the peer meanwhile: the runtime leaks a descriptor if the hop is closed before the head is here.
      response = await readResponseHead(inner);
    } catch {
      response = undefined;
    }
    if (response === undefined) {
      closeQuietly(inner);
      await this.#refuse(peer, address, UNAVAILABLE);
      return undefined;
    }
    try {
      await writeAll(peer, response.bytes, 0, response.start);
    } catch (error) {
      closeQuietly(inner);
      throw error;
    }
    return new Connection({
      id,
      endpoint,
      address,
      peer,
      inner,
      fromPeer: rest.bytes.subarray(rest.start, rest.end),
      fromEndpoint: response.bytes.subarray(response.start, response.end),
      limits,
      log,
    });
  }

  /** Answers with a refusal and gives the peer the close timeout to read it. */
  async #refuse(peer: ByteSocket, address: string, refusal: Refusal): Promise<void> {
    this.#logRefusal(address, refusal);
    const timer = setTimeout(() => closeQuietly(peer), this.#options.limits.closeTimeout);
    try {
      await writeAll(peer, encodeRefusal(refusal));
      await finish(peer, new Uint8Array(MAX_HEAD_SIZE));
    } finally {
      clearTimeout(timer);
    }
  }

  #logRefusal(peer: string, { status, reason }: Refusal): void {
    this.#options.log("handshake.refused", { peer, endpoint: this.#options.endpoint, status, reason });
  }
}

const LATE: Refusal = { status: 408, reason: "the request head did not come in time" };

const STOPPING: Refusal = { status: 503, reason: "the server is stopping", headers: { "Retry-After": "5" } };
const UNAVAILABLE: Refusal = {
  status: 503,
  reason: "the endpoint is not available",
  headers: { "Retry-After": "1" },
};

function checkPath(head: RequestHead): Refusal | undefined {
  return head.path === "/" ? undefined : { status: 404, reason: "the endpoint is at the path /" };
}

/** Reads a request head; undefined when the peer ended before it was whole. */
async function readRequestHead(
  peer: ByteSocket,
): Promise<{ head: RequestHead; rest: Bytes } | { refusal: Refusal } | undefined> {
  let bytes = new Uint8Array(1024);
  let end = 0;
  for (;;) {
    const size = await peer.read(bytes.subarray(end));
    if (size === null) return undefined;
    const headEnd = findHeadEnd(bytes, end, end + size);
    end += size;
    if (!canBeRequest(bytes, 0, end)) return { refusal: badRequest("this is not an HTTP/1.1 request") };
    if (headEnd >= 0) {
      const result = parseRequestHead(bytes, 0, headEnd);
      return result.ok
        ? { head: result.head, rest: { bytes, start: headEnd, end } }
        : { refusal: result.refusal };
    }
    if (end >= MAX_HEAD_SIZE) {
      return { refusal: { status: 431, reason: `the request head may have at most ${MAX_HEAD_SIZE} bytes` } };
    }
    if (end === bytes.length) {
      const larger = new Uint8Array(Math.min(bytes.length * 2, MAX_HEAD_SIZE));
      larger.set(bytes);
      bytes = larger;
    }
  }
}

/** Reads a 101 of the endpoint; undefined for anything else. */
async function readResponseHead(inner: ByteSocket): Promise<Bytes | undefined> {
  const bytes = new Uint8Array(2048);
  let end = 0;
  for (;;) {
    const size = await inner.read(bytes.subarray(end));
    if (size === null) return undefined;
    const headEnd = findHeadEnd(bytes, end, end + size);
    end += size;
    if (headEnd >= 0) {
      return parseStatus(bytes, 0, headEnd) === 101 ? { bytes, start: headEnd, end } : undefined;
    }
    if (end === bytes.length) return undefined;
  }
}
