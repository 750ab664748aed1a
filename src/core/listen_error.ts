// Why an address can't be listened on, in the same words everywhere.

/** Why `address`, such as `127.0.0.1:8765`, can't be listened on, to be put after a colon: `the address is in use`. */
export function describeListenError(error: unknown, address: string): string {
  if (error instanceof Deno.errors.AddrInUse) return "the address is in use";
  if (error instanceof Deno.errors.AddrNotAvailable) return "it is no address of this machine";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "permission denied: a port below 1024 is not for every user";
  }
  if (error instanceof Deno.errors.NotCapable) {
    return `permission was not granted; run with --allow-net=${address}`;
  }
  return error instanceof Error ? error.message.replace(/ \(os error \d+\)$/, "") : String(error);
}
