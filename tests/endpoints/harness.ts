// What the endpoint tests share: an endpoint in a temp folder, a log that can be awaited, a clock moved by hand.
import assert from "node:assert/strict";
import { type Clock, MAX_DELAY_MS } from "../../src/endpoints/clock.ts";
import {
  type Endpoint,
  type EndpointOptions,
  type Message,
  type Peer,
  startEndpoint,
} from "../../src/endpoints/endpoint.ts";
import type { EventName } from "../../src/telemetry/events.ts";
import type { Log, LogFields } from "../../src/telemetry/log.ts";

const DEADLINE_MS = 5000;

/** Waits for what must come, and says what did not. */
export async function within<T>(awaited: string, promise: Promise<T>): Promise<T> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Timed out waiting for ${awaited}`)), DEADLINE_MS);
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** A log in memory. */
export class MemoryLog {
  readonly records: { readonly event: EventName; readonly fields: LogFields }[] = [];
  #wake = Promise.withResolvers<void>();

  readonly log: Log = (event, fields = {}) => {
    this.records.push({ event, fields });
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  };

  /** The fields of the records of one event so far. */
  of(event: EventName): LogFields[] {
    return this.records.filter((record) => record.event === event).map(({ fields }) => fields);
  }

  /** The fields of the first record of an event, which may be yet to come. */
  async first(event: EventName): Promise<LogFields> {
    const search = async (): Promise<LogFields> => {
      for (;;) {
        const [first] = this.of(event);
        if (first !== undefined) return first;
        await this.#wake.promise;
      }
    };
    return await within(`the record ${event}`, search());
  }
}

/** A clock that moves only when told. */
export class ManualClock implements Clock {
  readonly #timers = new Map<number, { readonly atMs: number; readonly ring: () => void }>();
  #elapsedMs = 0;
  #dateMs = 1_700_000_000_000;
  #nextId = 0;

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#dateMs;
  }

  elapsed(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, ring: () => void): () => void {
    assert.ok(delayMs >= 0 && delayMs <= MAX_DELAY_MS, `${delayMs} ms is no delay that a timer honours`);
    const id = this.#nextId++;
    this.#timers.set(id, { atMs: this.#elapsedMs + delayMs, ring });
    return () => this.#timers.delete(id);
  }

  /** Moves the time and rings what is due. */
  advance(ms: number): void {
    const end = this.#elapsedMs + ms;
    for (;;) {
      const next = [...this.#timers].filter(([, { atMs }]) =>
        atMs <= end
      ).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      const [id, { atMs, ring }] = next;
      this.#move(Math.max(0, atMs - this.#elapsedMs));
      this.#timers.delete(id);
      ring();
    }
    this.#move(end - this.#elapsedMs);
  }

  /** Sets the date forwards or backwards, or lets the machine be suspended: no time passes for delays. */
  jump(ms: number): void {
    this.#dateMs += ms;
  }

  #move(ms: number): void {
    this.#elapsedMs += ms;
    this.#dateMs += ms;
  }
}

/** A peer that writes down what it is told. */
export class MemoryPeer implements Peer {
  readonly connection = "c1";
  readonly address = "192.0.2.1";
  isOpen = true;
  readonly sent: Message[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  send(message: Message): void {
    if (this.isOpen) this.sent.push(message);
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.closed = { code, reason };
  }
}

/** A running endpoint with what a test needs around it. */
export interface Running {
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly memory: MemoryLog;
}

/** Runs a test against an endpoint in a fresh folder, and stops it afterwards. */
export async function withEndpoint(
  options: Pick<EndpointOptions, "createHandler"> & Partial<EndpointOptions>,
  test: (running: Running) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const memory = new MemoryLog();
  const path = `${folder}/endpoint.sock`;
  const endpoint = startEndpoint({ name: "echo", socketPath: path, log: memory.log, ...options });
  try {
    await test({ endpoint, path, memory });
  } finally {
    await endpoint.stop();
    await Deno.remove(folder, { recursive: true });
  }
}
