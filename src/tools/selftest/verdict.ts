// The results of cases.

/** What a case does to a server: no harm, reach its limits, or try to exhaust it. */
export type CaseClass = "harmless" | "limit" | "exhaustion";

/** How binding a rule is (RFC 2119). */
export type Level = "MUST" | "SHOULD";

/** The result of a case; `error` if it could not be performed, `skip` if it does not apply. */
export type Result = "pass" | "warn" | "fail" | "info" | "skip" | "error";

/** All results, the worst last. */
export const RESULTS: readonly Result[] = ["pass", "info", "skip", "error", "warn", "fail"];

/** A result, and what was observed in words for people. The server's text is escaped when it is shown, not here. */
export interface Verdict {
  readonly result: Result;
  readonly observed: string;
}

/** A case that could not be performed, or does not apply; the message says why. */
export class Unperformable extends Error {
  override readonly name = "Unperformable";
  readonly result: "error" | "skip";

  constructor(message: string, result: "error" | "skip" = "error") {
    super(message);
    this.result = result;
  }
}

/** As it should be. */
export function pass(observed: string): Verdict {
  return { result: "pass", observed };
}

/** Not as it should be, but allowed or harmless. */
export function warn(observed: string): Verdict {
  return { result: "warn", observed };
}

/** A rule is broken. */
export function fail(observed: string): Verdict {
  return { result: "fail", observed };
}

/** Worth knowing, and neither right nor wrong. */
export function info(observed: string): Verdict {
  return { result: "info", observed };
}

/** The verdict for a broken rule of this level. */
export function broken(level: Level, observed: string): Verdict {
  return level === "MUST" ? fail(observed) : warn(observed);
}

/** The worst of some verdicts, the first of equals; there must be one. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((a, b) => RESULTS.indexOf(b.result) > RESULTS.indexOf(a.result) ? b : a);
}
