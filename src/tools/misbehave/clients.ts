// What client libraries show their users of each path: seen, not read in their documentation.

import seen from "./clients.json" with { type: "json" };

/** The clients, with their versions as seen. */
export const CLIENTS = ["ws", "websockets", "Chromium"] as const;

/** By example path: what each client shows. */
export const SEEN: Readonly<Record<string, Readonly<Partial<Record<typeof CLIENTS[number], string>>>>> = seen;
