// What the secure endpoint counts: results of tokens, how long they took, and how long sessions lived.

import type { Verifier } from "../../auth/token.ts";
import { Histogram, LATENCY_BOUNDS, LIFETIME_BOUNDS } from "../../telemetry/histogram.ts";

/** Counts from when it is made. */
export class SecureCounters {
  /** Authentications by result: `ok`, or why not, in snake case; a closed set. */
  readonly authentications = new Map<string, number>();
  /** How long the verification of a token took, in seconds, including the wait for its turn. */
  readonly verifications = new Histogram(LATENCY_BOUNDS);
  /** Lifetimes of ended sessions, in seconds. */
  readonly lifetimes = new Histogram(LIFETIME_BOUNDS);

  /** Counts a decision; `why` is one of our own fixed phrases, never a peer's words. */
  authentication(why: string): void {
    const result = why.toLowerCase().replace(/[^a-z]+/g, "_");
    this.authentications.set(result, (this.authentications.get(result) ?? 0) + 1);
  }

  /** Wraps a verifier, and counts its time. */
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
