// What stands between a client and somebody else's server: who decides, as the firewall sees it. No I/O.

import type { CloseReason } from "../../protocol/close_code.ts";
import type { Refusal, RequestHead } from "../../protocol/handshake.ts";

/** A handshake to be decided about. */
export interface Asked {
  /** The id of the connection that may come of it. */
  readonly connection: string;
  /** The client's address. */
  readonly address: string;
  readonly head: RequestHead;
}

/** One connection, as whoever has let it in may act on it. */
export interface Crossed {
  /** Whether messages still go through. */
  readonly isOpen: boolean;
  /** Data messages so far. */
  readonly messagesIn: number;
  readonly messagesOut: number;
  /** Ends it: with this Close on the client's side. */
  close(close: CloseReason): void;
}

/** Whom a token speaks for, as long as the connection lasts. */
export interface Ticket {
  /** Header lines for the server: name and value, which is visible ASCII. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** A server has accepted: what the connection costs others may be paid now, such as their oldest session. */
  opened(): void;
  /** Must be called when the connection has ended, or none has come of it; `code` is what the end is known by. */
  closed(code: number): void;
}

/** Why a token that came as a message opens nothing: the text that goes before the Close, if any. */
export interface TokenRefusal extends CloseReason {
  readonly text?: string | undefined;
}

/** A handshake that may go on, without what was meant for us only. */
export interface Pass {
  /** The query with its `?`, or the empty text. */
  readonly query: string;
  readonly cookie: string | undefined;
  readonly subprotocols: readonly string[];
  /** What is selected when the server selects none: the offer that held the token, without which browsers would end the connection. */
  readonly fallback: string | undefined;
  /** Undefined when the first message has to be a token. */
  readonly ticket: Ticket | undefined;
}

/** Decides about clients; knows users, and nothing of sockets. */
export interface Gate {
  /** How long the first message may take, in milliseconds, where it has to be a token. */
  readonly tokenTimeoutMs: number;
  /** Decides before anything is dialled. Rejects for a fault of the program's own only. */
  admit(asked: Asked, crossed: Crossed): Promise<Pass | Refusal>;
  /** Decides about the first message, undefined for one that is not text or did not come in time. */
  authenticate(
    token: string | "binary" | "late",
    isText: boolean,
    asked: Asked,
    crossed: Crossed,
  ): Promise<Ticket | TokenRefusal>;
}
