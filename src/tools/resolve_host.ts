// Resolves the name of a host to its addresses.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { StartError } from "../core/errors.ts";
import { isLoopback, permissionHint } from "./target.ts";

/** All addresses of a host, each once; an address stands for itself. Throws {@linkcode StartError} if there is none. */
export async function resolveHost(hostname: string): Promise<readonly string[]> {
  if (isIP(hostname) !== 0) return [hostname];
  try {
    const found = await lookup(hostname, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotCapable ? permissionHint(hostname) : "there is no such host";
    throw new StartError(`Cannot find ${JSON.stringify(hostname)}: ${why}`, { cause });
  }
}

/** Whether all addresses of a host are this machine's. Throws {@linkcode StartError} if there is no such host. */
export async function isThisMachine(hostname: string): Promise<boolean> {
  return (await resolveHost(hostname)).every(isLoopback);
}
