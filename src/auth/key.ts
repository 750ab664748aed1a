// The key file: 32 or more secret bytes that sign and verify tokens with HS256 (RFC 7518 §3.2).

import { Buffer } from "node:buffer";
import { StartError } from "../core/errors.ts";

/** How many bytes a key has at least: what HS256 demands (RFC 7518 §3.2). */
export const MIN_KEY_SIZE_BYTES = 32;

/** How large a key file may be, in bytes. */
export const MAX_KEY_FILE_SIZE_BYTES = 64 * 1024;

const KEY_TEXT = /^(?:[A-Za-z0-9_-]+|[A-Za-z0-9+/]+)={0,2}$/;

/** A signing key. What is secret about it can't be printed, logged or exported. */
export interface Key {
  readonly alg: "HS256";
  /** A non-extractable HMAC key, for `src/auth` only. */
  readonly secret: CryptoKey;
}

/**
 * Creates a key file with mode 0600 and 32 random bytes as base64url text, unless there is something at `path` already.
 * Returns whether this call created it. The file appears with its whole content, so of two processes that start at once
 * one creates it and both load the same key. The folder must allow hard links.
 *
 * @throws {StartError} when the file can't be created
 */
export async function createKeyFileIfMissing(path: string): Promise<boolean> {
  const draft = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    if (await exists(path)) return false;
    await writeDraft(draft);
    try {
      // Unlike a rename, a link never replaces a key that another process has just created.
      await Deno.link(draft, path);
      return true;
    } finally {
      await Deno.remove(draft);
    }
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) return false;
    throw new StartError(
      `Cannot create key file "${path}": ${describe(cause, "its folder does not exist")}`,
      {
        cause,
      },
    );
  }
}

/**
 * Loads a key file: at least 32 bytes as base64url or base64 text, with or without padding and line breaks. Raw bytes,
 * PEM and JSON are refused. Except on Windows, group and others must have no permission on it.
 *
 * @throws {StartError} `Cannot use key file "...": ...`; never with any of its content
 */
export async function loadKey(path: string): Promise<Key> {
  const secret = decode(await readKeyFile(path));
  if (secret === undefined) {
    throw unusable(path, "it is not a key (it must be base64url or base64 text)");
  }
  if (secret.length < MIN_KEY_SIZE_BYTES) {
    throw unusable(path, `its key has ${secret.length} bytes, at least ${MIN_KEY_SIZE_BYTES} are needed`);
  }
  return {
    alg: "HS256",
    secret: await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, [
      "sign",
      "verify",
    ]),
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function writeDraft(path: string): Promise<void> {
  const secret = crypto.getRandomValues(new Uint8Array(MIN_KEY_SIZE_BYTES));
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  await file.write(Buffer.from(Buffer.from(secret).toString("base64url") + "\n"));
  await file.sync();
}

async function readKeyFile(path: string): Promise<string> {
  try {
    // Look before opening: a pipe would never answer, a device never end.
    const info = await Deno.stat(path);
    if (info.isDirectory) throw unusable(path, "it is a folder");
    if (!info.isFile) throw unusable(path, "it is not a regular file");
    if (Deno.build.os !== "windows" && info.mode !== null) refuseOpenMode(path, info.mode);
    if (info.size === 0) throw unusable(path, "it is not a key (it is empty)");
    if (info.size > MAX_KEY_FILE_SIZE_BYTES) {
      throw unusable(path, `it is too large (${info.size} bytes, at most ${MAX_KEY_FILE_SIZE_BYTES})`);
    }
    return Buffer.from(await Deno.readFile(path)).toString("latin1");
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const missing = "it does not exist (the server creates it on its first start)";
    throw unusable(path, describe(cause, missing), cause);
  }
}

function refuseOpenMode(path: string, mode: number): void {
  if ((mode & 0o077) === 0) return;
  const what = (mode & 0o044) === 0 ? "it is open to others" : "it can be read by others";
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  throw unusable(path, `${what} (mode ${octal}); run: chmod 600 ${quoteForShell(path)}`);
}

/** The bytes that the text stands for, or undefined if it is anything but canonical base64 or base64url. */
function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  // `openssl rand -base64 64` breaks its line.
  const joined = text.replace(/\r?\n/g, "");
  if (!KEY_TEXT.test(joined)) return undefined;
  if (joined.includes("=") && joined.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(joined, "base64");
  const canonical = joined.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  // A file that lost its end, or prose that happens to use the alphabet, seldom decodes without a remainder.
  return bytes.toString("base64url") === canonical ? new Uint8Array(bytes) : undefined;
}

function unusable(path: string, state: string, cause?: unknown): StartError {
  return new StartError(`Cannot use key file "${path}": ${state}`, { cause });
}

function describe(error: unknown, notFound: string): string {
  if (error instanceof Deno.errors.NotFound) return notFound;
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) {
    return "access to it was not allowed when the program was started";
  }
  return error instanceof Error ? error.message : String(error);
}

function quoteForShell(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
