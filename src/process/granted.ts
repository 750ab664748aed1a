// Variables of the environment, where the permission to read them was given.

/** A variable, if the program was given the permission to read it. */
export function readGranted(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * Whether Linux hands the connections that wait for a process which ends to another one on the same port
 * (net.ipv4.tcp_migrate_req); undefined if nobody says. The runtime may not read it, so whoever starts it may.
 */
export function isMigrated(): boolean | undefined {
  const value = readGranted("WSWARD_TCP_MIGRATE_REQ");
  return value === "0" ? false : value === "1" ? true : undefined;
}

/**
 * How many files may be open, `NaN` if nobody says. The runtime can't, so whoever starts it may: the executable's script, the start
 * task.
 */
export function openFileLimit(): number {
  return Number(readGranted("WSWARD_OPEN_FILES") || NaN);
}
