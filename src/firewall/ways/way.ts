// The two ways to an endpoint, as a connection sees them: served in this process, or relayed to somebody else's server.

import type { CloseReason } from "../../protocol/close_code.ts";
import type { LogFields } from "../../telemetry/events.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { TimeLimits } from "../connection/liveness.ts";
import type { ReadBuffer } from "../connection/read_buffer.ts";

/** The records of a server that fails. */
export type UpstreamFailure = "upstream.lost" | "upstream.protocol_error";

/** What a way needs of the connection that it belongs to. */
export interface Host {
  /** Whether messages still go to the endpoint. */
  readonly isOpen: boolean;
  /** What the way was waiting for may be there: `isReady` may have changed. */
  resume(): void;
  /** A message of the peer was as many more: they count as if they had come alone. */
  charge(more: number): void;
  /** The endpoint closes, and all that it sent before is in the outbox. */
  endpointCloses(close: CloseReason): void;
  /** The endpoint has ended, with or without a Close before. */
  endpointEnded(): void;
  /** Somebody else's server has broken a rule or is lost: the peer is told so, and it is not the peer's fault. */
  endpointFailed(event: UpstreamFailure, fields: LogFields<UpstreamFailure>, close: CloseReason): void;
  /** Ends the connection from our side. */
  close(close: CloseReason): void;
  /** Ends the peer's side at once. */
  cut(): void;
  /** Something that nobody expected was thrown: a fault of our own. */
  fault(error: unknown): void;
}

/**
 * What became of the bytes that a way was given: "more" if all that can be taken has been, "wait" if the rest has to wait for
 * `isReady` or the outbox, "spent" if the frames that were allowed are used up.
 */
export type Taken = "more" | "wait" | "spent";

/** One of them. It belongs to one connection, which starts it, and ends it by `tell` and `cut`. */
export interface Way {
  /** Follows the peer's frames. */
  readonly check: FrameCheck;
  /** Bytes that must be free before what is read of the peer. */
  readonly headroom: number;
  /** Bytes that it holds for the peer: an unfinished message. */
  readonly heldBytes: number;
  /** Bytes of the unfinished message that have come so far. */
  readonly receivedBytes: number;
  /** Data messages of the endpoint so far. */
  readonly messagesOut: number;
  /** Whether it takes bytes now. */
  readonly isReady: boolean;
  /** Resolves when the endpoint has ended. */
  readonly ended: Promise<void>;
  start(host: Host): void;
  /** What was in the outbox is written. */
  resume(): void;
  /** Where the next bytes of the peer are to be read to, at most `most` of them; `didRead` follows. */
  room(buffer: ReadBuffer, most: number): Uint8Array;
  didRead(buffer: ReadBuffer, sizeBytes: number): void;
  /** Takes at most `frames` frames of what is in the buffer. */
  take(buffer: ReadBuffer, frames: number): Taken;
  /** Resolves when the answers to all that was taken are in the outbox; undefined when they are. */
  answered(): Promise<void> | undefined;
  /** From now on nothing reaches the endpoint: frames are only read for the peer's Close. */
  discard(): void;
  /** The Ping that the peer is to be sent, whose Pong stays here; an empty one if undefined. */
  ping(): Uint8Array | undefined;
  /** Looks whether the endpoint is still there, if it is somebody else's; called again and again with the time. */
  sweep(nowMs: number, limits: TimeLimits): void;
  /** The process has stood still for this long, and may not hold it against the endpoint. */
  excuse(byMs: number): void;
  /** Tells the endpoint of the end, with a Close if there is one: the peer's own, or ours. Harmless when repeated. */
  tell(close: CloseReason | undefined, isPeers: boolean): void;
  /** Ends the endpoint's side at once. */
  cut(): void;
}
