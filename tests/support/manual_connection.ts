// A connection whose two sockets and time are moved by hand, to see what it reads, when it waits, and what it holds.

import { type ByteSocket, closeQuietly } from "../../src/firewall/byte_socket.ts";
import { Connection } from "../../src/firewall/connection/connection.ts";
import type { ConnectionLimits } from "../../src/firewall/connection/connection_parts.ts";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { Outbox } from "../../src/firewall/connection/outbox.ts";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import { Relayed, type RelayedOptions } from "../../src/firewall/ways/relayed.ts";
import { type Receiver, Served } from "../../src/firewall/ways/served.ts";
import type { LogFields } from "../../src/telemetry/log.ts";
import { LIMITS, type LoggedEvent } from "./firewall_harness.ts";
import { concat, type Frame, RawClient } from "./raw_client.ts";

/** Gives what it is told to give, and takes what it is told to take. */
export class ManualSocket implements ByteSocket {
  /** The sizes of the rooms that were read to, in order. */
  readonly rooms: number[] = [];
  /** Whether writes are taken at once; otherwise they wait. */
  isTaking = true;
  /** The most that one write takes. */
  most = Infinity;
  isClosed = false;
  isEnded = false;
  /** Is called before each read. */
  onRead: () => void = () => {};
  readonly #written: Uint8Array[] = [];
  #input: (Uint8Array | null | Error)[] = [];
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  /** All that was written. */
  get written(): Uint8Array<ArrayBuffer> {
    return concat(...this.#written);
  }

  /** How many bytes were given and not read. */
  get unread(): number {
    return this.#input.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : 0), 0);
  }

  give(...pieces: (Uint8Array | null | Error)[]): void {
    this.#input.push(...pieces);
    this.#wakeReader?.();
  }

  /** Lets the write that waits take `bytes` at the most, and the next one wait. */
  takeSome(bytes: number): void {
    this.most = bytes;
    this.#wakeWriter?.();
  }

  takeAll(): void {
    this.isTaking = true;
    this.most = Infinity;
    this.#wakeWriter?.();
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    this.onRead();
    this.rooms.push(bytes.length);
    while (this.#input.length === 0 && !this.isClosed) {
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
    if (this.isClosed) throw new Deno.errors.Interrupted("closed");
    const first = this.#input[0]!;
    if (first === null) return null;
    this.#input.shift();
    if (first instanceof Error) throw first;
    const taken = first.subarray(0, bytes.length);
    bytes.set(taken);
    if (taken.length < first.length) this.#input.unshift(first.subarray(taken.length));
    return taken.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (!this.isTaking && !this.isClosed) await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    if (this.isClosed) throw new Deno.errors.Interrupted("closed");
    const taken = bytes.slice(0, this.most);
    this.#written.push(taken);
    return taken.length;
  }

  closeWrite(): Promise<void> {
    this.isEnded = true;
    return Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }

  /** What was written, as frames. */
  async frames(): Promise<Frame[]> {
    const bytes = this.written;
    let at = 0;
    const client = new RawClient({
      read: (room) => {
        if (at >= bytes.length) return Promise.resolve(null);
        const piece = bytes.subarray(at, at + room.length);
        room.set(piece);
        at += piece.length;
        return Promise.resolve(piece.length);
      },
      write: () => Promise.resolve(0),
      closeWrite: () => Promise.resolve(),
      close: () => {},
    });
    const frames: Frame[] = [];
    for (let size = 0; size < bytes.length;) {
      const next = await client.nextFrame();
      const length = next.payload.length;
      size += 2 + length + (length < 126 ? 0 : length < 65_536 ? 2 : 8) + (next.masked ? 4 : 0);
      frames.push(next);
    }
    return frames;
  }
}

/** A running connection. */
export interface ManualConnection extends AsyncDisposable {
  readonly connection: Connection;
  readonly peer: ManualSocket;
  /** The endpoint's side. */
  readonly inner: ManualSocket;
  readonly outbox: Outbox;
  /** Undefined where it is relayed. */
  readonly served: Served | undefined;
  readonly budget: MemoryBudget;
  readonly counters: EndpointCounters;
  readonly events: readonly LoggedEvent[];
  /** How many times `onViolation` was called. */
  violations(): number;
  /** When it was opened, on the clock of `sweep`. */
  readonly openedMs: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
}

/** What it is made of. */
export interface ManualOptions {
  readonly limits?: Partial<ConnectionLimits>;
  readonly budget?: MemoryBudget;
  /** What takes the messages of an endpoint in this process; each is sent back if left out. */
  readonly receive?: (message: string | ArrayBuffer, served: Served) => void | Promise<void>;
  /** Is called before the connection is started. */
  readonly before?: (served: Served) => void;
  /** Whether the endpoint is ready for messages at once; true if left out. */
  readonly isAttached?: boolean;
  /** Relayed to `inner` instead. */
  readonly isRelayed?: boolean;
}

/** Starts a connection. */
export function startManual(
  {
    limits = {},
    budget = new MemoryBudget(Infinity),
    receive,
    before,
    isAttached = true,
    isRelayed = false,
  }: ManualOptions = {},
): ManualConnection {
  const peer = new ManualSocket();
  const inner = new ManualSocket();
  const counters = new EndpointCounters();
  const events: LoggedEvent[] = [];
  const all = { ...LIMITS, ...limits };
  const check = new FrameCheck(all, counters.messagesIn);
  const outbox = new Outbox(peer, counters, (bytes) => budget.change(bytes));
  let served: Served | undefined;
  let way: Served | Relayed;
  if (isRelayed) {
    way = new Relayed({
      check,
      outbox,
      inner,
      fromEndpoint: new Uint8Array(0),
      sizes: counters.messagesOut,
      maxMessageSize: all.maxMessageSize,
      upstream: "the one of the test",
    } as RelayedOptions);
  } else {
    const own = way = served = new Served(check, outbox);
    own.join(inner);
    const receiver: Receiver = {
      message: (message) => receive === undefined ? own.send(message) : receive(message, own),
    };
    if (isAttached) own.attach(receiver);
    before?.(own);
  }
  let violations = 0;
  let hasEnded = false;
  const connection = new Connection({
    id: "c1",
    endpoint: "echo",
    address: "192.0.2.1",
    peer,
    outbox,
    way,
    fromPeer: new Uint8Array(0),
    limits: all,
    budget,
    fixedBytes: 0,
    counters,
    onViolation: () => violations++,
    log: (event, fields: LogFields = {}) => void events.push({ event, fields }),
  });
  // A moment later, which no test may notice: its times are seconds.
  const openedMs = performance.now();
  const ended = connection.run().then(() => {
    hasEnded = true;
  });
  return {
    connection,
    peer,
    inner,
    outbox,
    served,
    budget,
    counters,
    events,
    violations: () => violations,
    openedMs,
    ended,
    hasEnded: () => hasEnded,
    async [Symbol.asyncDispose]() {
      connection.cut();
      closeQuietly(inner);
      await ended;
    },
  };
}

/** Lets everything go on until it is so; nothing here takes time, so it is soon or never. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    if (isSo()) return;
    await new Promise((resolve) => turn % 10 === 9 ? setTimeout(resolve, 0) : setImmediate(resolve));
  }
  throw new Error(`Waited in vain for ${what}`);
}

/** Lets everything go on that can. */
export async function settle(): Promise<void> {
  // A connection that has dealt with enough frames comes to its next turn after a timer.
  for (let turn = 0; turn < 50; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
