// What a case is.

import type { Probe } from "./probe.ts";
import type { CaseClass, Level, Verdict } from "./verdict.ts";

/** One thing that is tried. */
export interface Case {
  /** In kebab-case, never the same for two. */
  readonly id: string;
  readonly group: string;
  readonly class: CaseClass;
  /** Where the rule is: `RFC 6455 §5.1`. */
  readonly section: string;
  /** How binding it is; a broken MUST is a fail, all else a warning. */
  readonly level: Level;
  readonly sends: string;
  /** What is right. */
  readonly right: string;
  /** Whether it mostly waits, so that it is run beside others of its kind. */
  readonly isSlow?: boolean;
  /** Performs it. Throws {@linkcode Unperformable} where that can't be done. */
  run(probe: Probe): Promise<Verdict>;
}
