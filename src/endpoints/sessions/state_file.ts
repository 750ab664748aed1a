// The SQLite file in which revocations and used tokens outlive the process.
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { StartError } from "../../core/errors.ts";
import { describeFileError } from "../../core/file_error.ts";
import type { Revocation } from "./revocation.ts";

/** How many used tokens are remembered; at the limit no new one is let in. */
export const MAX_USED_TOKENS = 100_000;
/** How many may be in the file that have not run out: of a clock that was set back some are, that had. */
const MOST_IN_FILE = 2 * MAX_USED_TOKENS;
/** The longest text of one of them in the file, in bytes: more than a whole token has, if each character is escaped. */
const MAX_NAME_SIZE = 65_536;
/** How many revocations may be in it: twice what administrators can make. */
const MOST_REVOCATIONS = 262_144;

/** Something could not be stored. It has the code of the library's own errors, which mean the same. */
export class StateFileError extends Error {
  readonly code = "ERR_SQLITE_ERROR";
}

/** A token that was used, by its claim `jti`. */
export interface UsedToken {
  readonly jti: string;
  /** When it can be forgotten, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

/** "wswd" in ASCII: tells our files from the databases of other programs. */
const APPLICATION_ID = 0x77737764;
const SCHEMA_VERSION = 2;

// Revocations and names are kept as JSON: the library cuts text at a zero character, which a `jti` may have.
const REVOCATIONS = `CREATE TABLE revocations (
    id TEXT PRIMARY KEY,
    expires_at_ms REAL NOT NULL,
    revocation TEXT NOT NULL
  ) STRICT`;
const USED_TOKENS = `CREATE TABLE used_tokens (
    jti TEXT PRIMARY KEY,
    expires_at_ms REAL NOT NULL
  ) STRICT`;

/** Each table by the version of the format that brought it. */
const TABLES = [
  { since: 1, name: "revocations", sql: REVOCATIONS },
  { since: 2, name: "used_tokens", sql: USED_TOKENS },
];

/** An open state file; it belongs to this process until it is closed. */
export class StateFile {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #identity: string;
  /** What was in it when it was opened, in the order in which it was stored. */
  readonly revocations: readonly Revocation[];
  /** Those that had not run out by then. */
  readonly usedTokens: readonly UsedToken[];

  /**
   * Opens the file, or creates it. What is in it is counted before it is read.
   *
   * @param nowMs milliseconds since the Unix epoch
   * @throws {StartError} `Cannot use state file "...": ...`, also when anything in it is not as this program writes it
   */
  constructor(path: string, nowMs: number) {
    this.#path = path;
    let database: DatabaseSync | undefined;
    try {
      createPrivately(path);
      // Without a state file it is never loaded.
      const { DatabaseSync } = globalThis.process.getBuiltinModule("node:sqlite");
      database = new DatabaseSync(path);
      prepare(database, path);
      this.#database = database;
      this.revocations = readRevocations(database, path);
      this.usedTokens = readUsedTokens(database, path, nowMs);
      this.#identity = identityOf(path);
    } catch (cause) {
      database?.close();
      throw cause instanceof StartError ? cause : unusable(path, describe(cause), cause);
    }
  }

  /**
   * Stores a revocation in place of the one with the other id, and forgets what has expired by `nowMs`. On the disk
   * when this returns: it outlives a power cut.
   *
   * @throws {StateFileError} when that can't be done
   */
  putRevocation(revocation: Revocation, nowMs: number, replacedId?: string): void {
    this.#write("FULL", () => {
      this.#run("DELETE FROM revocations WHERE expires_at_ms <= ? OR id = ?", nowMs, replacedId ?? "");
      this.#insert(revocation);
    });
  }

  /**
   * Removes the revocations with these ids, and stores these: no more than that, however many there are. On the disk when
   * this returns.
   *
   * @throws {StateFileError} when that can't be done
   */
  changeRevocations(removedIds: Iterable<string>, added: Iterable<Revocation>): void {
    this.#write("FULL", () => {
      for (const id of removedIds) this.#run("DELETE FROM revocations WHERE id = ?", id);
      for (const revocation of added) this.#insert(revocation);
    });
  }

  /**
   * Stores these revocations in place of all.
   *
   * @throws {StateFileError} when that can't be done
   */
  putAllRevocations(revocations: Iterable<Revocation>): void {
    this.#write("FULL", () => {
      this.#run("DELETE FROM revocations");
      for (const revocation of revocations) this.#insert(revocation);
    });
  }

  /**
   * Removes a revocation. On the disk when this returns.
   *
   * @throws {StateFileError} when that can't be done
   */
  removeRevocation(id: string): void {
    this.#write("FULL", () => {
      if (this.#run("DELETE FROM revocations WHERE id = ?", id) !== 1) throw this.#failure("the row is gone");
    });
  }

  /**
   * Stores that a token was used. It outlives a kill of the process, but perhaps not a power cut: waiting for the disk
   * at each login would hold up everybody.
   *
   * @throws {StateFileError} when that can't be done
   */
  addUsedToken({ jti, expiresAtMs }: UsedToken): void {
    this.#write("NORMAL", () => {
      const changes = this.#run(
        "INSERT OR REPLACE INTO used_tokens VALUES (?, ?)",
        JSON.stringify(jti),
        expiresAtMs,
      );
      if (changes !== 1) throw this.#failure("it took no row");
    });
  }

  /**
   * Forgets that a token was used.
   *
   * @throws {StateFileError} when the file can't be written
   */
  removeUsedToken(jti: string): void {
    this.#write("NORMAL", () => {
      const changes = this.#run("DELETE FROM used_tokens WHERE jti = ?", JSON.stringify(jti));
      if (changes !== 1) throw this.#failure("the row is gone");
    });
  }

  /**
   * Forgets the used tokens that have expired.
   *
   * @throws {StateFileError} when that can't be done
   */
  sweepUsedTokens(nowMs: number): void {
    this.#write("NORMAL", () => this.#run("DELETE FROM used_tokens WHERE expires_at_ms <= ?", nowMs));
  }

  /** Closes the file; harmless when called twice. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** One transaction. FULL syncs the journal when it ends; what is there by then outlives a kill either way. */
  #write(durability: "FULL" | "NORMAL", change: () => void): void {
    // A file that was deleted or replaced can still be written to, but would never be read.
    if (identityOf(this.#path) !== this.#identity) throw this.#failure("it was removed or replaced");
    try {
      this.#database.exec(`PRAGMA synchronous = ${durability}; BEGIN IMMEDIATE`);
      change();
      this.#database.exec("COMMIT");
    } catch (cause) {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec("ROLLBACK");
      if (cause instanceof StateFileError || !isSqliteError(cause)) throw cause;
      throw this.#failure(describe(cause), cause);
    }
  }

  #insert(revocation: Revocation): void {
    const values = [revocation.id, revocation.expiresAtMs, JSON.stringify(revocation)];
    // A trigger can make it store nothing, silently.
    if (this.#run("INSERT INTO revocations VALUES (?, ?, ?)", ...values) !== 1) {
      throw this.#failure("it took no row");
    }
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#database.prepare(sql).run(...values).changes);
  }

  #failure(state: string, cause?: unknown): StateFileError {
    return new StateFileError(`Cannot write to state file "${this.#path}": ${state}`, { cause });
  }
}

/** The identity of the file at a path, which changes when it is replaced; "none" if it was removed. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return "none";
    throw error;
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
  // Two processes with one file would each miss what the other revokes.
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const isNew = database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
  const version = Number(readPragma(database, "user_version"));
  if (isNew ? version !== 0 : readPragma(database, "application_id") !== APPLICATION_ID) {
    throw unusable(path, "it is the database of another program");
  }
  if (!isNew && (version < 1 || version > SCHEMA_VERSION)) {
    throw unusable(path, `it has the format ${version}, this version of the program reads ${SCHEMA_VERSION}`);
  }
  if (database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
    throw unusable(path, "it is damaged");
  }
  checkSchema(database, path, version);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  const missing = TABLES.filter(({ since }) => since > version).map(({ sql }) => `${sql};`);
  if (missing.length === 0) return;
  database.exec(
    `BEGIN; ${missing.join("")} PRAGMA application_id = ${APPLICATION_ID};` +
      `PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`,
  );
}

/** A trigger could undo what is written, and a table without a constraint could hold rows that are never found. */
function checkSchema(database: DatabaseSync, path: string, version: number): void {
  const expected = TABLES.filter(({ since }) => since <= version);
  const rows = database.prepare("SELECT type, name, sql FROM sqlite_schema").all();
  for (const { type, name, sql } of rows) {
    const isOwn = sql === null
      ? type === "index" && expected.some((table) => name === `sqlite_autoindex_${table.name}_1`)
      : expected.some((table) =>
        type === "table" && table.name === name && isSameSql(table.sql, String(sql))
      );
    if (!isOwn) throw unusable(path, `its ${type} ${JSON.stringify(name)} is not as this program makes it`);
  }
  if (rows.length !== 2 * expected.length) throw unusable(path, "a table is missing in it");
}

function isSameSql(one: string, other: string): boolean {
  const words = (sql: string) => sql.split(/\s+/).join(" ");
  return words(one) === words(other);
}

function readPragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

function readRevocations(database: DatabaseSync, path: string): readonly Revocation[] {
  const known = database.prepare("SELECT count(*) AS count FROM revocations").get();
  if (Number(known?.["count"]) > MOST_REVOCATIONS) {
    throw unusable(path, `it has more than ${MOST_REVOCATIONS} revocations`);
  }
  const rows = database.prepare("SELECT id, expires_at_ms, revocation FROM revocations ORDER BY rowid").all();
  return rows.map((row) => {
    const revocation: unknown = JSON.parse(String(row["revocation"]));
    if (
      isRevocation(revocation) && revocation.id === row["id"] &&
      revocation.expiresAtMs === row["expires_at_ms"]
    ) {
      return revocation;
    }
    throw unusable(path, `the revocation ${JSON.stringify(row["id"])} is not as this program writes it`);
  });
}

function isRevocation(value: unknown): value is Revocation {
  const { id, kind, value: target, jtis, revokedAtMs, expiresAtMs } = Object(value);
  return [id, target].every((text) => typeof text === "string" && text !== "") &&
    ["jti", "user", "session"].includes(kind) &&
    Array.isArray(jtis) && jtis.every((jti) => typeof jti === "string") &&
    [revokedAtMs, expiresAtMs].every((time) => typeof time === "number" && Number.isFinite(time));
}

function readUsedTokens(database: DatabaseSync, path: string, nowMs: number): readonly UsedToken[] {
  const valid = "FROM used_tokens WHERE expires_at_ms > ?";
  const known = database.prepare(`SELECT count(*) AS count, max(octet_length(jti)) AS longest ${valid}`)
    .get(nowMs);
  if (Number(known?.["count"]) > MOST_IN_FILE) {
    throw unusable(path, `it has more than ${MOST_IN_FILE} used tokens`);
  }
  if (Number(known?.["longest"]) > MAX_NAME_SIZE) {
    throw unusable(path, "a used token is not as this program writes it");
  }
  const rows = database.prepare(`SELECT jti, expires_at_ms ${valid}`).all(nowMs);
  return rows.map(({ jti: name, expires_at_ms: expiresAtMs }) => {
    const jti: unknown = JSON.parse(String(name));
    if (typeof jti === "string" && typeof expiresAtMs === "number") return { jti, expiresAtMs };
    throw unusable(path, "a used token is not as this program writes it");
  });
}

function unusable(path: string, state: string, cause?: unknown): StartError {
  return new StartError(`Cannot use state file "${path}": ${state}`, { cause });
}

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

function describe(error: unknown): string {
  if (error instanceof SyntaxError) return "it is damaged";
  if (error instanceof Error && error.message.includes("locked")) return "another process uses it";
  return describeFileError(error, "its folder does not exist");
}
