// Finds where the chain of a log file ends, so that the next process goes on with it.

import { StartError } from "../core/errors.ts";
import { Chain, readPrev, splitLines } from "./chain.ts";
import { rotatedPath } from "./rotation.ts";

/** How much of the end of a file is searched for the last record, in bytes; records are shorter. */
const TAIL_SIZE = 2 ** 20;

const LINE_BREAK = 0x0a;

/**
 * The chain at the end of the log file `path`, or of the newest full file if `path` is empty or missing; a new chain if
 * both are.
 *
 * @throws {StartError} when a file can't be read, or does not end with a chain
 */
export function resumeChain(path: string): Chain {
  return chainAtEnd(path, () => chainAtEnd(rotatedPath(path, 1), () => new Chain()));
}

/** Whether a file ends in the middle of a line; false if that can't be found out. */
export function isTorn(path: string): boolean {
  try {
    const last = readTail(path, 1).bytes.at(-1);
    return last !== undefined && last !== LINE_BREAK;
  } catch {
    // Whatever the system says: the file may be for writing only.
    return false;
  }
}

/** `before` makes the chain that the first record of the file comes after. */
function chainAtEnd(path: string, before: () => Chain): Chain {
  const { bytes, isWhole } = readTailOrFail(path);
  const lines = [...splitLines(bytes)];
  const last = lines.findLastIndex((line) => readPrev(line) !== undefined);
  // Nothing, or a first record that was cut off.
  const isBegun = last < 0 && isWhole && lines.length <= 1 && bytes.at(-1) !== LINE_BREAK;
  if (last < 0 && !isBegun) {
    throw new StartError(`Cannot continue the log "${path}": it ends without a chain, move it away first`);
  }
  const chain = isBegun ? before() : new Chain();
  for (const line of lines.slice(Math.max(0, last))) chain.add(line);
  return chain;
}

function readTailOrFail(path: string): { bytes: Uint8Array<ArrayBuffer>; isWhole: boolean } {
  try {
    return readTail(path, TAIL_SIZE);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return { bytes: new Uint8Array(), isWhole: true };
    throw new StartError(`Cannot continue the log "${path}": it can't be read`, { cause });
  }
}

function readTail(path: string, most: number): { bytes: Uint8Array<ArrayBuffer>; isWhole: boolean } {
  using file = Deno.openSync(path, { read: true });
  const { size } = file.statSync();
  const bytes = new Uint8Array(Math.min(size, most));
  file.seekSync(size - bytes.length, Deno.SeekMode.Start);
  let end = 0;
  while (end < bytes.length) {
    const count = file.readSync(bytes.subarray(end));
    if (count === null) break;
    end += count;
  }
  return { bytes: bytes.subarray(0, end), isWhole: end === size };
}
