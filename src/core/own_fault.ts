// Faults of this program among what I/O throws.

/** Whether something thrown is an error of the language itself: no network, no file and no peer makes one. */
export function isOwnFault(error: unknown): boolean {
  return !(error instanceof Error) || error instanceof TypeError || error instanceof ReferenceError ||
    error instanceof RangeError || error instanceof SyntaxError;
}
