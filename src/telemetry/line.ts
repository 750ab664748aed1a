// Turns a log record into one line that nobody outside can forge or colour.

import type { LogLevel } from "./event_declaration.ts";

/** A value of a field: a number, a flag or a short text. */
export type Value = string | number | boolean;

/** A record before it is formatted. `time`, `event` and `text` are ours; the fields may come from a peer. */
export interface LineRecord {
  readonly time: string;
  readonly level: LogLevel;
  readonly event: string;
  readonly text: string;
  /** A value that is undefined is left out. */
  readonly fields: Readonly<Record<string, Value | undefined>>;
}

/** How much of a value is shown, in UTF-16 code units. Where it was cut off, `...` follows the quote. */
export const MAX_VALUE_LENGTH = 256;

/** How much of a stack is shown: it is ours, and a short part of it would say nothing. */
export const MAX_STACK_LENGTH = 4096;

const BARE = /^[A-Za-z0-9._:/@-]+$/;

// All of C (C0, C1, DEL, bidi and zero-width controls, lone surrogates, unassigned) and the two Unicode line breaks.
const UNSAFE = /["\\\p{C}\p{Zl}\p{Zp}]/gu;

/** How a JWT begins: base64url for `{"`. */
const TOKEN_START = "eyJ";

/**
 * One line without its line break: `time LEVEL event text key=value ...`, without the text if it only repeats the
 * event. `time`, `event` and `text` are taken as they are; keys and values are escaped.
 *
 * @param paint puts a part of ours, or a number, in the colours of a terminal; nothing is painted if left out
 */
export function formatLine(record: LineRecord, paint = plain): string {
  const { level, event, text } = record;
  let line = `${paint(record.time, DIM)} ${paint(level.toUpperCase(), LEVEL_STYLES[level])} ${
    paint(event, BOLD)
  }`;
  if (saysMore(event, text)) line += ` ${text}`;
  for (const [key, value] of Object.entries(record.fields)) {
    if (value === undefined) continue;
    const shown = formatValue(value, lengthOf(key));
    line += ` ${formatValue(key)}=${CODES.has(key) ? paint(shown, CYAN) : shown}`;
  }
  return line;
}

/** Puts a text between the escape sequences of a style: ECMA-48 §8.3.117, Select Graphic Rendition. */
export function inColour(text: string, style: string): string {
  return `\x1b[${style}m${text}\x1b[0m`;
}

function plain(text: string, _style: string): string {
  return text;
}

const BOLD = "1";
const DIM = "2";
const CYAN = "36";
const LEVEL_STYLES: Readonly<Record<LogLevel, string>> = {
  debug: "2",
  info: "32",
  warning: "33",
  error: "31",
  fatal: "1;31",
};
/** The fields that say how something ended. */
const CODES: ReadonlySet<string> = new Set(["code", "status"]);

/** The results for events seen so far, which are few. */
const told = new Map<string, boolean>();
const EMPTY_WORDS: ReadonlySet<string> = new Set(["a", "an", "the", "was"]);

/** Whether a text has a word that the name of its event does not have. */
function saysMore(event: string, text: string): boolean {
  let answer = told.get(event);
  if (answer === undefined) {
    const known = event.split(/[._]/);
    answer = text.toLowerCase().split(" ").some((word) => !EMPTY_WORDS.has(word) && !known.includes(word));
    told.set(event, answer);
  }
  return answer;
}

/**
 * One line of JSON without its line break: `time`, `level`, `event`, `message`, then the fields with their types. What
 * was cut off a text is marked by `...` at its end; a number that JSON can't hold is null.
 */
export function formatJsonLine(record: LineRecord): string {
  const { time, level, event, text } = record;
  let line = JSON.stringify({ time, level, event, message: text }).slice(0, -1);
  for (const [key, value] of Object.entries(record.fields)) {
    if (value !== undefined) line += `,${quote(key)}:${formatJsonValue(value, lengthOf(key))}`;
  }
  return line + "}";
}

/**
 * A value as it stands in a log line: bare if it is made of `A-Za-z0-9._:/@-` only, else as a JSON string in which
 * everything that could move a cursor, break a line or reorder text is escaped. What looks like a JWT becomes `[token]`.
 */
export function formatValue(value: Value, maxLength = MAX_VALUE_LENGTH): string {
  const { text, isCut } = shorten(String(value), maxLength);
  if (!isCut && BARE.test(text)) return text;
  return quote(text) + (isCut ? "..." : "");
}

function lengthOf(key: string): number {
  return key === "stack" ? MAX_STACK_LENGTH : MAX_VALUE_LENGTH;
}

function formatJsonValue(value: Value, maxLength: number): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const { text, isCut } = shorten(value, maxLength);
  return quote(isCut ? `${text}...` : text);
}

/** A JSON string in which everything is escaped that could move a cursor, break a line or reorder text. */
function quote(text: string): string {
  return `"${text.replace(UNSAFE, escapeCharacter)}"`;
}

function shorten(whole: string, maxLength: number): { text: string; isCut: boolean } {
  const isCut = whole.length > maxLength;
  return { text: hideTokens(isCut ? whole.slice(0, maxLength) : whole, isCut), isCut };
}

/** Replaces what looks like a JWT, three parts with dots between them, also one of which the end has been cut off. */
export function hideTokens(text: string, isCut = false): string {
  let hidden = "";
  let done = 0;
  for (let start = text.indexOf(TOKEN_START); start >= 0; start = text.indexOf(TOKEN_START, done)) {
    let dots = 0;
    let end = start;
    for (; end < text.length; end++) {
      if (text[end] === ".") {
        if (++dots > 2) break;
      } else if (!isTokenCharacter(text.charCodeAt(end))) break;
    }
    const isToken = dots >= 2 || (isCut && end === text.length);
    hidden += text.slice(done, start) + (isToken ? "[token]" : text.slice(start, end));
    // Nothing that begins within what was passed over can have more dots.
    done = end;
  }
  return hidden + text.slice(done);
}

/** A to Z, a to z, 0 to 9, `-` and `_`. */
function isTokenCharacter(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) ||
    code === 45 || code === 95;
}

function escapeCharacter(character: string): string {
  switch (character) {
    case '"':
    case "\\":
      return `\\${character}`;
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
  }
  // By code unit, because JSON writes a character beyond U+FFFF as two.
  let escaped = "";
  for (let i = 0; i < character.length; i++) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  }
  return escaped;
}
