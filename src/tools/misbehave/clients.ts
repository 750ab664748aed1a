// What clients show their users of each path: observed, not taken from their documentation.

import seen from "./clients.json" with { type: "json" };

/** The clients that were observed. */
export const CLIENTS = ["ws", "websockets", "Chromium"] as const;

/** By example path: what each client shows. */
export const SEEN: Readonly<Record<string, Readonly<Partial<Record<typeof CLIENTS[number], string>>>>> = seen;
