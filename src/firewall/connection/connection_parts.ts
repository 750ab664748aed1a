// What a connection is made of, and what there is to know about it.

import type { Log } from "../../telemetry/log.ts";
import type { ByteSocket } from "../byte_socket.ts";
import type { EndpointCounters } from "../counters.ts";
import type { MemoryBudget } from "../memory_budget.ts";
import type { Way } from "../ways/way.ts";
import type { FrameLimits } from "./frame_rules.ts";
import type { TimeLimits } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";
import type { RateLimits } from "./rates.ts";

/** The limits of a connection: times in milliseconds, rates per second, `Infinity` for no limit. */
export interface ConnectionLimits extends FrameLimits, TimeLimits, RateLimits {
  /** How long a closing handshake may take before the peer is cut. */
  readonly closeTimeout: number;
}

/** What a connection is made of, once the handshake is over. */
export interface ConnectionOptions {
  readonly id: string;
  readonly endpoint: string;
  /** The client's address, for the log. */
  readonly address: string;
  /** The public side; the connection owns and closes it. */
  readonly peer: ByteSocket;
  /** The way to the peer, after the response head; the connection starts it. */
  readonly outbox: Outbox;
  /** The way to the endpoint; the connection starts and ends it. */
  readonly way: Way;
  /** Bytes that came with the peer's request head. */
  readonly fromPeer: Uint8Array;
  readonly limits: ConnectionLimits;
  readonly budget: MemoryBudget;
  /** Bytes that the connection costs while it is idle. */
  readonly fixedBytes: number;
  /** Shared by all connections of the endpoint. */
  readonly counters: EndpointCounters;
  /** Told about each broken rule; a client that breaks many is banned. */
  readonly onViolation: () => void;
  readonly log: Log;
}

/** A connection at one moment; bytes are counted on the wire. */
export interface ConnectionFacts {
  readonly id: string;
  readonly endpoint: string;
  /** The client's address. */
  readonly address: string;
  /** When it was opened, by `performance.now()`. */
  readonly openedMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes of the unfinished message and of what the peer has not taken. */
  readonly heldBytes: number;
  /** For how long it was not read because of its rates, in milliseconds. */
  readonly throttledMs: number;
  readonly isClosing: boolean;
}
