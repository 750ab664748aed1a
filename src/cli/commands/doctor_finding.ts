// What the doctor says about one thing.

/** What came of a look at one thing. */
export interface Finding {
  /** What was looked at: `echo port`. */
  readonly name: string;
  /** A start would go on with a warning, and not with a failure. */
  readonly result: "ok" | "warning" | "failure";
  /** How it is, as a sentence fragment. */
  readonly state: string;
  /** What to do about it; absent where all is well. */
  readonly remedy?: string;
}
