// Revocations, kept in memory for every look-up and, with a state file, in SQLite across restarts.
import type { DatabaseSync } from "node:sqlite";
import type { Identity } from "../auth/token.ts";
import { StartError } from "../core/errors.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";

/** What a revocation names. */
export type RevocationKind = "jti" | "user" | "session";

/** One revocation. */
export interface Revocation {
  /** A random UUID. */
  readonly id: string;
  readonly kind: RevocationKind;
  /** The claim `jti`, the user, or the id of the session. */
  readonly value: string;
  /** The tokens that are revoked by name: the one for a `jti`, those of the session for a `session`, none for a `user`. */
  readonly jtis: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly revokedAtMs: number;
  /** When it is forgotten, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

/** What is to be revoked. */
export interface NewRevocation extends Pick<Revocation, "kind" | "value" | "jtis"> {
  /** How long it lasts, in whole milliseconds from 1 to `MAX_REVOCATION_TTL_MS`; to be safe, longer than any token lives. */
  readonly ttlMs: number;
}

/** How a store is opened. */
export interface RevocationStoreOptions {
  /** The SQLite file; in memory only if left out. */
  readonly path?: string | undefined;
  /** The machine's time if left out. */
  readonly clock?: Pick<Clock, "now">;
}

/** The longest time to live: ten years. */
export const MAX_REVOCATION_TTL_MS = 10 * 365 * 86_400_000;

/** "wswd" in ASCII: tells our files from the databases of other programs. */
const APPLICATION_ID = 0x77737764;
const SCHEMA_VERSION = 1;
// A revocation is kept as JSON: the library cuts text at a zero character, which a `jti` may have.
const SCHEMA = `
  CREATE TABLE revocations (
    id TEXT PRIMARY KEY,
    expires_at_ms REAL NOT NULL,
    revocation TEXT NOT NULL
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * The revocations that have not run out. A token is revoked
 * - by its `jti`, or that of a revoked session that it opened or extended;
 * - by its user, if it was issued (`iat`) at or before the moment of the revocation or does not say when. Since `iat` is in
 *   whole seconds, so is every token of the same second.
 */
export class RevocationStore {
  readonly #clock: Pick<Clock, "now">;
  readonly #database: DatabaseSync | undefined;
  readonly #all = new Map<string, Revocation>();
  readonly #byJti = new Map<string, Set<Revocation>>();
  readonly #byUser = new Map<string, Set<Revocation>>();
  #nextExpiryMs = Infinity;

  /**
   * Opens the store; the file belongs to this process until it is closed.
   *
   * @throws {StartError} `Cannot use state file "...": ...`
   */
  constructor({ path, clock = SYSTEM_CLOCK }: RevocationStoreOptions = {}) {
    this.#clock = clock;
    if (path === undefined) return;
    const { database, rows } = openStateFile(path);
    this.#database = database;
    for (const row of rows) this.#index(row);
    try {
      this.#sweep();
    } catch (cause) {
      database.close();
      throw unusable(path, describe(cause), cause);
    }
  }

  /**
   * Adds a revocation. When this returns it is on the disk, if there is a state file, and outlives even a kill. If it throws
   * because the file can't be written, the revocation still holds until the process ends.
   *
   * @throws {RangeError} when the time to live is out of range
   */
  add({ kind, value, jtis, ttlMs }: NewRevocation): Revocation {
    checkTtl(ttlMs);
    const revokedAtMs = this.#clock.now();
    const revocation: Revocation = {
      id: crypto.randomUUID(),
      kind,
      value,
      jtis: [...jtis],
      revokedAtMs,
      expiresAtMs: revokedAtMs + ttlMs,
    };
    this.#index(revocation);
    this.#database?.prepare("INSERT INTO revocations VALUES (?, ?, ?)").run(
      revocation.id,
      revocation.expiresAtMs,
      JSON.stringify(revocation),
    );
    this.#sweep();
    return revocation;
  }

  /** All that have not run out, the oldest first. */
  list(): Revocation[] {
    this.#sweep();
    return [...this.#all.values()];
  }

  /** Takes a revocation back, on the disk too when this returns; false if there is none with this id. */
  remove(id: string): boolean {
    this.#sweep();
    const revocation = this.#all.get(id);
    if (revocation === undefined) return false;
    this.#database?.prepare("DELETE FROM revocations WHERE id = ?").run(id);
    this.#forget(revocation);
    return true;
  }

  /** Whether a token with these claims is revoked now. */
  covers({ user, claims: { jti, iat } }: Identity): boolean {
    const nowMs = this.#clock.now();
    for (const { expiresAtMs } of typeof jti === "string" ? this.#byJti.get(jti) ?? [] : []) {
      if (nowMs < expiresAtMs) return true;
    }
    for (const { expiresAtMs, revokedAtMs } of this.#byUser.get(user) ?? []) {
      if (nowMs < expiresAtMs && !(typeof iat === "number" && iat * 1000 > revokedAtMs)) return true;
    }
    return false;
  }

  /** Lets go of the file; harmless when done twice. */
  close(): void {
    if (this.#database?.isOpen) this.#database.close();
  }

  #index(revocation: Revocation): void {
    this.#all.set(revocation.id, revocation);
    for (const jti of revocation.jtis) addTo(this.#byJti, jti, revocation);
    if (revocation.kind === "user") addTo(this.#byUser, revocation.value, revocation);
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, revocation.expiresAtMs);
  }

  #forget(revocation: Revocation): void {
    this.#all.delete(revocation.id);
    for (const jti of revocation.jtis) removeFrom(this.#byJti, jti, revocation);
    if (revocation.kind === "user") removeFrom(this.#byUser, revocation.value, revocation);
  }

  /** Forgets what has run out. */
  #sweep(): void {
    const nowMs = this.#clock.now();
    if (nowMs < this.#nextExpiryMs) return;
    this.#nextExpiryMs = Infinity;
    for (const revocation of this.#all.values()) {
      if (revocation.expiresAtMs <= nowMs) this.#forget(revocation);
      else this.#nextExpiryMs = Math.min(this.#nextExpiryMs, revocation.expiresAtMs);
    }
    this.#database?.prepare("DELETE FROM revocations WHERE expires_at_ms <= ?").run(nowMs);
  }
}

/**
 * Checks how long a revocation lasts, in milliseconds.
 *
 * @throws {RangeError} when it is no whole number from 1 to `MAX_REVOCATION_TTL_MS`
 */
export function checkTtl(ttlMs: number): void {
  if (Number.isSafeInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MAX_REVOCATION_TTL_MS) return;
  throw new RangeError(`Cannot revoke for ${ttlMs} ms: it must be from 1 to ${MAX_REVOCATION_TTL_MS}`);
}

function addTo(index: Map<string, Set<Revocation>>, key: string, revocation: Revocation): void {
  const found = index.get(key);
  if (found === undefined) index.set(key, new Set([revocation]));
  else found.add(revocation);
}

function removeFrom(index: Map<string, Set<Revocation>>, key: string, revocation: Revocation): void {
  const found = index.get(key);
  found?.delete(revocation);
  if (found?.size === 0) index.delete(key);
}

interface StateFile {
  readonly database: DatabaseSync;
  readonly rows: readonly Revocation[];
}

function openStateFile(path: string): StateFile {
  let database: DatabaseSync | undefined;
  try {
    createPrivately(path);
    // Without a state file it is never loaded.
    const { DatabaseSync } = globalThis.process.getBuiltinModule("node:sqlite");
    database = new DatabaseSync(path);
    prepare(database, path);
    return { database, rows: readRows(database) };
  } catch (cause) {
    database?.close();
    throw cause instanceof StartError ? cause : unusable(path, describe(cause), cause);
  }
}

/** SQLite gives its journals the mode of the file, so that this one mode protects all three. */
function createPrivately(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const { isFile, mode } = Deno.statSync(path);
  if (!isFile) throw unusable(path, "it is not a regular file");
  if (Deno.build.os !== "windows" && mode !== null && (mode & 0o077) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, "0");
    throw unusable(path, `it is open to others (mode ${octal}); its mode must be 0600`);
  }
}

function prepare(database: DatabaseSync, path: string): void {
  // Two processes with one file would each miss what the other one revokes.
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const isNew = database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
  const version = readPragma(database, "user_version");
  if (isNew ? version !== 0 : readPragma(database, "application_id") !== APPLICATION_ID) {
    throw unusable(path, "it is the database of another program");
  }
  if (!isNew && version !== SCHEMA_VERSION) {
    throw unusable(path, `it has the format ${version}, this version of the program reads ${SCHEMA_VERSION}`);
  }
  if (database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
    throw unusable(path, "it is damaged");
  }
  // FULL syncs the journal at each commit: what was acknowledged outlives a kill and a power cut.
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  if (isNew) database.exec(`BEGIN; ${SCHEMA} COMMIT`);
}

function readPragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

function readRows(database: DatabaseSync): readonly Revocation[] {
  const rows = database.prepare("SELECT revocation FROM revocations ORDER BY rowid").all();
  return rows.map((row) => JSON.parse(String(row["revocation"])));
}

function unusable(path: string, state: string, cause?: unknown): StartError {
  return new StartError(`Cannot use state file "${path}": ${state}`, { cause });
}

function describe(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) {
    return "access to it was not allowed when the program was started";
  }
  if (error instanceof SyntaxError) return "it is damaged";
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes("locked")) return "another process uses it";
  return message;
}
