// What is done piece by piece until nothing is left, by one at a time.

/** Such work. */
export interface Work {
  readonly hasMore: () => boolean;
  readonly step: () => Promise<void>;
  /** Called in the very turn in which nothing was left, or a step rejected: what is to be done after that begins anew. */
  readonly onEnd: () => void;
}

/** Does all of it, beginning after this turn, so that what the rest of it adds goes along. Rejects as a step does. */
export async function workOff({ hasMore, step, onEnd }: Work): Promise<void> {
  await undefined;
  try {
    while (hasMore()) await step();
  } finally {
    onEnd();
  }
}
