// Variables of the environment, where the permission to read them was given.

/** A variable, if the program was given the permission to read it. */
export function readGranted(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * How many files may be open, `NaN` if nobody says. The runtime can't, so whoever starts it may: the executable's script, the start
 * task.
 */
export function openFileLimit(): number {
  return Number(readGranted("WSWARD_OPEN_FILES") || NaN);
}
