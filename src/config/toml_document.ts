// Settings in TOML (toml.io): pairs with their lines. The only place that knows the TOML library.

import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import type { Document, Entry, Mistake, Value } from "./document.ts";

/**
 * Strings, comments and brackets decide whether a statement ends with its line. An unclosed string is matched to its
 * possible end: otherwise each of its quotes would be tried as a beginning.
 */
const TOKENS =
  /"""(?:\\[^]|[^\\])*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|#.*|[[\]{}\n]/g;

/**
 * Reads a file of pairs. Each statement is read by itself, so that a wrong one, or a repeated key, does not hide the
 * others. Throws a `RangeError` if a value is nested so deeply that the stack overflows.
 */
export function readToml(text: string): Document {
  const entries: Entry[] = [];
  const mistakes: Mistake[] = [];
  let isPartial = false;
  let isInTable = false;
  // The library loses the text of a zero at the very end.
  for (const { source, line } of splitStatements(`${text}\n`)) {
    try {
      for (const node of parseTOML(source).body[0].body) {
        const key = node.key.keys.map((part) => part.type === "TOMLBare" ? part.name : part.value).join(".");
        if (node.type === "TOMLTable") {
          isInTable = isPartial = true;
          mistakes.push({
            line,
            text: `Cannot use the table ${JSON.stringify(key)}: settings stand in no table`,
          });
        } else if (!isInTable) {
          entries.push({ key, line, value: readValue(node.value, source, line) });
        }
      }
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      isPartial = true;
      const why = error.message.charAt(0).toLowerCase() + error.message.slice(1);
      // What is missing at the end is missing in the last line, not after it.
      const lineInSource = Math.min(error.lineNumber, source.trimEnd().split("\n").length);
      mistakes.push({ line: line + lineInSource - 1, text: `Cannot read it as TOML: ${why}` });
    }
  }
  return { entries, mistakes, isPartial };
}

/** The statements of a file, each with the line that it begins in; most are one line. */
function splitStatements(text: string): { readonly source: string; readonly line: number }[] {
  const statements = [];
  let depth = 0;
  let line = 1;
  let start = 0;
  let startLine = 1;
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    else if (token !== "\n") line += token.split("\n").length - 1;
    else {
      line++;
      if (depth > 0) continue;
      statements.push({ source: text.slice(start, index + 1), line: startLine });
      depth = 0;
      start = index + 1;
      startLine = line;
    }
  }
  // An unclosed bracket or string takes the rest with it.
  if (start < text.length) statements.push({ source: text.slice(start), line: startLine });
  return statements;
}

function readValue(node: AST.TOMLContentNode, source: string, firstLine: number): Value {
  return {
    line: firstLine + node.loc.start.line - 1,
    source: source.slice(...node.range),
    content: readContent(node, source, firstLine),
  };
}

function readContent(node: AST.TOMLContentNode, source: string, firstLine: number): Value["content"] {
  if (node.type === "TOMLArray") return node.elements.map((item) => readValue(item, source, firstLine));
  if (node.type === "TOMLInlineTable" || node.value instanceof Date) return undefined;
  return node.value;
}
