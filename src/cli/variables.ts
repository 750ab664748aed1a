// Finds variables that look like settings but are not.

import { UsageError } from "../core/errors.ts";
import { SETTING_NAMES } from "../core/settings/declarations.ts";
import { CONFIG_LABELS, variableOf } from "../core/settings/settings.ts";

/** Variables of commands, of the self-extracting executable, and (prefixes) of tests. */
const OTHERS = [
  CONFIG_LABELS.variable,
  "WSWARD_ADMIN_URL",
  "WSWARD_ADMIN_TOKEN_FILE",
  "WSWARD_CACHE_DIR",
  "WSWARD_VARIABLES",
  "WSWARD_OPEN_FILES",
  "WSWARD_TCP_MIGRATE_REQ",
];
const TEST_PREFIX = "WSWARD_TEST_";

/**
 * Refuses variables that are named like settings but are not. That needs the permission to list variables, or the
 * self-extracting executable, which passes on a list; without either it does nothing.
 *
 * @throws {UsageError} for the first one, with the one that was probably meant
 */
export async function refuseUnknownVariables(): Promise<void> {
  const known = new Set([...SETTING_NAMES.map(variableOf), ...OTHERS]);
  const unknown = setVariables().find((name) =>
    name.startsWith("WSWARD_") && !name.startsWith(TEST_PREFIX) && !known.has(name)
  );
  if (unknown === undefined) return;
  const { findNearest } = await import("../core/nearest.ts");
  const nearest = findNearest([...known], unknown, 4);
  const hint = nearest === undefined ? "wsward serve --help lists them" : `did you mean ${nearest}?`;
  throw new UsageError(`Cannot use the variable ${unknown}: it is no setting, ${hint}`);
}

function setVariables(): readonly string[] {
  const { state } = Deno.permissions.querySync({ name: "env" });
  if (state === "granted") return Object.keys(Deno.env.toObject());
  return (Deno.env.get("WSWARD_VARIABLES") ?? "").split(" ");
}
