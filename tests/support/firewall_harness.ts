// What behaviour tests talk to: a firewall listener in front of an endpoint, in this process, on port 0.

import type { Settings } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { Admission } from "../../src/firewall/admission.ts";
import { createRequestRules } from "../../src/firewall/admission/request_rules.ts";
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { type EndpointOptions, startEndpoint } from "../../src/endpoints/endpoint.ts";
import { FirewallListener, type ListenerLimits } from "../../src/firewall/listener.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import type { Log, LogFields } from "../../src/telemetry/log.ts";
import type { EventName } from "../../src/telemetry/events.ts";

/** One event as the log was given it. */
export interface LoggedEvent {
  readonly event: EventName;
  readonly fields: LogFields;
}

/** A running pair of firewall and endpoint. */
export interface Harness {
  readonly port: number;
  readonly firewall: FirewallListener;
  readonly admission: Admission;
  readonly events: readonly LoggedEvent[];
  /** What the health path says, if there is one. */
  isReady: boolean;
  /** Resolves with the first event of that name, also one that came before. */
  event(name: EventName): Promise<LogFields>;
  /** Resolves when `count` connections have ended. */
  ended(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Ordinary limits, without those on rates and on lifetime. */
export const LIMITS: ListenerLimits = {
  maxMessageSize: 2 ** 20,
  maxFragments: 1024,
  messageRate: Infinity,
  byteRate: Infinity,
  onRateLimit: "throttle",
  idleTimeout: Infinity,
  pingInterval: Infinity,
  pingTimeout: 5000,
  sendTimeout: 5000,
  closeTimeout: 2000,
  messageTimeout: Infinity,
  maxLifetime: Infinity,
  handshakeTimeout: 5000,
  authTimeout: 5000,
};

/** Starts a listener with small changes to ordinary limits; the endpoint echoes verbatim unless told otherwise. */
export function startHarness(
  limits: Partial<ListenerLimits> = {},
  createHandler: EndpointOptions["createHandler"] = createEchoHandler({ prefix: "" }),
  budget = new MemoryBudget(Infinity),
  overrides: Partial<Settings> = {},
): Harness {
  const folder = Deno.makeTempDirSync();
  const socketPath = `${folder}/inner.sock`;
  const events: LoggedEvent[] = [];
  let waiting: (() => void)[] = [];
  const log: Log = (event, fields = {}) => {
    events.push({ event, fields });
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  async function until<Value>(what: string, find: () => Value | undefined): Promise<Value> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) =>
      timer = setTimeout(() => reject(new Error(`Timed out waiting for ${what}`)), 10_000)
    );
    try {
      for (;;) {
        const found = find();
        if (found !== undefined) return found;
        await Promise.race([late, new Promise<void>((resolve) => waiting.push(resolve))]);
      }
    } finally {
      clearTimeout(timer);
    }
  }
  const settings = { ...parseSettings(new Map(), () => undefined), handshakeRate: Infinity, ...overrides };
  const admission = new Admission(settings, log);
  const endpoint = startEndpoint({
    name: "echo",
    socketPath,
    createHandler,
    linkOf: (connection) => firewall.link(connection),
    log,
  });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const firewall = new FirewallListener({
    endpoint: "echo",
    listener,
    inside: socketPath,
    health: settings.healthPath === undefined
      ? undefined
      : { path: settings.healthPath, isReady: () => harness.isReady },
    requestRules: createRequestRules({ paths: ["/"], isLoopbackListener: true, settings }),
    limits: { ...LIMITS, ...limits },
    admission,
    budget,
    log,
  });
  const harness: Harness = {
    port: listener.addr.port,
    firewall,
    admission,
    events,
    isReady: true,
    event: (name) => until(`the event ${name}`, () => events.find(({ event }) => event === name)?.fields),
    ended: (count) =>
      until(
        `the end of ${count} connections`,
        () => events.filter(({ event }) => event === "connection.closed").length >= count ? true : undefined,
      ).then(() => {}),
    async stop() {
      await firewall.drain({ code: 1001, reason: "the test is over" }, 0);
      admission.stop();
      await endpoint.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return harness;
}
