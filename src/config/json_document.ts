// Settings in JSON (RFC 8259): pairs with their lines. The only place that knows the JSON library.

import { type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import type { Document, Value } from "./document.ts";

/** Reads a file of one JSON object. Throws a `RangeError` if it is nested so deeply that the stack overflows. */
export function readJson(text: string): Document {
  const errors: ParseError[] = [];
  // Strict JSON: a file that only some programs can read is a trap.
  const tree = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  const lineOf = createLineCounter(text);
  const error = errors.toSorted((a, b) => a.offset - b.offset)[0];
  if (error === undefined && tree?.type !== "object") {
    return {
      entries: [],
      mistakes: [{ line: 1, text: "Cannot read it: it must be one object" }],
      isPartial: true,
    };
  }
  // What the library reads after an error is a guess.
  const end = error?.offset ?? text.length;
  const entries = (tree?.children ?? []).filter(({ offset, length }) => offset + length <= end)
    .flatMap(({ children: [key, value] = [] }) =>
      key === undefined || value === undefined
        ? []
        : [{ key: String(key.value), line: lineOf(key.offset), value: readValue(value, text, lineOf) }]
    );
  if (error === undefined) return { entries, mistakes: [], isPartial: false };
  const mistake = { line: lineOf(error.offset), text: `Cannot read it as JSON: ${describeError(error)}` };
  return { entries, mistakes: [mistake], isPartial: true };
}

function readValue(node: Node, text: string, lineOf: (offset: number) => number): Value {
  const { type, value, offset, length, children = [] } = node;
  return {
    line: lineOf(offset),
    source: text.slice(offset, offset + length),
    content: type === "array"
      ? children.map((item) => readValue(item, text, lineOf))
      : type === "object" || type === "null"
      ? undefined
      : value,
  };
}

/** Returns a function that gives the line of an offset; offsets must not decrease. */
function createLineCounter(text: string): (offset: number) => number {
  let line = 1;
  let end = text.indexOf("\n");
  return (offset) => {
    for (; end !== -1 && end < offset; end = text.indexOf("\n", end + 1)) line++;
    return line;
  };
}

// The library has names only: PropertyNameExpected.
function describeError({ error }: ParseError): string {
  return printParseErrorCode(error).replaceAll(/\B[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}
