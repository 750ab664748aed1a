// Files in PEM that settings name: certificates and keys.

import { StartError } from "../../core/errors.ts";
import { isOpenMode, readRegularFile, UnreadableFile } from "../../core/regular_file.ts";

/** The content of a file, and whether others can read it. */
export interface PemFile {
  readonly text: string;
  /** Whether others can read it. A group may: many systems let servers read keys that way. */
  readonly isOpen: boolean;
}

/**
 * Reads the file at `path`; `what` names it in errors.
 *
 * @throws {StartError} when it can't be read
 */
export function readPem(what: string, path: string): PemFile {
  try {
    const { bytes, mode = 0 } = readRegularFile(path);
    return { text: new TextDecoder().decode(bytes), isOpen: isOpenMode(path, mode & ~0o040) };
  } catch (cause) {
    if (!(cause instanceof UnreadableFile)) throw cause;
    throw new StartError(`Cannot read the ${what} "${path}": ${cause.message}`, { cause });
  }
}
