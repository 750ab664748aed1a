// The gate in front of an upstream, as the firewall sees it: it decides which clients may pass. No I/O.

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

/** A connection, as the gate that let it in may act on it. */
export interface Crossed {
  /** Whether messages still go through. */
  readonly isOpen: boolean;
  /** Data messages so far. */
  readonly messagesIn: number;
  readonly messagesOut: number;
  /** Ends it: with this Close on the client's side. */
  close(close: CloseReason): void;
}

/** What an accepted token stands for, as long as the connection lasts. */
export interface Ticket {
  /** Header lines for the upstream: a name and a value of visible ASCII. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** An upstream has accepted: now the connection may cost others something, such as their oldest session. */
  opened(): void;
  /** Must be called when the connection has ended or did not come about; `code` is the close code of the end. */
  closed(code: number): void;
}

/** Why a token that came as a message was refused. */
export interface TokenRefusal extends CloseReason {
  readonly text?: string | undefined;
}

/** A handshake that may pass, without what was meant only for us. */
export interface Pass {
  /** The query with its `?`, or the empty text. */
  readonly query: string;
  readonly cookie: string | undefined;
  readonly subprotocols: readonly string[];
  /**
   * The subprotocol to select if the upstream selects none: the one with the token, without which browsers would end
   * the connection.
   */
  readonly fallback: string | undefined;
  /** Undefined if the first message must be a token. */
  readonly ticket: Ticket | undefined;
}

/** Decides about clients; knows users, but no sockets. */
export interface Gate {
  /** How long the first message may take, in milliseconds, where it has to be a token. */
  readonly tokenTimeoutMs: number;
  /** Decides before anything is dialled. Rejects for a fault of the program's own only. */
  admit(asked: Asked, crossed: Crossed): Promise<Pass | Refusal>;
  /** Decides about the first message; undefined for one that is not text or did not come in time. */
  authenticate(
    token: string | "binary" | "late",
    isText: boolean,
    asked: Asked,
    crossed: Crossed,
  ): Promise<Ticket | TokenRefusal>;
}
