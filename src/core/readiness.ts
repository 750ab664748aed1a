// Whether the program is ready, as all of its parts see it.

/** Why a part is not ready, each reason a few words without a full stop; empty when it is. Must not throw or wait. */
export type ReadinessCheck = () => readonly string[];

/** The checks of all parts, asked in the order in which they were added. */
export class Readiness {
  readonly #checks: ReadinessCheck[] = [];
  readonly #warnings: ReadinessCheck[] = [];

  /** Adds the check of one part. */
  add(check: ReadinessCheck): void {
    this.#checks.push(check);
  }

  /** Adds a check of what does not keep it from being ready, and should be known all the same. */
  addWarning(check: ReadinessCheck): void {
    this.#warnings.push(check);
  }

  /** All that should be known. */
  warnings(): readonly string[] {
    return this.#warnings.flatMap((check) => check());
  }

  /** Every reason of every part; empty when the program is ready. */
  problems(): readonly string[] {
    return this.#checks.flatMap((check) => check());
  }
}
