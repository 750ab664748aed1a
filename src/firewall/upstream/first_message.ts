// A connection whose first message must be a token: after it, a relay to an upstream.

import type { CloseReason } from "../../protocol/close_code.ts";
import type { FrameCheck } from "../connection/frame_check.ts";
import type { TimeLimits } from "../connection/liveness.ts";
import { MessageReader } from "../connection/message_reader.ts";
import type { Outbox } from "../connection/outbox.ts";
import type { ReadBuffer } from "../connection/read_buffer.ts";
import { HEADROOM } from "../ways/peer_frames.ts";
import type { Relayed } from "../ways/relayed.ts";
import type { Host, Taken, Way } from "../ways/way.ts";
import type { TokenRefusal } from "./gate.ts";

/** What it is made of. */
export interface FirstMessageOptions {
  readonly check: FrameCheck;
  readonly outbox: Outbox;
  /** How long the client may take to send its token, in milliseconds. */
  readonly timeoutMs: number;
  readonly onStart: (host: Host) => void;
  /**
   * Decides about the first message; `token` is `"binary"` or `"late"` if that is not text or did not come. Resolves
   * with the relay to an upstream, or with the client's refusal; undefined when nobody is left to refuse.
   */
  readonly authenticate: (token: string, isText: boolean) => Promise<Relayed | TokenRefusal | undefined>;
}

/** What a client gets once its token is accepted and an upstream is connected. */
const WELCOME = "Authenticated!";

/** Takes the first message itself, and gives all others to the relay. */
export class FirstMessage implements Way {
  readonly headroom = HEADROOM;
  readonly check: FrameCheck;
  readonly ended: Promise<void>;
  readonly #options: FirstMessageOptions;
  readonly #reader: MessageReader;
  readonly #end = Promise.withResolvers<void>();
  #host: Host | undefined;
  #relay: Relayed | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Set once the message has come; resolves with the end of the decision. */
  #deciding: Promise<void> | undefined;
  #isTold = false;

  constructor(options: FirstMessageOptions) {
    this.#options = options;
    this.check = options.check;
    this.#reader = new MessageReader(options.check);
    this.ended = this.#end.promise;
  }

  get heldBytes(): number {
    return this.#relay?.heldBytes ?? this.#reader.heldBytes;
  }

  get receivedBytes(): number {
    return this.#relay?.receivedBytes ?? this.#reader.receivedBytes;
  }

  get messagesOut(): number {
    return this.#relay?.messagesOut ?? 0;
  }

  get isReady(): boolean {
    return this.#reader.isDiscarding || (this.#relay?.isReady ?? this.#deciding === undefined);
  }

  start(host: Host): void {
    this.#host = host;
    this.#reader.at = HEADROOM;
    this.#options.onStart(host);
    this.#timer = setTimeout(() => this.#decide("late", false), this.#options.timeoutMs);
  }

  resume(): void {
    this.#relay?.resume();
  }

  room(buffer: ReadBuffer, most: number): Uint8Array {
    return buffer.room(most);
  }

  didRead(buffer: ReadBuffer, sizeBytes: number): void {
    if (this.#relay !== undefined) this.#relay.didRead(buffer, sizeBytes);
    else buffer.end += sizeBytes;
  }

  take(buffer: ReadBuffer, frames: number): Taken {
    if (this.#relay !== undefined) return this.#relay.take(buffer, frames);
    const reader = this.#reader;
    const most = this.check.frames + frames;
    for (;;) {
      if (this.check.frames >= most && reader.at < buffer.end) return "spent";
      const found = reader.next(buffer.bytes, buffer.end);
      if (found === "nothing") {
        this.#carry(buffer);
        return "more";
      }
      if (found === "ping") this.#options.outbox.pong(buffer.bytes, reader.pingStart, reader.pingEnd);
      if (found !== "message") continue;
      const { message } = reader;
      reader.message = "";
      // What follows is for the relay, or for nobody.
      this.#carry(buffer);
      this.#decide(typeof message === "string" ? message : "binary", typeof message === "string");
      return "wait";
    }
  }

  answered(): Promise<void> | undefined {
    return this.#relay?.answered();
  }

  discard(): void {
    if (this.#relay === undefined) {
      this.#reader.isDiscarding = true;
      this.#reader.release();
    } else this.#relay.discard();
  }

  ping(): Uint8Array | undefined {
    return this.#relay?.ping();
  }

  sweep(nowMs: number, limits: TimeLimits): void {
    this.#relay?.sweep(nowMs, limits);
  }

  excuse(byMs: number): void {
    this.#relay?.excuse(byMs);
  }

  tell(close: CloseReason | undefined, isPeers: boolean): void {
    this.#isTold = true;
    clearTimeout(this.#timer);
    if (this.#relay !== undefined) return this.#relay.tell(close, isPeers);
    this.#end.resolve();
  }

  cut(): void {
    if (this.#relay !== undefined) this.#relay.cut();
    else this.#end.resolve();
  }

  #carry(buffer: ReadBuffer): void {
    buffer.carry(this.#reader.at);
    this.#reader.at = buffer.start;
  }

  #decide(token: string, isText: boolean): void {
    if (this.#deciding !== undefined || this.#isTold) return;
    clearTimeout(this.#timer);
    this.#deciding = this.#settle(token, isText).catch((error) => this.#host!.fault(error));
  }

  async #settle(token: string, isText: boolean): Promise<void> {
    const host = this.#host!;
    const outcome = await this.#options.authenticate(token, isText);
    if (outcome === undefined) return;
    if ("code" in outcome) {
      if (outcome.text !== undefined) this.#options.outbox.send(outcome.text);
      return host.close(outcome);
    }
    // Then the part that has joined the upstream releases it.
    if (this.#isTold || !host.isOpen) return;
    this.#options.outbox.send(WELCOME);
    this.#relay = outcome;
    void outcome.ended.then(() => this.#end.resolve());
    outcome.start(host);
    host.resume();
  }
}
