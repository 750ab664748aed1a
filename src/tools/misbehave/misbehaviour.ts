// What a part of a path is: its name, its parameter, and what it does to a connection.

import type { ConnectionUnderTest } from "./connection_under_test.ts";

/** A value in a path. */
export interface Parameter {
  /** What stands for it in the catalogue: `N`. */
  readonly placeholder: string;
  /** What it must be, worded to follow "it must be". */
  readonly rule: string;
  /** How many segments of the path it takes: two for a rate, `1000` and `s`. */
  readonly segments: number;
  /** The value, or undefined if the text is none. */
  parse(text: string): number | undefined;
}

/** One thing that the server can do. */
export interface Misbehaviour {
  /** The segments that name it: `bad/rsv1`. */
  readonly name: string;
  readonly parameter?: Parameter;
  /** The heading that it stands under. */
  readonly group: "before the 101" | "data" | "control frames" | "illegal frames" | "closing" | "order";
  /** What it does, in a few words without a full stop. */
  readonly help: string;
  /** A path that shows it. */
  readonly example: string;
  /** Does it; `value` is NaN where there is no parameter. */
  run(connection: ConnectionUnderTest, value: number): Promise<void> | void;
}

/** Declares the misbehaviours of one group, in order. */
export function group(
  name: Misbehaviour["group"],
  members: readonly (readonly [
    name: string,
    help: string,
    run: Misbehaviour["run"],
    parameter?: Parameter,
    example?: string,
  ])[],
): readonly Misbehaviour[] {
  return members.map(([word, help, run, parameter, example]) => ({
    name: word,
    group: name,
    help,
    run,
    example: `/${word}${example === undefined ? "" : `/${example}`}`,
    ...(parameter === undefined ? {} : { parameter }),
  }));
}
