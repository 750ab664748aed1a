// The state of a connection, from open to closed, with all its transitions. No I/O, no clock.

import { ABNORMAL_CLOSURE, type CloseReason } from "../../protocol/close_code.ts";

/** The whole life of a connection. */
export type ClosingState =
  | "open"
  | "closing by us"
  | "closing by the peer"
  | "closing by the endpoint"
  | "closed";

/**
 * | from      | what happens                                              | to                        | owed to the peer       |
 * | --------- | --------------------------------------------------------- | ------------------------- | ---------------------- |
 * | open      | a rule broken, a limit, a ban, a drain, a fault of ours   | closing by us             | our Close              |
 * | open      | the peer's Close                                          | closing by the peer       | the same Close         |
 * | open      | the peer's stream ends or fails without a Close           | closing by the peer       | nothing: this is 1006  |
 * | open      | the endpoint closes, or is lost (1011)                    | closing by the endpoint   | its Close              |
 * | closing … | the peer's Close                                          | the same                  | nothing more           |
 * | closing … | both sides are done, the peer is lost or its time is over | closed                    |                        |
 *
 * Only the first of the four beginnings counts: from then on nothing that the peer sends reaches the endpoint, and what
 * is owed goes out after the answers to all that came before.
 */
export class Closing {
  #state: ClosingState = "open";
  /** The Close that is owed, or was sent, to the peer. */
  #own: CloseReason | undefined;
  #received: CloseReason | undefined;

  get state(): ClosingState {
    return this.#state;
  }

  /** Whether messages still go to the endpoint. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** What our Close frame says; undefined where none is owed. */
  get own(): CloseReason | undefined {
    return this.#own;
  }

  /** What the peer's Close frame said, if one came. */
  get received(): CloseReason | undefined {
    return this.#received;
  }

  /** The code and reason of the end: the peer's, or else ours, or else 1006 (RFC 6455 §7.1.5). */
  get result(): CloseReason {
    return this.#received ?? this.#own ?? { code: ABNORMAL_CLOSURE, reason: "" };
  }

  /** Begins to close; returns false, and changes nothing, if it has begun already. */
  begin(by: "us" | "the peer" | "the endpoint", owed: CloseReason | undefined): boolean {
    if (this.#state !== "open") return false;
    this.#state = `closing by ${by}`;
    this.#own = owed;
    return true;
  }

  /** The peer's Close came; returns whether the closing begins with it. */
  receive(close: CloseReason): boolean {
    this.#received = close;
    return this.begin("the peer", close);
  }

  /** The end. */
  end(): void {
    this.#state = "closed";
  }
}
