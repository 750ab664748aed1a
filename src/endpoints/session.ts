// A session: an authenticated connection, from the token that opened it to that token's expiry.
import type { Identity } from "../auth/token.ts";
import type { Log } from "../telemetry/log.ts";
import { type Cancel, type Clock, ringAt } from "./clock.ts";
import { echo } from "./echo.ts";
import type { Message, Peer } from "./endpoint.ts";

/** What is the same for all sessions of an endpoint. */
export interface SessionOptions {
  /** Put in front of each text answer; may be empty. */
  readonly prefix: string;
  readonly log: Log;
  readonly clock: Clock;
}

/** What a peer is told about a token whose time is over: a text message, then the Close frame. */
export const TOKEN_EXPIRED = { text: "Token Expired", code: 3000, reason: "token expired" };

/** One session. Its owner passes it the messages and the end of the connection. */
export class Session {
  /** A random UUID; names the session in the log. */
  readonly id: string = crypto.randomUUID();
  readonly #peer: Peer;
  readonly #identity: Identity;
  readonly #options: SessionOptions;
  readonly #openedMs: number;
  readonly #cancelExpiry: Cancel;
  #messages = 0;

  /** Opens the session of a peer whose token is valid now. */
  constructor(peer: Peer, identity: Identity, options: SessionOptions) {
    this.#peer = peer;
    this.#identity = identity;
    this.#options = options;
    this.#openedMs = options.clock.now();
    this.#cancelExpiry = ringAt(options.clock, identity.expiresAtMs, () => this.#expire());
    options.log("session.opened", this.#fields());
  }

  /** Answers one message. */
  message(data: Message): void {
    this.#messages++;
    this.#peer.send(echo(this.#options.prefix, data));
  }

  /** Ends the session after its connection closed with this code. */
  close(code: number): void {
    this.#cancelExpiry();
    this.#options.log("session.closed", {
      ...this.#fields(),
      code,
      messages: this.#messages,
      duration: this.#options.clock.now() - this.#openedMs,
    });
  }

  #expire(): void {
    this.#peer.send(TOKEN_EXPIRED.text);
    this.#peer.close(TOKEN_EXPIRED.code, TOKEN_EXPIRED.reason);
  }

  #fields(): { connection: string; peer: string; endpoint: "secure"; session: string; user: string } {
    const { connection, address: peer } = this.#peer;
    return { connection, peer, endpoint: "secure", session: this.id, user: this.#identity.user };
  }
}
