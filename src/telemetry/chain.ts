// The chain of a log: each record names the SHA-256 of what stands before it, so that nothing can change unseen.

/** What the very first record of a chain names instead of a hash. */
export const GENESIS = "0".repeat(64);

const LINE_BREAK = 0x0a;
const RECORD = /^\{"prev":"([0-9a-f]{64})",/;

/** `{"prev":"<64 hex digits>",`: what is put before the rest of a record. */
const SEAL_SIZE = 75;

/**
 * A chain of lines, up to one of them. A record restarts the hash: the next one names the SHA-256 of its line. Any other
 * line (the rest of a record that a full disk or a crash has cut off) is hashed together with what came before it, so
 * such a line is covered too.
 */
export class Chain {
  /** What the next record has to name: 64 hex digits. */
  prev: string;

  constructor(prev: string = GENESIS) {
    this.prev = prev;
  }

  /** Goes on behind a line, given without its line break. */
  add(line: Uint8Array): void {
    const hash = createSha256();
    if (readPrev(line) === undefined) hash.update(this.prev).update("\n");
    this.prev = hash.update(line).digest("hex");
  }
}

// Web Crypto hashes asynchronously, and a process that dies can't wait. The module is loaded by the first chain and not
// at every start, because that takes long.
function createSha256() {
  return globalThis.process.getBuiltinModule("node:crypto").createHash("sha256");
}

/** A line of JSON as a record that comes after `prev`: the same object with `prev` as its first member. */
export function sealLine(line: string, prev: string): string {
  return `{"prev":"${prev}",${line.slice(1)}`;
}

/** The hash that a record names, or undefined if the line, without its line break, is no whole record of a chain. */
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

/** The lines of a file, without their line breaks; the last one may have had none. */
export function* splitLines(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_BREAK, start);
    yield bytes.subarray(start, end < 0 ? bytes.length : end);
    start = end < 0 ? bytes.length : end + 1;
  }
}
