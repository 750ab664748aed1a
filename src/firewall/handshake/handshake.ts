// A peer from its accept on: what there is of it before, and after, it has become a connection.

import { AwakeDeadline } from "../../core/standstill.ts";
import type { Refusal } from "../../protocol/handshake.ts";
import type { Visitor } from "../admission.ts";
import { type ByteSocket, closeQuietly } from "../byte_socket.ts";
import type { Connection } from "../connection/connection.ts";
import { interrupt } from "./refusing.ts";

/** One accepted socket and what is known about it so far. */
export class Handshake implements Visitor {
  /** The accepted socket, and later what was put around it. */
  peer: ByteSocket;
  /** The peer's address, or, once that is known, the address of the client that a trusted proxy speaks for. */
  address: string;
  readonly endpoint: string;
  /** Whether `address` is the client's, so that what is done wrong counts against it. */
  isIdentified = false;
  /** Whether the peer would understand an HTTP response: not before TLS is there. */
  canAnswer = true;
  /** Whether the request was HEAD, to which no answer has a body. */
  isHead = false;
  /** Whether it is being told why it may not connect, which ends it soon. */
  isRefused = false;
  /** Whether the 101 is on its way, so that only frames may follow. */
  isWelcomed = false;
  /** The id of the connection, once the endpoint is asked about it. */
  id: string | undefined;
  /** The private hop, from then on. */
  inner: ByteSocket | undefined;
  /** The way to somebody else's server, from then on. */
  crossing: { cut(): void } | undefined;
  connection: Connection | undefined;
  #limit: { readonly deadline: AwakeDeadline; readonly onLate: () => void } | undefined;

  constructor(peer: ByteSocket, address: string, endpoint: string) {
    this.peer = peer;
    this.address = address;
    this.endpoint = endpoint;
  }

  expel({ reason }: Refusal): void {
    if (this.connection !== undefined) this.connection.close({ code: 1008, reason });
    else if (!this.isRefused) closeQuietly(this.peer);
  }

  makeRoom(refusal: Refusal): void {
    // It has read why, or never will.
    if (this.isRefused) return closeQuietly(this.peer);
    this.isRefused = true;
    void interrupt(this, refusal);
  }

  /** Calls `onLate` once when `delayMs` are over, unless `keptTime` comes first. There is one such limit at a time. */
  limitTime(delayMs: number, onLate: () => void): void {
    this.#limit = { deadline: new AwakeDeadline(delayMs, performance.now()), onLate };
  }

  keptTime(): void {
    this.#limit = undefined;
  }

  /** Applies the limit; to be called again and again, with the time and how much later than planned that is. */
  sweep(nowMs: number, lateMs: number): void {
    const limit = this.#limit;
    if (limit === undefined || !limit.deadline.isOver(nowMs, lateMs)) return;
    this.#limit = undefined;
    limit.onLate();
  }

  /** Ends every wait of the handshake at once. */
  cut(): void {
    closeQuietly(this.peer);
    if (this.inner !== undefined) closeQuietly(this.inner);
    this.crossing?.cut();
  }
}
