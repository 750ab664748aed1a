// Creates and reads key files, and refuses unsafe ones.

import { StartError } from "../core/errors.ts";
import { describeFileError } from "../core/file_error.ts";
import {
  exists,
  isOpenMode,
  readRegularFile,
  type RegularFile,
  UnreadableFile,
} from "../core/regular_file.ts";
import { quoteForShell } from "../core/shown.ts";
import { encodeBase64url } from "./base64url.ts";
import { KeySet } from "./key_set.ts";
import { parseKeys, type SecretEncoding } from "./key_text.ts";

/** How large a key file may be, in bytes. */
export const MAX_KEY_FILE_SIZE_BYTES = 64 * 1024;

const NEW_SECRET_SIZE_BYTES = 32;

/**
 * Creates a key file with mode 0600 and 32 random bytes, as base64url text or in `encoding`, unless there is something
 * at `path`. Returns whether it did. If two processes start at once, one creates it and both load the same key.
 *
 * @throws {StartError} when the file can't be created
 */
export async function createKeyFileIfMissing(path: string, encoding?: SecretEncoding): Promise<boolean> {
  const secret = crypto.getRandomValues(new Uint8Array(NEW_SECRET_SIZE_BYTES));
  const content = encoding === "raw"
    ? secret
    : (encoding === "hex" ? secret.toHex() : encodeBase64url(secret)) + "\n";
  return await createKeyFile(path, content, { mode: 0o600 });
}

/**
 * Creates a file with `content` unless there is something at `path`, and returns whether it did. The file appears with
 * its whole content and mode, or not at all. The folder must allow hard links.
 *
 * @throws {StartError} when the file can't be created
 */
export async function createKeyFile(
  path: string,
  content: string | Uint8Array,
  { mode }: { mode: number },
): Promise<boolean> {
  try {
    if (exists(path)) return false;
    const { draft, file } = await openDraft(path, mode);
    try {
      await writeWhole(file, content);
      // Unlike a rename, a link never replaces a key that another process has just created.
      await Deno.link(draft, path);
      return true;
    } finally {
      await Deno.remove(draft);
    }
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) return false;
    const state = describeFileError(cause, "its folder does not exist");
    throw new StartError(`Cannot create key file "${path}": ${state}`, { cause });
  }
}

/** Where a new key file is written first; a program needs the permission to write there. */
export function draftPath(path: string): string {
  return `${path}.tmp`;
}

/** How a key file is read. */
export interface LoadOptions {
  /** The encoding of a secret; base64 if left out, with a doubt if it could be hex. */
  readonly encoding?: SecretEncoding | undefined;
  /** Called with what the owner of the file should know, as a sentence fragment. */
  readonly onDoubt?: ((doubt: string) => void) | undefined;
}

/**
 * Loads the keys in a file: a secret, PEM, a JWK or a JWK Set, see `parseKeys`. Except on Windows, group and others
 * must have no permission on a file that can sign; anybody may read one with public keys only.
 *
 * @throws {StartError} `Cannot use key file "...": ...`; never with any of its content
 */
export async function loadKeys(path: string, { encoding, onDoubt }: LoadOptions = {}): Promise<KeySet> {
  const { bytes, mode } = readKeyFile(path);
  const read = await parseKeys(bytes, encoding);
  if (typeof read === "string") throw unusable(path, read);
  const set = new KeySet(read.keys);
  if (set.signer !== undefined && mode !== undefined) refuseOpenMode(path, mode);
  for (const doubt of read.doubts) onDoubt?.(doubt);
  return set;
}

/** Creates the draft, under another name if that one is taken by another start, perhaps a killed one. */
async function openDraft(path: string, mode: number): Promise<{ draft: string; file: Deno.FsFile }> {
  const options = { write: true, createNew: true, mode };
  let draft = draftPath(path);
  try {
    return { draft, file: await Deno.open(draft, options) };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    draft = `${path}.${crypto.randomUUID()}.tmp`;
    return { draft, file: await Deno.open(draft, options) };
  }
}

async function writeWhole(file: Deno.FsFile, content: string | Uint8Array): Promise<void> {
  using _ = file;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  await file.sync();
}

function readKeyFile(path: string): RegularFile {
  try {
    const file = readRegularFile(path, MAX_KEY_FILE_SIZE_BYTES);
    if (file.bytes.length === 0) throw unusable(path, "it is not a key (it is empty)");
    return file;
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    const isMissing = error.cause instanceof Deno.errors.NotFound;
    const state = isMissing ? `${error.message} (the server creates it on its first start)` : error.message;
    throw unusable(path, state, error.cause);
  }
}

function refuseOpenMode(path: string, mode: number): void {
  if (!isOpenMode(path, mode)) return;
  const what = (mode & 0o044) === 0 ? "it is open to others" : "it can be read by others";
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  throw unusable(path, `${what} (mode ${octal}); run: chmod 600 ${quoteForShell(path)}`);
}

function unusable(path: string, state: string, cause?: unknown): StartError {
  return new StartError(`Cannot use key file "${path}": ${state}`, { cause });
}
