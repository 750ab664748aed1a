// A finding of the doctor.

/** The result of one check. */
export interface Finding {
  /** What was checked: `echo port`. */
  readonly name: string;
  /** A start goes on after a warning, but not after a failure. */
  readonly result: "ok" | "warning" | "failure";
  /** What was found, as a sentence fragment. */
  readonly state: string;
  /** What to do about it; absent if all is well. */
  readonly remedy?: string;
}
