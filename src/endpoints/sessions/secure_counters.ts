// What the secure endpoint counts: what became of tokens, how long that took, and how long sessions lived.

import type { Verifier } from "../../auth/token.ts";
import { Histogram, LATENCY_BOUNDS, LIFETIME_BOUNDS } from "../../telemetry/histogram.ts";

/** Counts from when it is made. */
export class SecureCounters {
  /** Decisions about peers by result: `ok`, or in snake case why not, a closed set. */
  readonly authentications = new Map<string, number>();
  /** How long the verification of a token took, in seconds, with the wait for its turn. */
  readonly verifications = new Histogram(LATENCY_BOUNDS);
  /** Lifetimes of ended sessions, in seconds. */
  readonly lifetimes = new Histogram(LIFETIME_BOUNDS);

  /** Counts a decision; `why` is one of our own fixed phrases, never a peer's words. */
  authentication(why: string): void {
    const result = why.toLowerCase().replace(/[^a-z]+/g, "_");
    this.authentications.set(result, (this.authentications.get(result) ?? 0) + 1);
  }

  /** A verifier that does what the given one does, and whose time is counted. */
  timed(verifier: Verifier): Verifier {
    return {
      verify: async (token) => {
        const startedMs = performance.now();
        const verification = await verifier.verify(token);
        this.verifications.observe((performance.now() - startedMs) / 1000);
        return verification;
      },
    };
  }
}
