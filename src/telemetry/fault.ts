// A fault of the program for the log: what was thrown and where, without what a peer sent.

/** How many frames of a stack are recorded: longer values of a record are cut off. */
const MAX_FRAMES = 5;
const MAX_STACK_LENGTH = 8192;
/** A frame as V8 writes it: the function, if it has a name, and the place. */
const FRAME = /^ *at (?:(?:async )?([^ ]+) .*\/|.*\/|)([^/ ()]+:\d+:\d+)\)?$/;

/** A fault as fields of a record. */
export interface FaultFields {
  /** The class, and the message without what it quotes, because that may be a peer's. */
  readonly error: string;
  /** `function file:line:column`, innermost first; undefined where there is none. */
  readonly stack: string | undefined;
}

/** Describes whatever was thrown. Never throws. */
export function describeFault(fault: unknown): FaultFields {
  if (!(fault instanceof Error)) return { error: typeof fault, stack: undefined };
  try {
    const { name, message, stack } = fault;
    return {
      error: `${name}: ${withoutQuotes(message)}`,
      stack: shorten(String(stack).slice(0, MAX_STACK_LENGTH)),
    };
  } catch {
    // The properties of a thrown object can be getters that throw.
    return { error: "Error", stack: undefined };
  }
}

/** Cuts out everything from the first to the last quotation mark: messages of the runtime quote their input. */
function withoutQuotes(message: string): string {
  const first = message.search(/["'`]/);
  if (first < 0) return message;
  const last = Math.max(...['"', "'", "`"].map((mark) => message.lastIndexOf(mark)));
  return `${message.slice(0, first)}"…"${message.slice(last + 1)}`;
}

function shorten(stack: string): string | undefined {
  const frames: string[] = [];
  for (const line of stack.split("\n")) {
    const [, name, place] = FRAME.exec(line) ?? [];
    if (place !== undefined) frames.push(name === undefined ? place : `${name} ${place}`);
    if (frames.length === MAX_FRAMES) break;
  }
  return frames.length === 0 ? undefined : frames.join(" < ");
}
