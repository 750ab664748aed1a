// Variables of the environment, where the permission to read them was given.

/** A variable, if the program was given the permission to read it. */
export function readGranted(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}
