// One open connection: its peer, its way to an endpoint, and its end.

import type { CloseReason } from "../../protocol/close_code.ts";
import { describeFault } from "../../telemetry/fault.ts";
import type { LogFields } from "../../telemetry/log.ts";
import { closeQuietly, isConnectionLost } from "../byte_socket.ts";
import type { Holder } from "../memory_budget.ts";
import type { Violation } from "../violation.ts";
import type { Host, UpstreamFailure, Way } from "../ways/way.ts";
import { Account } from "./account.ts";
import { Closing } from "./closing.ts";
import type { ConnectionFacts, ConnectionLimits, ConnectionOptions } from "./connection_parts.ts";
import { linger } from "./linger.ts";
import { excuse, judgeTimes } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";
import { Pause } from "./pause.ts";
import { Rates } from "./rates.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { Turns } from "./turns.ts";
import { Watch } from "./watch.ts";

const INTERNAL_ERROR = { code: 1011, reason: "internal error" };

/** The turns of all connections. */
const turns = new Turns();

/** How long a peer may take to end a connection that is closed on both sides, in milliseconds. */
const LINGER_MS = 1000;
/** How long an endpoint may take to end after its peer was cut, in milliseconds: less than a drain waits for that. */
const ENDPOINT_GRACE_MS = 200;

/**
 * Reads the peer when it may, gives what it reads to the way, and ends the connection by the closing handshake of RFC 6455 §7 or,
 * after its deadline, without it. `Closing` says which state it is in and what leads from one to the next.
 */
export class Connection implements Holder, Host {
  readonly id: string;
  readonly #options: ConnectionOptions;
  readonly #limits: ConnectionLimits;
  readonly #way: Way;
  readonly #outbox: Outbox;
  readonly #buffer: ReadBuffer;
  readonly #rates: Rates;
  readonly #closing = new Closing();
  readonly #watch: Watch;
  /** When the peer, and after it the endpoint, is cut. */
  #deadlineMs = Infinity;
  /** Whether the peer can't be read or written any more. */
  #isPeerGone = false;
  /** Cuts the endpoint soon after the peer was cut. */
  #endpointTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the Close that is owed to the peer is in the outbox. */
  #isSaid = false;
  readonly #account: Account;
  /** How many frames of the peer its rate has counted. */
  #spentFrames = 0;
  /** How many of the way's bytes the budget has counted. */
  #countedBytes = 0;
  readonly #pause = new Pause();

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.#options = options;
    this.#limits = options.limits;
    this.#way = options.way;
    this.#outbox = options.outbox;
    this.#buffer = new ReadBuffer(options.way.headroom, options.fromPeer);
    this.#rates = new Rates(options.limits);
    this.#watch = new Watch(performance.now());
    this.#account = new Account(options, this.#watch.times.openedMs);
  }

  /** Whether messages still go to the endpoint. */
  get isOpen(): boolean {
    return this.#closing.isOpen;
  }

  /** Code and reason of the end, once it has ended. */
  get result(): CloseReason {
    return this.#closing.result;
  }

  /** Bytes of the unfinished message and of what the peer has not taken. */
  get heldBytes(): number {
    return this.#countedBytes + this.#outbox.pendingBytes;
  }

  /** Bytes in both directions so far. */
  get movedBytes(): number {
    return this.#account.bytesIn + this.#outbox.sentBytes;
  }

  /** What administrators are shown of it. */
  get facts(): ConnectionFacts {
    return this.#account.facts(this.heldBytes, !this.isOpen);
  }

  /** Runs the connection; resolves when it has ended and both sides are closed. Never rejects. */
  async run(): Promise<void> {
    const { budget, fixedBytes, peer } = this.#options;
    budget.add(this, fixedBytes);
    this.#account.opened();
    try {
      this.#outbox.start(() => this.#written(), (error) => this.#lost(error));
      this.#way.start(this);
      await this.#readAll();
      await this.#finish();
    } catch (error) {
      this.fault(error);
      // It is said now or never: for no answer, and not for the end of what frames were taken for.
      this.#sayClose();
      this.#outbox.release();
    } finally {
      this.#isPeerGone = true;
      this.#outbox.drop();
      closeQuietly(peer);
      this.#deadlineMs = performance.now() + this.#limits.closeTimeout;
      const { received, own } = this.#closing;
      try {
        this.#way.tell(received ?? own, received !== undefined);
      } catch (error) {
        this.fault(error);
        this.#way.cut();
      }
      await this.#way.ended;
      clearTimeout(this.#endpointTimer);
      this.#closing.end();
      this.#buffer.release();
      budget.remove(this);
      this.#account.closed(this.#closing, this.#isSaid);
    }
  }

  /** Begins the closing handshake from the server's side; after `timeoutMs` the peer is cut. */
  close(close: CloseReason, timeoutMs = this.#limits.closeTimeout): void {
    this.#contain(() => {
      if (this.#closing.begin("us", close)) this.#begun(timeoutMs);
    });
  }

  /** Wakes the loop to check again whether it may go on. */
  resume(): void {
    this.#pause.end();
  }

  /** Ends the peer's side at once, whatever state it is in; the endpoint is still told. Harmless after the end. */
  cut(): void {
    if (this.#closing.state === "closed") return;
    this.#endpointTimer ??= setTimeout(() => this.#way.cut(), ENDPOINT_GRACE_MS);
    this.#isPeerGone = true;
    if (this.#closing.begin("the peer", undefined)) this.#begun(this.#limits.closeTimeout);
    closeQuietly(this.#options.peer);
    this.resume();
  }

  /** Frees what is held for the peer, by closing. */
  shed(): void {
    this.#contain(() => {
      const value = this.heldBytes;
      const { isWriting } = this.#outbox;
      if (isWriting) this.#outbox.drop();
      this.#breakRule("limit.reached", {
        rule: "buffered_memory",
        code: 1013,
        reason: "the server is short of memory",
        value,
      });
      // A Close frame would wait behind what the peer does not read.
      if (isWriting) this.cut();
    });
  }

  charge(more: number): void {
    // The frame that they came in is the first of them, and may not be counted yet.
    this.#spendFrames();
    const overdrawn = this.#rates.charge(more);
    if (overdrawn === undefined || this.#limits.onRateLimit === "throttle" || !this.#closing.isOpen) return;
    this.#breakRule("limit.reached", overdrawn);
  }

  endpointCloses(close: CloseReason): void {
    if (this.#closing.begin("the endpoint", close)) this.#begun(this.#limits.closeTimeout);
  }

  endpointEnded(): void {
    if (!this.#closing.isOpen) return this.resume();
    this.#account.log("endpoint.lost");
    this.endpointCloses(INTERNAL_ERROR);
  }

  endpointFailed(event: UpstreamFailure, fields: LogFields, close: CloseReason): void {
    if (!this.#closing.isOpen) return this.resume();
    this.#account.log(event, fields);
    this.endpointCloses(close);
  }

  /** A fault of our own costs this connection and nothing else. */
  fault(error: unknown): void {
    this.#account.log("connection.fault", { ...describeFault(error) });
    try {
      if (this.#closing.begin("us", INTERNAL_ERROR)) this.#begun(this.#limits.closeTimeout);
      // What goes wrong again and again would keep it for as long as the peer likes.
      else this.cut();
    } catch {
      // Most likely the same fault again, which is recorded: the connection ends without a Close.
      this.#isPeerGone = true;
      closeQuietly(this.#options.peer);
      this.resume();
    }
  }

  /** What others call does not run in this connection's loop: a fault in it must not reach them. */
  #contain(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fault(error);
    }
  }

  /** The process has stood still for this long, which must not count against the peer. */
  excuse(byMs: number): void {
    this.#contain(() => {
      excuse(this.#watch.times, byMs);
      this.#way.excuse(byMs);
      this.#deadlineMs += byMs;
    });
  }

  /** Applies the time limits. Called again and again with the time of `performance.now()`. */
  sweep(nowMs: number): void {
    try {
      this.#sweep(nowMs);
    } catch (error) {
      this.fault(error);
    }
  }

  #sweep(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) return this.#passDeadline(nowMs);
    if (!this.#closing.isOpen) return;
    this.#way.sweep(nowMs, this.#limits);
    this.#watch.look(nowMs, this.#way, this.#outbox, this.#account.bytesIn, this.#pause.isOn);
    const due = judgeTimes(this.#watch.times, this.#limits, nowMs);
    if (due === undefined) return;
    if (due === "ping") {
      this.#watch.times.pingMs = nowMs;
      this.#outbox.ping(this.#way.ping());
      return;
    }
    this.#breakRule("limit.reached", due);
    // A Close frame would wait behind what the peer does not read.
    if (due.rule === "send_timeout") this.cut();
  }

  /** Reads until nothing more from the peer matters: it has closed, ended, broken a rule or run out of time. */
  async #readAll(): Promise<void> {
    const { peer } = this.#options;
    const way = this.#way;
    const account = this.#account;
    const { check } = way;
    const buffer = this.#buffer;
    const outbox = this.#outbox;
    const rates = this.#rates;
    for (;;) {
      if (this.#isPeerGone) return;
      if (!way.isReady || outbox.isBehind) {
        await this.#pause.wait();
        continue;
      }
      outbox.hold();
      const taken = way.take(buffer, rates.frames());
      outbox.release();
      this.#spendFrames();
      this.#count();
      if (check.violation !== undefined) {
        if (this.#closing.isOpen) this.#breakRule("protocol.error", check.violation);
        return;
      }
      if (check.close !== undefined) {
        if (this.#closing.receive(check.close)) this.#begun(this.#limits.closeTimeout);
        return;
      }
      if (taken === "wait") continue;
      if (taken === "spent" || !rates.mayRead()) {
        if (!await this.#slowDown()) return;
        continue;
      }
      if (this.#closing.isOpen && way.heldBytes > 0 && !this.#options.budget.mayGrow(this)) {
        await this.#pause.wait();
        continue;
      }
      if (outbox.isBehind) continue;
      const room = way.room(buffer, rates.bytes());
      // The buffer may have grown, perhaps over the budget.
      const wasOpen = this.#closing.isOpen;
      this.#count();
      if (wasOpen && !this.#closing.isOpen) continue;
      let size: number | null;
      try {
        size = await peer.read(room);
      } catch (error) {
        if (!isConnectionLost(error)) throw error;
        return this.#lost(error);
      }
      if (size === null) return this.#ended();
      way.didRead(buffer, size);
      rates.beginTurn();
      rates.spendBytes(size);
      account.read(size);
    }
  }

  #spendFrames(): void {
    const { frames } = this.#way.check;
    this.#rates.spendFrames(frames - this.#spentFrames);
    this.#spentFrames = frames;
  }

  /** Waits until a used-up rate has something again, or for the next turn. Returns whether to read on. */
  async #slowDown(): Promise<boolean> {
    const usedUp = this.#rates.usedUp();
    if (usedUp === undefined) {
      // Written answers are no reason to go on before the turn: those of all others are written too.
      await this.#pause.untilTurn(turns, () => this.#isPeerGone);
      this.#rates.beginTurn();
      return true;
    }
    if (this.#limits.onRateLimit === "close" && this.#closing.isOpen) {
      this.#breakRule("limit.reached", usedUp.violation);
      return false;
    }
    const throttledMs = await this.#pause.atMost(usedUp.delayMs);
    this.#rates.beginTurn();
    this.#account.throttled(throttledMs);
    return true;
  }

  #written(): void {
    this.#way.resume();
    this.resume();
  }

  /** The peer has ended its side of the stream without a Close. */
  #ended(): void {
    if (!this.#closing.begin("the peer", undefined)) return;
    this.#account.lostReason = "the peer ended the connection without a Close frame";
    this.#begun(this.#limits.closeTimeout);
  }

  /** The peer can't be read or written any more. */
  #lost(error: unknown): void {
    if (!isConnectionLost(error)) this.fault(error);
    if (this.#closing.isOpen) this.#account.lostReason = describe(error);
    this.cut();
  }

  /** The closing has begun: nothing reaches the endpoint any more, and what is owed goes out when all answers have. */
  #begun(timeoutMs: number): void {
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#way.discard();
    this.#count();
    // The endpoint's own Close is in the outbox already.
    const isOwed = this.#closing.state !== "closing by the endpoint" && !this.#isPeerGone;
    const answered = isOwed ? this.#way.answered() : undefined;
    if (answered === undefined) this.#sayClose();
    else void answered.then(() => this.#sayClose());
  }

  #sayClose(): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    const { own, state } = this.#closing;
    if (own === undefined) this.#outbox.end();
    else this.#outbox.close(own);
    // The endpoint that closes first waits for what the peer answers.
    if (state !== "closing by the endpoint") this.#way.tell(own, state === "closing by the peer");
    this.resume();
  }

  /**
   * Writes what is in the outbox, then ends both sides: ours first, because the peer may still be reading (RFC 6455
   * §7.1.1).
   */
  async #finish(): Promise<void> {
    const outbox = this.#outbox;
    while (!this.#isPeerGone && (!outbox.isEnded || outbox.isWriting)) await this.#pause.wait();
    if (this.#isPeerGone) return;
    this.#deadlineMs = Math.min(this.#deadlineMs, performance.now() + LINGER_MS);
    await linger(this.#options.peer);
  }

  /**
   * At the deadline the Close goes out, whatever is unfinished, and then the peer is cut; the endpoint gets the same
   * time again.
   */
  #passDeadline(nowMs: number): void {
    if (!this.#isSaid) {
      this.#deadlineMs = nowMs + LINGER_MS;
      return this.#sayClose();
    }
    this.#deadlineMs = nowMs + this.#limits.closeTimeout;
    if (this.#isPeerGone) this.#way.cut();
    this.#isPeerGone = true;
    closeQuietly(this.#options.peer);
    this.resume();
  }

  /** Tells the budget what the way holds now. */
  #count(): void {
    const { heldBytes } = this.#way;
    const change = heldBytes - this.#countedBytes;
    if (change === 0) return;
    this.#countedBytes = heldBytes;
    this.#options.budget.change(change);
  }

  /** Records what the peer did wrong, and begins to close. */
  #breakRule(event: "protocol.error" | "limit.reached", violation: Violation): void {
    this.#account.violated(event, violation);
    this.close(violation);
  }
}

/** An I/O error in the runtime's words, which quote nothing that a peer has written. */
function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
