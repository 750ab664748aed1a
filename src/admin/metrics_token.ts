// The token in a file for readers of the metrics.

import { createHash, timingSafeEqual } from "node:crypto";
import { StartError } from "../core/errors.ts";
import { readRegularTextFile, UnreadableFile } from "../core/regular_file.ts";

/** How large the file may be, in bytes. */
const MAX_FILE_SIZE = 4096;

/** Too long to guess, and valid in a header (RFC 6750 §2.1). */
const TOKEN = /^[A-Za-z0-9\-._~+/]{16,}=*$/;

/** A token from a file, which can be read again. */
export class MetricsToken {
  readonly #path: string;
  #digest: Uint8Array;

  /** @throws {StartError} when the file can't be used */
  constructor(path: string) {
    this.#path = path;
    this.#digest = this.#read();
  }

  /**
   * Reads the file again.
   *
   * @throws {StartError} when it can't be used; then the old token stays
   */
  reload(): void {
    this.#digest = this.#read();
  }

  /** Whether the header Authorization has the token; takes the same time for any text of the same length. */
  isIn(authorization: string | undefined): boolean {
    const [, token] = /^bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
    return token !== undefined && timingSafeEqual(digest(token), this.#digest);
  }

  #read(): Uint8Array {
    const fail = (why: string, cause?: Error) =>
      new StartError(`Cannot use the token file "${this.#path}": ${why}`, { cause });
    try {
      const token = readRegularTextFile(this.#path, MAX_FILE_SIZE).trim();
      if (TOKEN.test(token)) return digest(token);
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      throw fail(error.message, error);
    }
    throw fail(
      "it must hold one word of at least 16 letters, digits and -._~+/, such as openssl rand -hex 32 prints",
    );
  }
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
