// Whether the runtime lets the program connect to an upstream.

import { StartError } from "../../core/errors.ts";
import { parseUpstreamUrl } from "../../core/upstream_text.ts";

/**
 * Asks the runtime whether an upstream may be connected to, so that a start and not the first client finds out.
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
