// A listener in front of upstream servers made of bytes, in this process, for what must be seen from the inside.

import type { SettingName, Settings } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import { OpenGateway } from "../../src/endpoints/gateway/gateway.ts";
import { Admission } from "../../src/firewall/admission.ts";
import { FirewallListener } from "../../src/firewall/listener.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import type { Gate } from "../../src/firewall/upstream/gate.ts";
import { Upstream } from "../../src/firewall/upstream/route.ts";
import type { Log, LogFields } from "../../src/telemetry/log.ts";
import type { LoggedEvent } from "../support/firewall_harness.ts";

/** A running listener. */
export interface InProcess extends AsyncDisposable {
  readonly port: number;
  readonly upstream: Upstream;
  readonly admission: Admission;
  readonly firewall: FirewallListener;
  readonly budget: MemoryBudget;
  readonly events: LoggedEvent[];
  /** Resolves with the first event of that name, also one that came before. */
  event(name: string): Promise<LogFields>;
}

/** Starts a listener before these servers, with these settings besides. */
export function startInProcess(
  urls: readonly string[],
  given: Partial<Record<SettingName, GivenValue>> = {},
  createGate: (settings: Settings, log: Log) => Gate = () => new OpenGateway(false),
): InProcess {
  const settings = parseSettings(
    new Map(Object.entries({ upstream: urls, ...given }) as [SettingName, GivenValue][]),
    () => undefined,
  );
  const events: LoggedEvent[] = [];
  let waiting: (() => void)[] = [];
  const log: Log = (event, fields = {}) => {
    events.push({ event, fields });
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const admission = new Admission(settings, log);
  const upstream = new Upstream(settings, createGate(settings, log), log);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const budget = new MemoryBudget(settings.maxBufferedMemory);
  const firewall = new FirewallListener({
    endpoint: "upstream",
    listener,
    inside: upstream,
    requestRules: [],
    limits: settings,
    admission,
    budget,
    log,
  });
  return {
    port: listener.addr.port,
    upstream,
    admission,
    firewall,
    budget,
    events,
    async event(name) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) =>
        timer = setTimeout(() => reject(new Error(`Timed out waiting for the event ${name}`)), 15_000)
      );
      try {
        for (;;) {
          const found = events.find(({ event }) => event === name);
          if (found !== undefined) return found.fields;
          await Promise.race([late, new Promise<void>((resolve) => waiting.push(resolve))]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
    async [Symbol.asyncDispose]() {
      await firewall.drain({ code: 1001, reason: "the test is over" }, 0);
      admission.stop();
    },
  };
}
