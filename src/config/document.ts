// A settings file as data, in either language.

/** The pairs at the top of a file, and its syntax errors. */
export interface Document {
  readonly entries: readonly Entry[];
  readonly mistakes: readonly Mistake[];
  /** Whether there may be pairs that could not be read. */
  readonly isPartial: boolean;
}

/** One pair of a key and a value, in the order of the file. */
export interface Entry {
  readonly key: string;
  /** Where the key is, from 1. */
  readonly line: number;
  readonly value: Value;
}

/** A value, or an item of one. */
export interface Value {
  /** Where it is, from 1. */
  readonly line: number;
  /** As it is written in the file. */
  readonly source: string;
  /** The value; `undefined` for what no setting can be, such as a date or a table. */
  readonly content: string | number | boolean | readonly Value[] | undefined;
}

/** Something wrong, for people: `text` says what, without the line. */
export interface Mistake {
  readonly line: number;
  readonly text: string;
}
