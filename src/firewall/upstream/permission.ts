// Checks the permission to connect to an upstream.

import { StartError } from "../../core/errors.ts";
import { parseUpstreamUrl } from "../../core/upstream_text.ts";

/**
 * Checks that the runtime permits connecting to an upstream, so that a start finds out and not the first client.
 *
 * @throws {StartError} when it may not
 */
export function checkMayConnect(url: string): void {
  const address = parseUpstreamUrl(url)!;
  if (address.kind === "unix") {
    const { path } = address;
    const isGranted = (["read", "write"] as const)
      .every((name) => Deno.permissions.querySync({ name, path }).state === "granted");
    if (isGranted) return;
  } else {
    const name = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
    if (Deno.permissions.querySync({ name: "net", host: `${name}:${address.port}` }).state === "granted") {
      return;
    }
  }
  throw new StartError(
    `Cannot use the upstream "${url}": permission was not granted; run with the flags that serve --print-permissions prints`,
  );
}
