// Reads replies of Redis (RESP3) from bytes as they come: looks at each byte once, and everything has a limit.

/** What Redis answers: a map is a list of its keys and values by turns, a set is a list. */
export type Reply = string | number | boolean | null | RedisError | readonly Reply[];

/** An error that Redis answered with; never thrown, and never closes anything by itself. */
export class RedisError {
  /** The first word in capitals: `WRONGTYPE`, `NOSCRIPT`, `MOVED`. */
  readonly code: string;
  readonly message: string;

  constructor(text: string) {
    // Before version 7, the error that stopped a script is inside another error.
    const [, inner] = /^ERR Error running script .*: -([A-Z]{1,32}) /.exec(text) ?? [];
    this.code = inner ?? /^[A-Z]{1,32}(?= |$)/.exec(text)?.[0] ?? "ERR";
    this.message = text;
  }
}

/** What came is not RESP3, or over the limits. */
export class ReplyFormatError extends Error {
  override readonly name = "ReplyFormatError";
}

/** What a reply may be at most. */
export interface ReplyLimits {
  /** Bytes of a whole reply on the wire. */
  readonly maxSize: number;
  /** Lists within lists. */
  readonly maxDepth: number;
  /** Items of one list; a map has two for each entry. */
  readonly maxItems: number;
}

const LIMITS: ReplyLimits = { maxSize: 16 * 1024 * 1024, maxDepth: 8, maxItems: 100_000 };

/** The longest line: a number, a size, a short text or an error. */
const MAX_LINE_SIZE = 16 * 1024;
const FIRST_BULK_SIZE = 64 * 1024;
const CR = 13;
const LF = 10;

/** A list that is not complete yet. */
interface OpenList {
  readonly items: Reply[];
  readonly length: number;
  readonly isPush: boolean;
  /** Whether it is an attribute of the next reply, and is dropped. */
  readonly isAttribute: boolean;
}

/** A text that is not complete yet, its CR LF included. */
interface OpenBulk {
  bytes: Uint8Array<ArrayBuffer>;
  size: number;
  readonly wanted: number;
  /** The RESP3 type: text, an error, or text after a format of four bytes. */
  readonly type: string;
}

/** Takes the bytes of one connection, in any pieces, and passes on the replies. */
export class ReplyReader {
  readonly #onReply: (reply: Reply) => void;
  readonly #onPush: (items: readonly Reply[]) => void;
  readonly #limits: ReplyLimits;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #line = new Uint8Array(MAX_LINE_SIZE);
  #lineSize = 0;
  #bulk: OpenBulk | undefined;
  readonly #open: OpenList[] = [];
  /** Bytes of the reply that is being read. */
  #size = 0;

  /** @param onPush is called with what Redis sends by itself, such as messages of a channel. */
  constructor(
    onReply: (reply: Reply) => void,
    onPush: (items: readonly Reply[]) => void,
    limits: ReplyLimits = LIMITS,
  ) {
    this.#onReply = onReply;
    this.#onPush = onPush;
    this.#limits = limits;
  }

  /**
   * Takes bytes, which stay the caller's.
   *
   * @throws {ReplyFormatError} when it can't be understood: nothing that follows can be, either
   */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at = this.#bulk === undefined ? this.#takeLine(bytes, at) : this.#takeBulk(this.#bulk, bytes, at);
    }
  }

  #grow(bytes: number): void {
    this.#size += bytes;
    if (this.#size > this.#limits.maxSize) {
      throw new ReplyFormatError(`a reply has more than ${this.#limits.maxSize} bytes`);
    }
  }

  #takeLine(bytes: Uint8Array, start: number): number {
    const lf = bytes.indexOf(LF, start);
    const end = lf === -1 ? bytes.length : lf + 1;
    if (this.#lineSize + end - start > MAX_LINE_SIZE) {
      throw new ReplyFormatError(`a line has more than ${MAX_LINE_SIZE} bytes`);
    }
    this.#grow(end - start);
    this.#line.set(bytes.subarray(start, end), this.#lineSize);
    this.#lineSize += end - start;
    if (lf === -1) return end;
    const size = this.#lineSize;
    this.#lineSize = 0;
    if (size < 3 || this.#line[size - 2] !== CR) throw new ReplyFormatError("a line does not end with CR LF");
    const text = this.#decoder.decode(this.#line.subarray(1, size - 2));
    this.#header(String.fromCharCode(this.#line[0]!), text);
    return end;
  }

  #header(type: string, text: string): void {
    switch (type) {
      case "+":
        return this.#add(text);
      case "-":
        return this.#add(new RedisError(text));
      case ":":
      case "(":
        return this.#add(Number(wholeNumber(text)));
      case ",":
        return this.#add(Number(text.replace("inf", "Infinity")));
      case "#":
        if (text !== "t" && text !== "f") throw new ReplyFormatError("a boolean is t or f");
        return this.#add(text === "t");
      case "_":
        if (text !== "") throw new ReplyFormatError("a null has no content");
        return this.#add(null);
      case "$":
      case "!":
      case "=":
        if (type === "$" && text === "-1") return this.#add(null);
        return this.#beginBulk(type, length(text));
      case "*":
      case "~":
      case ">":
        if (type === "*" && text === "-1") return this.#add(null);
        return this.#beginList(type, length(text));
      case "%":
      case "|":
        return this.#beginList(type, 2 * length(text));
      default:
        throw new ReplyFormatError(`a reply can't begin with ${JSON.stringify(type)}`);
    }
  }

  #beginBulk(type: string, size: number): void {
    const wanted = size + 2;
    if (this.#size + wanted > this.#limits.maxSize) this.#grow(wanted);
    // Not all at once: the size is only a claim.
    const bytes = new Uint8Array(Math.min(wanted, FIRST_BULK_SIZE));
    this.#bulk = { bytes, size: 0, wanted, type };
  }

  #takeBulk(bulk: OpenBulk, bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + bulk.wanted - bulk.size);
    this.#grow(end - start);
    const size = bulk.size + end - start;
    if (size > bulk.bytes.length) {
      const larger = new Uint8Array(Math.min(bulk.wanted, Math.max(size, 2 * bulk.bytes.length)));
      larger.set(bulk.bytes.subarray(0, bulk.size));
      bulk.bytes = larger;
    }
    bulk.bytes.set(bytes.subarray(start, end), bulk.size);
    bulk.size = size;
    if (size < bulk.wanted) return end;
    if (bulk.bytes[size - 2] !== CR || bulk.bytes[size - 1] !== LF) {
      throw new ReplyFormatError("a text is not as long as it was said to be");
    }
    this.#bulk = undefined;
    const text = this.#decoder.decode(bulk.bytes.subarray(0, size - 2));
    this.#add(bulk.type === "!" ? new RedisError(text) : bulk.type === "=" ? text.slice(4) : text);
    return end;
  }

  #beginList(type: string, count: number): void {
    if (count > this.#limits.maxItems) {
      throw new ReplyFormatError(`a list has more than ${this.#limits.maxItems} items`);
    }
    if (this.#open.length >= this.#limits.maxDepth) {
      throw new ReplyFormatError(`lists are nested deeper than ${this.#limits.maxDepth}`);
    }
    if (type === ">" && this.#open.length > 0) throw new ReplyFormatError("a message is inside a reply");
    this.#open.push({ items: [], length: count, isPush: type === ">", isAttribute: type === "|" });
    this.#finishLists();
  }

  #add(reply: Reply): void {
    const list = this.#open.at(-1);
    if (list === undefined) return this.#tell(reply);
    list.items.push(reply);
    this.#finishLists();
  }

  #finishLists(): void {
    for (let list = this.#open.at(-1); list !== undefined && list.items.length === list.length;) {
      this.#open.pop();
      if (list.isAttribute) return;
      if (list.isPush) {
        this.#size = 0;
        return this.#onPush(list.items);
      }
      const outer = this.#open.at(-1);
      if (outer === undefined) return this.#tell(list.items);
      outer.items.push(list.items);
      list = outer;
    }
  }

  #tell(reply: Reply): void {
    this.#size = 0;
    this.#onReply(reply);
  }
}

function length(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new ReplyFormatError("a length is not a number");
  return Number(text);
}

function wholeNumber(text: string): string {
  if (!/^[+-]?\d{1,40}$/.test(text)) throw new ReplyFormatError("a number is not a number");
  return text;
}
