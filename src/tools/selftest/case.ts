// The shape of a case.

import type { Probe } from "./probe.ts";
import type { CaseClass, Level, Verdict } from "./verdict.ts";

/** One test of a server: what is sent, what is right, and how it is performed. */
export interface Case {
  /** Unique, in kebab-case. */
  readonly id: string;
  readonly group: string;
  readonly class: CaseClass;
  /** Where the rule is: `RFC 6455 §5.1`. */
  readonly section: string;
  /** How binding the rule is: accepting what breaks a MUST is a fail, a SHOULD a warning; to hang is always a fail. */
  readonly level: Level;
  readonly sends: string;
  /** The right reaction, in words. */
  readonly right: string;
  /** Whether it mostly waits, so that it is run at the same time as other slow cases. */
  readonly isSlow?: boolean;
  /** Performs it. Throws {@linkcode Unperformable} where that can't be done. */
  run(probe: Probe): Promise<Verdict>;
}
