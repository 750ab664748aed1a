// A peer from its accept to its end: what is known of it before it is a connection, and the connection that it becomes.

import { AwakeDeadline } from "../../core/standstill.ts";
import type { Refusal } from "../../protocol/handshake.ts";
import type { Visitor } from "../admission.ts";
import { type ByteSocket, closeQuietly } from "../byte_socket.ts";
import type { Connection } from "../connection/connection.ts";
import { interrupt } from "./refusing.ts";

/** One accepted socket, and what is known about it so far. */
export class Peer implements Visitor {
  /** The accepted socket, and later the TLS or the read bytes around it. */
  socket: ByteSocket;
  /** The address of the other end, or, once that is known, of the client that a trusted proxy speaks for. */
  address: string;
  readonly endpoint: string;
  /** Whether `address` is the client's, so that what is done wrong counts against it. */
  isIdentified = false;
  /** Whether it would understand an HTTP response: on a TLS port, not before the TLS handshake is done. */
  canAnswer = true;
  /** Whether the request was HEAD, to which no answer has a body. */
  isHead = false;
  /** Whether it is being told why it may not connect; it ends soon after that. */
  isRefused = false;
  /** Whether the 101 is on its way, so that only frames may follow. */
  isWelcomed = false;
  /** The id of the connection, once the endpoint is asked about it. */
  id: string | undefined;
  /** The private hop to an endpoint in this process, from then on. */
  inner: ByteSocket | undefined;
  /** The way to somebody's own server, from then on. */
  crossing: { cut(): void } | undefined;
  connection: Connection | undefined;
  /** Ends a TLS handshake that is under way or waits for its turn. */
  giveUpTls: (() => void) | undefined;
  #limit: { readonly deadline: AwakeDeadline; readonly onLate: () => void } | undefined;

  constructor(socket: ByteSocket, address: string, endpoint: string) {
    this.socket = socket;
    this.address = address;
    this.endpoint = endpoint;
  }

  expel({ reason }: Refusal): void {
    if (this.connection !== undefined) this.connection.close({ code: 1008, reason });
    else if (!this.isRefused) this.#close();
  }

  makeRoom(refusal: Refusal, mayExplain: () => boolean): void {
    // It has read why, or never will.
    if (this.isRefused) return closeQuietly(this.socket);
    this.isRefused = true;
    this.canAnswer &&= mayExplain();
    void interrupt(this, refusal);
    this.giveUpTls?.();
  }

  /** Calls `onLate` once when `delayMs` are over, unless `keptTime` comes first. There is one such limit at a time. */
  limitTime(delayMs: number, onLate: () => void): void {
    this.#limit = { deadline: new AwakeDeadline(delayMs, performance.now()), onLate };
  }

  keptTime(): void {
    this.#limit = undefined;
  }

  /** Applies the limit. Called again and again, with the time and how much later than planned the call comes. */
  sweep(nowMs: number, lateMs: number): void {
    const limit = this.#limit;
    if (limit === undefined || !limit.deadline.isOver(nowMs, lateMs)) return;
    this.#limit = undefined;
    limit.onLate();
  }

  /** Ends it at once, and with it every wait of its handshake. */
  cut(): void {
    this.#close();
    if (this.inner !== undefined) closeQuietly(this.inner);
    this.crossing?.cut();
  }

  #close(): void {
    closeQuietly(this.socket);
    this.giveUpTls?.();
  }
}
