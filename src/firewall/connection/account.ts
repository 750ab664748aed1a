// What a connection has moved, and what is counted and recorded of it: its beginning, broken rules and its end.

import type { Log } from "../../telemetry/log.ts";
import { countUp } from "../counters.ts";
import type { Violation } from "../violation.ts";
import type { Closing } from "./closing.ts";
import type { ConnectionFacts, ConnectionOptions } from "./connection_parts.ts";

/** The account of one connection; the connection tells what happens, and this adds up and records. */
export class Account {
  /** Bytes that were read from the peer so far. */
  bytesIn = 0;
  /** Why the peer ended without a Close. */
  lostReason: string | undefined;
  readonly #options: ConnectionOptions;
  readonly #openedMs: number;
  /** For how long it was not read because of its rates. */
  #throttledMs = 0;

  constructor(options: ConnectionOptions, openedMs: number) {
    this.#options = options;
    this.#openedMs = openedMs;
    this.read(options.fromPeer.length);
  }

  /** What administrators are shown. */
  facts(heldBytes: number, isClosing: boolean): ConnectionFacts {
    const { id, endpoint, address, outbox, way: { check, messagesOut } } = this.#options;
    return {
      id,
      endpoint,
      address,
      openedMs: this.#openedMs,
      messagesIn: check.messages,
      messagesOut,
      bytesIn: this.bytesIn,
      bytesOut: outbox.sentBytes,
      heldBytes,
      throttledMs: this.#throttledMs,
      isClosing,
    };
  }

  opened(): void {
    this.#options.counters.opened++;
    this.log("connection.opened");
  }

  read(bytes: number): void {
    this.bytesIn += bytes;
    this.#options.counters.bytesIn += bytes;
  }

  throttled(forMs: number): void {
    this.#throttledMs += forMs;
    this.#options.counters.throttledMs += forMs;
  }

  /** The peer has broken a rule of the protocol, which may have it banned, or reached a limit. */
  violated(event: "protocol.error" | "limit.reached", violation: Violation): void {
    const { rule, code, reason, limit, value } = violation;
    countUp(this.#options.counters.violations, rule);
    this.log(event, { rule, code, reason, limit, value });
    if (event === "protocol.error") this.#options.onViolation();
  }

  /** @param isSaid whether our Close was sent, if one was owed */
  closed({ received, result: { code } }: Closing, isSaid: boolean): void {
    const { counters, outbox, way: { check, messagesOut } } = this.#options;
    const durationMs = performance.now() - this.#openedMs;
    counters.closed++;
    counters.lifetimes.observe(durationMs / 1000);
    countUp(counters.closes, code);
    this.log("connection.closed", {
      code,
      reason: this.lostReason,
      clean: received !== undefined && isSaid,
      messages_in: check.messages,
      messages_out: messagesOut,
      bytes_in: this.bytesIn,
      bytes_out: outbox.sentBytes,
      duration: Math.round(durationMs) / 1000,
    });
  }

  /** Records an event of this connection. */
  log(event: Parameters<Log>[0], fields: Parameters<Log>[1] = {}): void {
    const { log, id, endpoint, address } = this.#options;
    log(event, { connection: id, peer: address, endpoint, ...fields });
  }
}
