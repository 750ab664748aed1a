// What the endpoint tests share: an endpoint in a temporary folder, a log that can be awaited, a clock moved by hand.
import assert from "node:assert/strict";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { type Clock, MAX_DELAY_MS } from "../../src/endpoints/sessions/clock.ts";
import {
  type Endpoint,
  type EndpointOptions,
  type Message,
  type Peer,
  startEndpoint,
} from "../../src/endpoints/endpoint.ts";
import { Admission } from "../../src/firewall/admission.ts";
import { createRequestRules } from "../../src/firewall/admission/request_rules.ts";
import { FirewallListener } from "../../src/firewall/listener.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import { LIMITS } from "../support/firewall_harness.ts";
import type { TlsAcceptor } from "../../src/firewall/tls/tls_acceptor.ts";
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

/** A log in memory. The connections are named `c1`, `c2` and so on, in the order in which they appear. */
export class MemoryLog {
  readonly records: { readonly event: EventName; readonly fields: LogFields }[] = [];
  readonly #names = new Map<unknown, string>();
  #wake = Promise.withResolvers<void>();

  readonly log: Log = (event, fields = {}) => {
    const { connection } = fields as { connection?: unknown };
    if (connection !== undefined && !this.#names.has(connection)) {
      this.#names.set(connection, `c${this.#names.size + 1}`);
    }
    const name = this.#names.get(connection);
    this.records.push({
      event,
      fields: name === undefined ? fields : { ...fields, connection: name } as LogFields,
    });
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
  charged = 0;
  closed: { readonly code: number; readonly reason: string } | undefined;

  send(message: Message): void {
    if (this.isOpen) this.sent.push(message);
  }

  charge(more: number): void {
    this.charged += more;
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
  /** Where the firewall in front of it listens. */
  readonly port: number;
  /** The private socket of the endpoint. */
  readonly path: string;
  readonly firewall: FirewallListener;
  readonly memory: MemoryLog;
}

/** Runs a test against an endpoint in a fresh folder, behind a firewall, and stops both afterwards. */
export async function withEndpoint(
  { tls, ...options }:
    & Pick<EndpointOptions, "createHandler">
    & Partial<EndpointOptions>
    & { readonly tls?: TlsAcceptor },
  test: (running: Running) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const memory = new MemoryLog();
  const socketPath = `${folder}/endpoint.sock`;
  const name = options.name ?? "echo";
  const endpoint = startEndpoint({
    name,
    socketPath,
    log: memory.log,
    linkOf: (connection) => firewall.link(connection),
    ...options,
  });
  const settings = { ...parseSettings(new Map(), () => undefined), handshakeRate: Infinity };
  const admission = new Admission(settings, ignore);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const firewall = new FirewallListener({
    endpoint: name,
    listener,
    tls,
    inside: socketPath,
    requestRules: createRequestRules({ paths: ["/"], isLoopbackListener: true, settings }),
    limits: LIMITS,
    admission,
    budget: new MemoryBudget(Infinity),
    // What the firewall has to say is not what these tests are about.
    log: ignore,
  });
  try {
    await test({ endpoint, port: listener.addr.port, path: socketPath, firewall, memory });
  } finally {
    await firewall.drain({ code: 1001, reason: "the test is over" }, 0);
    admission.stop();
    await endpoint.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

function ignore(): void {}
