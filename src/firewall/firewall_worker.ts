// The firewall's thread: runs a firewall and does what the main thread tells it.

/// <reference lib="deno.worker" />
import { StartError } from "../core/errors.ts";
import { Firewall } from "./firewall.ts";
import type { FromFirewall, ToFirewall } from "./firewall_messages.ts";

let firewall: Firewall | undefined;
let lastQuestion = 0;
const questions = new Map<number, (bytes: readonly number[]) => void>();

self.onmessage = async ({ data }: MessageEvent<ToFirewall>) => {
  if (data.kind === "held") {
    questions.get(data.id)?.(data.bytes);
    questions.delete(data.id);
    return;
  }
  try {
    post({ kind: "result", id: data.id, value: await run(data) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    post({ kind: "error", id: data.id, message, isStart: error instanceof StartError });
  }
};

// An error that nobody caught must cost neither the other connections nor the thread.
for (const type of ["error", "unhandledrejection"] as const) {
  self.addEventListener(type, (event) => {
    event.preventDefault();
    const cause: unknown = event instanceof PromiseRejectionEvent
      ? event.reason
      : (event as ErrorEvent).error;
    const error = cause instanceof Error ? cause.stack ?? cause.message : String(cause);
    post({ kind: "log", event: "process.unhandled", fields: { error } });
  });
}

function run(message: Exclude<ToFirewall, { kind: "held" }>): unknown {
  if (message.kind === "start") {
    firewall = new Firewall({
      ...message.start,
      log: (event, fields = {}) => post({ kind: "log", event, fields }),
      heldByEndpoint,
    });
    return firewall.addresses;
  }
  const method = firewall![message.method] as (...args: readonly unknown[]) => unknown;
  return method.apply(firewall, message.args);
}

function heldByEndpoint(connections: readonly string[]): Promise<readonly number[]> {
  const id = ++lastQuestion;
  return new Promise((resolve) => {
    questions.set(id, resolve);
    post({ kind: "held", id, connections });
  });
}

function post(message: FromFirewall): void {
  self.postMessage(message);
}
