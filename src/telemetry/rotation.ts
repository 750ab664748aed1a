// The names of full log files, and how they move up: FILE becomes FILE.1, FILE.1 becomes FILE.2, the oldest goes.

import { exists } from "../core/regular_file.ts";

/** The name of the full file with this number; 1 is the newest. */
export function rotatedPath(path: string, number: number): string {
  return `${path}.${number}`;
}

/**
 * Frees the name `path` and keeps at most `maxFiles` full files. Throws as `Deno.renameSync` does; then nothing is
 * lost, however often it is tried again, because only the files up to the first free number move.
 */
export function rotateFiles(path: string, maxFiles: number): void {
  let free = 1;
  while (free < maxFiles && exists(rotatedPath(path, free))) free++;
  for (let number = free; number > 1; number--) {
    Deno.renameSync(rotatedPath(path, number - 1), rotatedPath(path, number));
  }
  Deno.renameSync(path, rotatedPath(path, 1));
}
