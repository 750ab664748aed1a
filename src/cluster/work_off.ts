// Does work piece by piece until nothing is left, one piece at a time.

/** Work in pieces. */
export interface Work {
  readonly hasMore: () => boolean;
  readonly step: () => Promise<void>;
  /** Called in the same turn in which nothing was left, or a step rejected: later work begins anew. */
  readonly onEnd: () => void;
}

/**
 * Does all of it, beginning after this turn, so that what the rest of the turn adds is included. Rejects as a step
 * does.
 */
export async function workOff({ hasMore, step, onEnd }: Work): Promise<void> {
  await undefined;
  try {
    while (hasMore()) await step();
  } finally {
    onEnd();
  }
}
