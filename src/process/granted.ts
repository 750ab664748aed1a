// Variables of the environment that the program is permitted to read.

/** A variable, if the program may read it. */
export function readGranted(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * Whether Linux hands connections that wait for an ending process to another one on the same port
 * (net.ipv4.tcp_migrate_req); undefined if it is not known. The runtime may not read that, so the start task or the
 * executable's script does.
 */
export function isMigrated(): boolean | undefined {
  const value = readGranted("WSWARD_TCP_MIGRATE_REQ");
  return value === "0" ? false : value === "1" ? true : undefined;
}

/**
 * How many files may be open; `NaN` if that is not known. The runtime can't find out, so the start task or the
 * executable's script does.
 */
export function openFileLimit(): number {
  return Number(readGranted("WSWARD_OPEN_FILES") || NaN);
}
