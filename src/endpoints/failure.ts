// Describes a caught failure for the log, without what a peer sent.

import { describeFault } from "../telemetry/fault.ts";

/** Long enough for our own messages; a runtime's message may quote its whole input. */
const MESSAGE_LENGTH_LIMIT = 200;

/** A failure for the log. */
export interface FailureFields {
  /** The error's class, `"TypeError"`; the JavaScript type of what was thrown if it is no `Error`. */
  readonly error: string;
  /** The error's message without what it quotes, at most 200 characters; empty if what was thrown is not an `Error`. */
  readonly detail: string;
  /** Where it was thrown; undefined if that is not known. */
  readonly stack?: string | undefined;
}

/**
 * Describes whatever was thrown. Never throws. Messages of the runtime quote their input (`"hello" is not valid JSON`), so
 * everything from the first to the last quotation mark is left out.
 */
export function describeFailure(failure: unknown): FailureFields {
  if (!(failure instanceof Error)) return { error: typeof failure, detail: "" };
  try {
    const message = String(failure.message).replace(/["'`].*["'`]/s, '"…"');
    const detail = message.slice(0, MESSAGE_LENGTH_LIMIT);
    return { error: String(failure.name), detail, stack: describeFault(failure).stack };
  } catch {
    // The properties of a thrown object can be getters that throw.
    return { error: "Error", detail: "" };
  }
}
