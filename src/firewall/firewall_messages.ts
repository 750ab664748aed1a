// What the firewall's thread and the main thread say to each other.

import type { Settings } from "../core/settings.ts";
import type { EventName } from "../telemetry/events.ts";
import type { LogFields } from "../telemetry/log.ts";
import type { Firewall, GuardedEndpoint } from "./firewall.ts";

/** What is needed to start: the part of the options that can be sent. */
export interface StartMessage {
  readonly settings: Settings;
  readonly endpoints: readonly GuardedEndpoint[];
}

/** The methods of the firewall that the main thread calls. */
export type FirewallMethod = "violation" | "reload" | "bans" | "ban" | "unban" | "metrics" | "drain";

/** From the main thread. */
export type ToFirewall =
  | { readonly kind: "start"; readonly id: number; readonly start: StartMessage }
  | {
    [Method in FirewallMethod]: {
      readonly kind: "call";
      readonly id: number;
      readonly method: Method;
      readonly args: Parameters<Firewall[Method]>;
    };
  }[FirewallMethod]
  | { readonly kind: "held"; readonly id: number; readonly bytes: readonly number[] };

/** From the firewall's thread. */
export type FromFirewall =
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  /** `isStart` tells an error that the user can mend from one that is ours. */
  | { readonly kind: "error"; readonly id: number; readonly message: string; readonly isStart: boolean }
  | { readonly kind: "log"; readonly event: EventName; readonly fields: LogFields }
  | { readonly kind: "held"; readonly id: number; readonly connections: readonly string[] };
