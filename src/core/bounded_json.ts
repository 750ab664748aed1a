// Reads JSON (RFC 8259) from strangers: in linear time, bounded in what it makes, and without rounding a number.
//
// `JSON.parse` puts each name and each short string into one table of the whole process, under a hash that the sender can
// choose to collide: 70,000 strings took it a second, and what earlier messages left in the table makes later ones slower.
// Here strings are pieces of the text and objects are maps of their own, so nothing that was sent gets into that table.

/** The limits on one text. */
export interface JsonLimits {
  /** How deep objects and lists may be nested in each other; at most a few hundred. */
  readonly maxDepth: number;
  /** How many values there may be in all, objects and lists among them. */
  readonly maxValues: number;
  /**
   * How many different names all objects may have together: the cost of names that collide grows with the square of
   * their number.
   */
  readonly maxNames: number;
}

/** A number whose text is not what JavaScript would write for it: `1.0`, `9007199254740993`. `JSON.stringify` writes it as it was. */
export interface RawNumber {
  readonly rawJSON: string;
}

/** The members of an object, in their order. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** What a text holds. */
export type JsonValue = null | boolean | string | number | RawNumber | readonly JsonValue[] | JsonObject;

/** A value, or what is wrong with the text, as a fixed phrase without any part of it. */
export type JsonReading =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly fault: string };

// The library's types do not know them yet.
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): boolean;
};

/**
 * Reads JSON. Never throws. Refuses what is not JSON, what is over the limits, and a name that occurs twice in one
 * object, because two readers could understand that differently.
 */
export function parseBoundedJson(text: string, limits: JsonLimits): JsonReading {
  return new Reader(text, limits).read();
}

/** Whether `value` is an object that {@linkcode parseBoundedJson} read. */
export function isJsonObject(value: unknown): value is JsonObject {
  return value instanceof Map;
}

/** Whether `value` is a number that was kept as it was written. */
export function isRawNumber(value: unknown): value is RawNumber {
  return isRawJSON(value);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What the letter after a backslash stands for; `u` is a case of its own. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

// Nothing in it can match in two ways, so it never backtracks.
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX = /[0-9A-Fa-f]{4}/y;
const SHORT_INTEGER = /^(?:0|-?[1-9][0-9]{0,14})$/;

const LITERALS = [["true", true], ["false", false], ["null", null]] as const;

/** Reads one text. Its methods return undefined when they have noted a fault. */
class Reader {
  readonly #text: string;
  readonly #limits: JsonLimits;
  readonly #names = new Set<string>();
  #at = 0;
  #values = 0;
  #fault = "not JSON";

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  read(): JsonReading {
    const value = this.#value(0);
    this.#skipSpace();
    if (value === undefined || this.#at < this.#text.length) return { ok: false, fault: this.#fault };
    return { ok: true, value };
  }

  #value(depth: number): JsonValue | undefined {
    if (++this.#values > this.#limits.maxValues) return this.#refuse("too many values");
    switch (this.#skipSpace()) {
      case QUOTE:
        return this.#string();
      case OPEN_OBJECT:
        return this.#object(depth + 1);
      case OPEN_LIST:
        return this.#list(depth + 1);
      default:
        return this.#literal();
    }
  }

  #object(depth: number): JsonObject | undefined {
    if (depth > this.#limits.maxDepth) return this.#refuse("nested too deeply");
    const members = new Map<string, JsonValue>();
    this.#at++;
    if (this.#take(CLOSE_OBJECT)) return members;
    do {
      if (this.#skipSpace() !== QUOTE) return undefined;
      const name = this.#string();
      if (name === undefined || !this.#take(COLON)) return undefined;
      if (members.has(name)) return this.#refuse("a name occurs twice");
      if (this.#names.add(name).size > this.#limits.maxNames) return this.#refuse("too many names");
      const value = this.#value(depth);
      if (value === undefined) return undefined;
      members.set(name, value);
    } while (this.#take(COMMA));
    return this.#take(CLOSE_OBJECT) ? members : undefined;
  }

  #list(depth: number): JsonValue[] | undefined {
    if (depth > this.#limits.maxDepth) return this.#refuse("nested too deeply");
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#take(CLOSE_LIST)) return items;
    do {
      const value = this.#value(depth);
      if (value === undefined) return undefined;
      items.push(value);
    } while (this.#take(COMMA));
    return this.#take(CLOSE_LIST) ? items : undefined;
  }

  #string(): string | undefined {
    const start = ++this.#at;
    const code = this.#skipPlain();
    if (code === QUOTE) return this.#text.slice(start, this.#at++);
    return code === BACKSLASH ? this.#escaped(start) : undefined;
  }

  /** Reads the rest of a string from its first backslash on. */
  #escaped(start: number): string | undefined {
    const text = this.#text;
    let result = text.slice(start, this.#at);
    for (;;) {
      const letter = text.charAt(this.#at + 1);
      let meant = ESCAPES.get(letter);
      this.#at += 2;
      if (letter === "u") {
        HEX.lastIndex = this.#at;
        if (!HEX.test(text)) return undefined;
        meant = String.fromCharCode(parseInt(text.slice(this.#at, this.#at + 4), 16));
        this.#at += 4;
      }
      if (meant === undefined) return undefined;
      const from = this.#at;
      const code = this.#skipPlain();
      result += meant + text.slice(from, this.#at);
      if (code === BACKSLASH) continue;
      if (code !== QUOTE) return undefined;
      this.#at++;
      return result;
    }
  }

  /** Skips the plain characters of a string and returns the one after them: NaN at the end of the text. */
  #skipPlain(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code !== QUOTE && code !== BACKSLASH && code >= 0x20) code = text.charCodeAt(++at);
    this.#at = at;
    return code;
  }

  #literal(): JsonValue | undefined {
    const text = this.#text;
    NUMBER.lastIndex = this.#at;
    if (NUMBER.test(text)) {
      const source = text.slice(this.#at, NUMBER.lastIndex);
      this.#at = NUMBER.lastIndex;
      return readNumber(source);
    }
    for (const [word, value] of LITERALS) {
      if (!text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return undefined;
  }

  /** Skips white space and returns the character after it: NaN at the end of the text. */
  #skipSpace(): number {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      code = this.#text.charCodeAt(++this.#at);
    }
    return code;
  }

  #take(wanted: number): boolean {
    if (this.#skipSpace() !== wanted) return false;
    this.#at++;
    return true;
  }

  #refuse(fault: string): undefined {
    this.#fault = fault;
  }
}

function readNumber(source: string): number | RawNumber {
  if (SHORT_INTEGER.test(source)) return Number(source);
  const value = Number(source);
  return String(value) === source ? value : rawJSON(source);
}

/**
 * The number that was written, if a double holds exactly it, however it was written (`1.50`, `15e-1`); undefined if it
 * would be rounded.
 */
export function exactNumber({ rawJSON: source }: RawNumber): number | undefined {
  const value = Number(source);
  if (!Number.isFinite(value)) return undefined;
  return decimalOf(source) === decimalOf(String(value)) ? value : undefined;
}

/** A number's text in a form that is the same for the same number: its sign, its digits, and the power of ten after them. */
function decimalOf(source: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(source) ?? [];
  const all = whole + fraction;
  let start = 0;
  let end = all.length;
  while (start < end && all[start] === "0") start++;
  while (end > start && all[end - 1] === "0") end--;
  // JavaScript writes no sign for it.
  if (start === end) return "0";
  return `${sign}${all.slice(start, end)}e${Number(exponent) - fraction.length + all.length - end}`;
}
