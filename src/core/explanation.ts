// What is said about a code, a rule or an event in the reference and by `wsward explain`.

import type { SettingName } from "./settings/declarations.ts";

/** Why something happens, and what can be done about it; plain text, each in a few words without a full stop. */
export interface Explanation {
  /** What makes it happen here. */
  readonly cause: string;
  /** The settings that govern it, the most direct one first; none if nothing does. */
  readonly settings?: readonly SettingName[];
}
