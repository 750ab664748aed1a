// Whether the program is ready, and if not, why.

/**
 * The reasons why a part is not ready, each a few words without a full stop; empty when it is. Must not throw or wait.
 */
export type ReadinessCheck = () => readonly string[];

/** The checks of all parts, asked in the order in which they were added. */
export class Readiness {
  readonly #checks: ReadinessCheck[] = [];
  readonly #warnings: ReadinessCheck[] = [];

  /** Adds the check of one part. */
  add(check: ReadinessCheck): void {
    this.#checks.push(check);
  }

  /** Adds a check whose reasons should be known, though the program is ready all the same. */
  addWarning(check: ReadinessCheck): void {
    this.#warnings.push(check);
  }

  /** The reasons of those checks. */
  warnings(): readonly string[] {
    return this.#warnings.flatMap((check) => check());
  }

  /** The reasons why the program is not ready; empty when it is. */
  problems(): readonly string[] {
    return this.#checks.flatMap((check) => check());
  }
}
