// Verifies the chain over a log's files, and finds the first record that was changed, removed, inserted or moved.

import { Chain, GENESIS, readPrev, splitLines } from "./chain.ts";

/** A file of a log, with what is in it. */
export interface ChainedFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A line of a file; the first is 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** What was found. */
export type ChainCheck =
  | {
    readonly ok: true;
    readonly records: number;
    /** Whether the chain begins in these files. If not, older files are missing or were removed by rotation. */
    readonly isFromStart: boolean;
    /** The SHA-256 of the last record. Keep it, and you can see later whether that record was changed or removed. */
    readonly last: string;
  }
  | { readonly ok: false; readonly place: Place; readonly problem: string };

interface Line extends Place {
  readonly bytes: Uint8Array;
  /** The hash in it; undefined if it is not a whole record. */
  readonly prev: string | undefined;
  /** The hash that the next record must have, if this is a record. */
  readonly hash: string;
}

/**
 * Verifies a chain over `files`, in any order. A chain can't prove that the last record is unchanged and none came
 * after it, that none came before the first, or that the rest was not made anew by somebody who may write the files.
 */
export function checkChain(files: readonly ChainedFile[]): ChainCheck {
  const lines = sortFiles(files.map(readLines).filter((lines) => lines.length > 0)).flat();
  const [first] = lines;
  // An empty log is intact.
  if (first === undefined) return { ok: true, records: 0, isFromStart: true, last: GENESIS };
  const chain = new Chain(first.prev);
  for (const [index, line] of lines.entries()) {
    if (line.prev !== undefined && line.prev !== chain.prev) return describeBreak(lines, index);
    chain.add(line.bytes);
  }
  const last = lines.at(-1)!;
  if (last.prev === undefined) return fail(last, "it is not whole: cut off, or not written by wsward");
  const records = lines.filter((line) => line.prev !== undefined).length;
  return { ok: true, records, isFromStart: first.prev === GENESIS, last: chain.prev };
}

function readLines({ name, bytes }: ChainedFile): Line[] {
  return Array.from(splitLines(bytes), (line, index) => {
    const chain = new Chain();
    chain.add(line);
    return { file: name, line: index + 1, bytes: line, prev: readPrev(line), hash: chain.prev };
  });
}

/** In the order of the chain where it leads from one file to another, and otherwise by time. */
function sortFiles(files: Line[][]): Line[][] {
  const left = new Set(files.toSorted((a, b) => compare(timeOf(a), timeOf(b))));
  const sorted: Line[][] = [];
  while (left.size > 0) {
    const ends = new Set([...left].map(chainBehind));
    const behind = sorted.length === 0 ? undefined : chainBehind(sorted.at(-1)!);
    const next = [...left].find((file) => firstPrev(file) === behind) ??
      [...left].find((file) => firstPrev(file) === GENESIS) ??
      [...left].find((file) => !ends.has(firstPrev(file) ?? "")) ?? [...left][0]!;
    left.delete(next);
    sorted.push(next);
  }
  return sorted;
}

function firstPrev(file: readonly Line[]): string | undefined {
  return file.find((line) => line.prev !== undefined)?.prev;
}

function chainBehind(file: readonly Line[]): string {
  const chain = new Chain();
  for (const { bytes } of file.slice(Math.max(0, file.findLastIndex((line) => line.prev !== undefined)))) {
    chain.add(bytes);
  }
  return chain.prev;
}

function timeOf(file: readonly Line[]): string {
  const record = file.find((line) => line.prev !== undefined);
  if (record === undefined) return "";
  const { time } = JSON.parse(new TextDecoder().decode(record.bytes)) as { time?: unknown };
  return typeof time === "string" ? time : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Finds out from the other records why a line does not follow the one before it. */
function describeBreak(lines: readonly Line[], index: number): ChainCheck {
  const line = lines[index]!;
  const before = lines[index - 1]!;
  const beforeThat = lines[index - 2];
  const next = lines[index + 1];
  const original = lines.find((other) => other !== line && other.hash === line.hash);
  if (original !== undefined) return fail(line, `it was inserted, as a copy of ${describePlace(original)}`);
  if (beforeThat !== undefined && line.prev === beforeThat.hash) return fail(before, "it was inserted");
  if (before.prev === undefined) return fail(before, "it is not a record of this chain");
  if (line.prev === GENESIS) return fail(line, `a new chain begins here, after ${describePlace(before)}`);
  const home = lines.find((other) => other.hash === line.prev);
  if (home !== undefined) return fail(line, `it was moved: its place is after ${describePlace(home)}`);
  // Without this line the chain goes on.
  if (next !== undefined && next.prev === before.hash) return fail(line, "it was inserted");
  return fail(
    line,
    `it does not follow ${
      describePlace(before)
    }: one of the two was changed, or what stood between them was removed`,
  );
}

function describePlace({ file, line }: Place): string {
  return `line ${line} of ${JSON.stringify(file)}`;
}

function fail({ file, line }: Place, problem: string): ChainCheck {
  return { ok: false, place: { file, line }, problem };
}
