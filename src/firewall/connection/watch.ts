// Finds out when things last happened on a connection by looking now and then: the hot path reads no clock.

import type { Way } from "../ways/way.ts";
import { MESSAGE_PROGRESS, type Times } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";

/** The times of one connection, and what was there at the last look. */
export class Watch {
  readonly times: Times;
  #seenBytesIn = 0;
  #seenBytesOut = 0;
  #seenMessagesIn = 0;
  #seenMessagesOut = 0;
  #seenReceived = 0;
  #progressFrom = 0;

  /** @param nowMs when the connection was opened, in milliseconds of the clock of all looks */
  constructor(nowMs: number) {
    this.times = {
      openedMs: nowMs,
      heardMs: nowMs,
      dataMs: nowMs,
      sentMs: nowMs,
      messageMs: Infinity,
      pingMs: Infinity,
      isUnread: false,
    };
  }

  /** Compares with the last look: the peer's `bytesIn` so far, and whether it is not being read now. */
  look(
    nowMs: number,
    way: Pick<Way, "check" | "receivedBytes" | "messagesOut">,
    { isWriting, sentBytes }: Pick<Outbox, "isWriting" | "sentBytes">,
    bytesIn: number,
    isUnread: boolean,
  ): void {
    const times = this.times;
    const wasUnread = times.isUnread;
    times.isUnread = isUnread;
    if (!isUnread && (bytesIn !== this.#seenBytesIn || wasUnread)) {
      this.#seenBytesIn = bytesIn;
      times.heardMs = nowMs;
      times.pingMs = Infinity;
    }
    if (!isWriting || sentBytes !== this.#seenBytesOut) {
      this.#seenBytesOut = sentBytes;
      times.sentMs = nowMs;
    }
    const { messages, message } = way.check;
    const received = way.receivedBytes;
    const isNext = messages !== this.#seenMessagesIn || received < this.#seenReceived;
    if (isNext || received > this.#seenReceived || way.messagesOut !== this.#seenMessagesOut) {
      times.dataMs = nowMs;
    }
    this.#seenMessagesIn = messages;
    this.#seenMessagesOut = way.messagesOut;
    this.#seenReceived = received;
    if (message.opcode === 0) times.messageMs = Infinity;
    else if (
      isNext || times.messageMs === Infinity || isUnread || received - this.#progressFrom >= MESSAGE_PROGRESS
    ) {
      times.messageMs = nowMs;
      this.#progressFrom = received;
    }
  }
}
