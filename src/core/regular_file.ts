// Reads the files that settings name: regular files of a limited size.

import { describeFileError } from "./file_error.ts";

/** A file that was read. */
export interface RegularFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its permissions, where the system has them. */
  readonly mode: number | undefined;
}

/** A file can't be read. The message says why, to be put after a colon: `it is a folder`. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
  readonly code = "unreadable_file";
}

/** The largest file, in bytes, unless said otherwise. */
const MAX_FILE_SIZE_BYTES = 16 * 2 ** 20;

/**
 * Reads a whole file of at most `maxBytes`. A pipe would hold up the whole program until somebody writes into it, and a
 * device may have no end, so neither is opened.
 *
 * @throws {UnreadableFile} when there is no such file, or it can't be read
 */
export function readRegularFile(path: string, maxBytes: number = MAX_FILE_SIZE_BYTES): RegularFile {
  try {
    const info = Deno.statSync(path);
    if (info.isDirectory) throw new UnreadableFile("it is a folder");
    if (!info.isFile) throw new UnreadableFile("it is not a regular file");
    if (info.size > maxBytes) throw tooLarge(info.size, maxBytes);
    // One byte more than allowed: the file can grow meanwhile, and some files report no size.
    const bytes = readSome(path, maxBytes + 1, info.size + 1);
    if (bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes);
    return { bytes, mode: Deno.build.os === "windows" ? undefined : info.mode ?? undefined };
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile(describeFileError(error), { cause: error });
  }
}

/** As {@linkcode readRegularFile}, for a file of UTF-8. */
export function readRegularTextFile(path: string, maxBytes?: number): string {
  return new TextDecoder().decode(readRegularFile(path, maxBytes).bytes);
}

/**
 * Whether anybody but the owner may use a secret file of this mode. For a credential of systemd the permissions of its
 * group don't count: they are the mask of the ACL by which the service's user reads it, and its folder lets in nobody else.
 */
export function isOpenMode(path: string, mode: number): boolean {
  const isCredential = path.startsWith("/run/credentials/") && !path.includes("/../");
  return (mode & (isCredential ? 0o037 : 0o077)) !== 0;
}

function readSome(path: string, most: number, expected: number): Uint8Array<ArrayBuffer> {
  using file = Deno.openSync(path);
  let bytes = new Uint8Array(Math.min(most, Math.max(expected, 4096)));
  let end = 0;
  for (;;) {
    const count = file.readSync(bytes.subarray(end));
    if (count === null) break;
    end += count;
    if (end < bytes.length) continue;
    if (end === most) break;
    const larger = new Uint8Array(Math.min(most, 2 * end));
    larger.set(bytes);
    bytes = larger;
  }
  return bytes.subarray(0, end);
}

function tooLarge(size: number, most: number): UnreadableFile {
  return new UnreadableFile(`it is too large (${size} bytes, at most ${most})`);
}

/** Whether there is anything at `path`, a dangling link included. Throws when that can't be found out. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
