// How many file descriptors a server needs, and how many connections a limit on them is enough for.

import type { Settings } from "./settings/declarations.ts";

/** What a connection may need: the client's socket, and both ends of the private hop or one to an upstream. */
const PER_CONNECTION = 3;
/** About 32 for listeners, files and the runtime, and as many for what is open for a moment. */
const OTHER = 64;
/** How many administrators may be connected at once, and how many machines that ask for metrics. */
export const MAX_ADMINISTRATORS = 64;

type Needs = Pick<Settings, "maxConnections" | "adminListen" | "metricsListen">;

/** How many descriptors a server with these settings may need; `Infinity` without a limit on connections. */
export function neededDescriptors(settings: Needs): number {
  return usedDescriptors(settings.maxConnections) + others(settings);
}

/** How many of `limit` descriptors are there for peers. */
export function descriptorsForPeers(limit: number, settings: Omit<Needs, "maxConnections">): number {
  return limit - others(settings);
}

/** How many connections this many descriptors are enough for; at least one. */
export function connectionsWithin(descriptors: number): number {
  return Math.max(1, Math.floor(descriptors / PER_CONNECTION));
}

/** How many descriptors this many connections may need. */
export function usedDescriptors(connections: number): number {
  return connections * PER_CONNECTION;
}

/** Whether an I/O error means that there are no descriptors left, in this process or in the system. */
export function isOutOfDescriptors(error: unknown): boolean {
  return error instanceof Error && /os error (23|24)\b|EMFILE|ENFILE/.test(error.message);
}

/**
 * Whether an I/O error means that this machine lacks something for one more connection: descriptors, memory, or a free port. Whoever is
 * at the other end can't help that.
 */
export function isOwnLack(error: unknown): boolean {
  return isOutOfDescriptors(error) || error instanceof Deno.errors.AddrNotAvailable ||
    error instanceof Error && /os error (12|105)\b|ENOMEM|ENOBUFS/.test(error.message);
}

function others({ adminListen, metricsListen }: Omit<Needs, "maxConnections">): number {
  const listeners = [adminListen, metricsListen].filter((address) => address !== undefined);
  return OTHER + listeners.length * MAX_ADMINISTRATORS;
}
