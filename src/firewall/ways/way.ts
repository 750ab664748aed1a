// The two ways to an endpoint, as a connection sees them: served in this process, or relayed to an upstream.

import type { CloseReason } from "../../protocol/close_code.ts";
import type { LogFields } from "../../telemetry/events.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { TimeLimits } from "../connection/liveness.ts";
import type { ReadBuffer } from "../connection/read_buffer.ts";

/** The records of a failing upstream. */
export type UpstreamFailure = "upstream.lost" | "upstream.protocol_error";

/** What a way needs of the connection that it belongs to. */
export interface Host {
  /** Whether messages still go to the endpoint. */
  readonly isOpen: boolean;
  /** `isReady` may have changed, so that the way can go on. */
  resume(): void;
  /** Counts `more` messages besides the peer's last one, which was a batch, as if each had come alone. */
  charge(more: number): void;
  /** The endpoint closes, and all that it sent before is in the outbox. */
  endpointCloses(close: CloseReason): void;
  /** The endpoint has ended, with or without a Close before. */
  endpointEnded(): void;
  /** An upstream has broken a rule or is lost; the peer gets `close`, and is not blamed. */
  endpointFailed(event: UpstreamFailure, fields: LogFields<UpstreamFailure>, close: CloseReason): void;
  /** Ends the connection from our side. */
  close(close: CloseReason): void;
  /** Ends the peer's side at once. */
  cut(): void;
  /** Something unexpected was thrown: a fault of our own. */
  fault(error: unknown): void;
}

/**
 * What a way did with its bytes: "more" if it took all it could, "wait" if the rest has to wait for `isReady` or the
 * outbox, "spent" if the allowed frames are used up.
 */
export type Taken = "more" | "wait" | "spent";

/** A way to an endpoint. It belongs to one connection, which starts it, and ends it by `tell` and `cut`. */
export interface Way {
  /** Follows the peer's frames. */
  readonly check: FrameCheck;
  /** Bytes that must be free before those read from the peer. */
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
  /** The outbox was written. */
  resume(): void;
  /** Where to read the next bytes of the peer to, at most `most` of them; `didRead` follows. */
  room(buffer: ReadBuffer, most: number): Uint8Array;
  didRead(buffer: ReadBuffer, sizeBytes: number): void;
  /** Takes at most `frames` frames of what is in the buffer. */
  take(buffer: ReadBuffer, frames: number): Taken;
  /** Resolves when the answers to all that was taken are in the outbox; undefined if they are. */
  answered(): Promise<void> | undefined;
  /** From now on nothing reaches the endpoint; frames are read only to find the peer's Close. */
  discard(): void;
  /** The Ping frame for the peer, whose Pong stays here; undefined for an empty Ping. */
  ping(): Uint8Array | undefined;
  /** Checks that an upstream is still there. Called again and again with the time. */
  sweep(nowMs: number, limits: TimeLimits): void;
  /** The process has stood still for this long, which must not count against the endpoint. */
  excuse(byMs: number): void;
  /** Tells the endpoint of the end, with a Close if there is one: the peer's own, or ours. Harmless when repeated. */
  tell(close: CloseReason | undefined, isPeers: boolean): void;
  /** Ends the endpoint's side at once. */
  cut(): void;
}
