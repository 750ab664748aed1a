// The chain of a log: each record has the SHA-256 of what is before it, so that a change is noticed.

/** What the first record of a chain has in place of a hash. */
export const GENESIS = "0".repeat(64);

const LINE_BREAK = 0x0a;
const RECORD = /^\{"prev":"([0-9a-f]{64})",/;

/** `{"prev":"<64 hex digits>",`: what is put before the rest of a record. */
const SEAL_SIZE = 75;

/**
 * The state of a chain after a line. A record restarts the hash: the next one has the SHA-256 of its line. Any other
 * line (what is left of a record that a full disk or a crash cut off) is hashed together with what came before it, and
 * so is covered too.
 */
export class Chain {
  /** The hash for the next record: 64 hex digits. */
  prev: string;

  constructor(prev: string = GENESIS) {
    this.prev = prev;
  }

  /** Takes the next line, without its line break. */
  add(line: Uint8Array): void {
    const hash = createSha256();
    if (readPrev(line) === undefined) hash.update(this.prev).update("\n");
    this.prev = hash.update(line).digest("hex");
  }
}

// Web Crypto hashes asynchronously, and a process that dies can't wait. The module takes long to load, so only a chain
// loads it.
function createSha256() {
  return globalThis.process.getBuiltinModule("node:crypto").createHash("sha256");
}

/** A line of JSON as a record that comes after `prev`: the same object with `prev` as its first member. */
export function sealLine(line: string, prev: string): string {
  return `{"prev":"${prev}",${line.slice(1)}`;
}

/** The hash in a record, given without its line break; undefined if the line is not a whole record of a chain. */
export function readPrev(line: Uint8Array): string | undefined {
  const [, prev] = RECORD.exec(new TextDecoder("latin1").decode(line.subarray(0, SEAL_SIZE))) ?? [];
  if (prev === undefined) return undefined;
  try {
    JSON.parse(new TextDecoder().decode(line));
    return prev;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** The lines of a file without their line breaks, which the last one need not have. */
export function* splitLines(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_BREAK, start);
    yield bytes.subarray(start, end < 0 ? bytes.length : end);
    start = end < 0 ? bytes.length : end + 1;
  }
}
