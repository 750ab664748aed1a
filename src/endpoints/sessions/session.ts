// A session: an authenticated connection, from the token that opened it to the end of the last one that extended it.
import type { Identity } from "../../auth/token.ts";
import type { Place } from "../../core/shared_state.ts";
import type { Log } from "../../telemetry/log.ts";
import { type Cancel, type Clock, ringAt } from "./clock.ts";
import type { EndpointName } from "../../core/settings/endpoints.ts";
import type { Message, Peer } from "../endpoint.ts";
import { type Ending, ENDINGS } from "./ending.ts";

/** How a session speaks: plain text, or a protocol on top of it. */
export interface Conversation {
  /** Answers one message. Must not reject. */
  message(data: Message): void | Promise<void>;
  /** Tells the peer that the session ends soon; left out where there is no way to say it. */
  expiring?(): void;
  /** The last message before the server's Close frame. */
  farewell(text: string): string;
}

/** What a session is made with. */
export interface SessionOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** How long before the end `Conversation.expiring` is called, in milliseconds. */
  readonly expiryWarningMs: number;
  /** A random UUID; a new one if left out. */
  readonly id?: string;
  /** Its endpoint; `secure` if left out. */
  readonly endpoint?: EndpointName;
  /** Has the counts of messages if they do not pass through the session. */
  readonly traffic?: { readonly messagesIn: number; readonly messagesOut: number };
  readonly createConversation: (session: Session) => Conversation;
  /** Called once, when the session takes no more messages: the server has ended it or its connection is gone. */
  readonly onEnded: (session: Session) => void;
}

/** What is shown of a session. */
export interface SessionInfo {
  /** A random UUID; names the session in the log. */
  readonly id: string;
  readonly user: string;
  /** The client's IP address, `"unknown"` without a firewall. */
  readonly address: string;
  /** The connection's id, as in the log. */
  readonly connection: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  /** When its token ends, in milliseconds since the Unix epoch; may be fractional. */
  readonly expiresAtMs: number;
  /** How many messages came since it was opened. */
  readonly messagesIn: number;
  /** How many were sent since. */
  readonly messagesOut: number;
}

/** A token with a `jti` that has opened or extended a session. */
interface UsedToken {
  readonly jti: string;
  readonly expiresAtMs: number;
}

/** How many tokens a session remembers, so that they can be revoked with it. */
const MAX_OWN_TOKENS = 64;

/** One session. Its owner passes it the messages and the end of the connection. */
export class Session {
  readonly id: string;
  readonly user: string;
  readonly startedAtMs: number;
  readonly #openedAtMs: number;
  readonly #peer: Peer;
  readonly #options: SessionOptions;
  readonly #conversation: Conversation;
  #identity: Identity;
  #usedTokens: readonly UsedToken[] = [];
  #cancelExpiry: Cancel = () => {};
  #cancelWarning: Cancel = () => {};
  #messagesIn = 0;
  #messagesOut = 0;
  #isOpen = true;
  #ending: Ending | undefined;

  /** Opens the session of a peer whose token is valid now. */
  constructor(peer: Peer, identity: Identity, options: SessionOptions) {
    this.id = options.id ?? crypto.randomUUID();
    this.user = identity.user;
    this.startedAtMs = options.clock.now();
    this.#openedAtMs = options.clock.elapsed();
    this.#peer = peer;
    this.#options = options;
    this.#identity = identity;
    this.#conversation = options.createConversation(this);
    this.#remember(identity);
    this.#setTimers();
    options.log("session.opened", this.logFields());
  }

  /** Whether it still takes messages. */
  get isOpen(): boolean {
    return this.#isOpen && this.#peer.isOpen;
  }

  /** The identity of the latest token; the user never changes. */
  get identity(): Identity {
    return this.#identity;
  }

  /** How long ago it was opened, in milliseconds, whatever became of the wall clock. */
  get durationMs(): number {
    return this.#options.clock.elapsed() - this.#openedAtMs;
  }

  /** The names (claim `jti`) of its tokens that may not have expired, the latest 64. */
  get jtis(): readonly string[] {
    return this.#usedTokens.map(({ jti }) => jti);
  }

  /** What is shown of it, as of now. */
  info(): SessionInfo {
    const { connection, address } = this.#peer;
    return {
      id: this.id,
      user: this.user,
      address,
      connection,
      startedAtMs: this.startedAtMs,
      expiresAtMs: this.#identity.expiresAtMs,
      ...this.#counts,
    };
  }

  /** The session as other nodes know it. */
  place(): Place {
    const { id, user, startedAtMs, jtis, identity: { expiresAtMs } } = this;
    const { connection, address } = this.#peer;
    return { id, user, address, connection, startedAtMs, expiresAtMs, jtis };
  }

  /** The fields that name it in the log. */
  logFields(): { connection: string; peer: string; endpoint: EndpointName; session: string; user: string } {
    const { connection, address: peer } = this.#peer;
    const { endpoint = "secure" } = this.#options;
    return { connection, peer, endpoint, session: this.id, user: this.user };
  }

  /** Answers one message; does nothing once the session has ended. */
  message(data: Message): void | Promise<void> {
    if (!this.#isOpen) return;
    this.#messagesIn++;
    return this.#conversation.message(data);
  }

  /** Sends one message; dropped once a Close has been sent. */
  send(message: Message): void {
    this.#messagesOut++;
    this.#peer.send(message);
  }

  /** Counts `more` messages besides the one that they came in. */
  charge(more: number): void {
    this.#peer.charge(more);
  }

  /** Goes on under a new token, valid now and of the same user, until that token ends. */
  extend(identity: Identity): void {
    if (!this.#isOpen) return;
    this.#identity = identity;
    this.#remember(identity);
    this.#cancelTimers();
    this.#setTimers();
    this.#options.log("session.refreshed", this.logFields());
  }

  /** Ends it from the server's side; harmless when it has ended. */
  end(ending: Ending): void {
    if (!this.#isOpen) return;
    this.#ending = ending;
    this.#leave();
    if (ending.text !== undefined) this.send(this.#conversation.farewell(ending.text));
    this.#peer.close(ending.code, ending.reason);
  }

  /** Ends it after its connection closed with this code. */
  close(code: number): void {
    this.#leave();
    const { messagesIn, messagesOut } = this.#counts;
    this.#options.log("session.closed", {
      ...this.logFields(),
      code,
      reason: this.#ending?.why,
      messages_in: messagesIn,
      messages_out: messagesOut,
      duration: Math.round(this.durationMs) / 1000,
    });
  }

  get #counts(): { readonly messagesIn: number; readonly messagesOut: number } {
    const { messagesIn, messagesOut } = this.#options.traffic ??
      { messagesIn: this.#messagesIn, messagesOut: this.#messagesOut };
    return { messagesIn, messagesOut };
  }

  #leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#cancelTimers();
    this.#options.onEnded(this);
  }

  #remember({ claims: { jti }, expiresAtMs }: Identity): void {
    if (typeof jti !== "string") return;
    const nowMs = this.#options.clock.now();
    const others = this.#usedTokens.filter((used) => used.jti !== jti && used.expiresAtMs > nowMs);
    this.#usedTokens = [...others, { jti, expiresAtMs }].slice(-MAX_OWN_TOKENS);
  }

  #setTimers(): void {
    const { clock, expiryWarningMs } = this.#options;
    const { expiresAtMs } = this.#identity;
    this.#cancelExpiry = ringAt(clock, expiresAtMs, () => this.end(ENDINGS.expired));
    if (this.#conversation.expiring === undefined) return;
    const warn = () => this.#conversation.expiring?.();
    this.#cancelWarning = ringAt(clock, expiresAtMs - expiryWarningMs, warn, expiresAtMs);
  }

  #cancelTimers(): void {
    this.#cancelExpiry();
    this.#cancelWarning();
  }
}
