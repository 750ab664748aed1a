// Revocations, kept in memory and, with a state file, in SQLite across restarts.
import type { Identity } from "../../auth/token.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import type { Revocation, RevocationKind } from "./revocation.ts";
import { StateFile } from "./state_file.ts";

export type { Revocation, RevocationKind };

/** What to revoke. */
export interface NewRevocation extends Pick<Revocation, "kind" | "value" | "jtis"> {
  /** How long it lasts, in whole milliseconds from 1 to `MAX_REVOCATION_TTL_MS`; to be safe, longer than any token lives. */
  readonly ttlMs: number;
}

/** How a store is opened. */
export interface RevocationStoreOptions {
  /** The SQLite file; in memory only if left out. */
  readonly path?: string | undefined;
  /** How far ahead of our clock the `iat` of a token may be, in milliseconds; 0 if left out. */
  readonly clockToleranceMs?: number;
  /** The machine's time if left out. */
  readonly clock?: Pick<Clock, "now">;
}

/** Two revocations of the same thing that became one; or one that has more in it than was told, in the place of none. */
export interface Merged {
  readonly keptId: string;
  readonly droppedId: string | undefined;
}

/** The longest time to live: ten years. */
export const MAX_REVOCATION_TTL_MS = 10 * 365 * 86_400_000;

/**
 * The revocations that have not expired. A token is revoked
 * - by its `jti`, or that of a revoked session that it opened or extended;
 * - by its user, if it was issued (`iat`) at or before the moment of the revocation or does not say when. `iat` is in
 *   whole seconds and may be ahead by the clock tolerance, so a token that is made right afterwards is revoked too.
 *
 * There is one revocation of a thing: a later one replaces the earlier, and lasts as long as the longer of both.
 */
export class RevocationStore {
  readonly #clock: Pick<Clock, "now">;
  readonly #clockToleranceMs: number;
  /** Undefined without a state file. */
  readonly file: StateFile | undefined;
  readonly #all = new Map<string, Revocation>();
  /** By kind and value. */
  readonly #byTarget = new Map<string, Revocation>();
  readonly #byJti = new Map<string, Set<Revocation>>();
  #nextExpiryMs = Infinity;

  /**
   * Opens the store; the file belongs to this process until it is closed.
   *
   * @throws {StartError} `Cannot use state file "...": ...`
   */
  constructor({ path, clockToleranceMs = 0, clock = SYSTEM_CLOCK }: RevocationStoreOptions = {}) {
    this.#clock = clock;
    this.#clockToleranceMs = clockToleranceMs;
    this.file = path === undefined ? undefined : new StateFile(path, clock.now());
    let isMerged = false;
    for (const row of this.file?.revocations ?? []) {
      isMerged = this.#put(row).replaced !== undefined || isMerged;
    }
    // Otherwise taking back the later one would bring the earlier ones back.
    if (isMerged) this.file?.putAllRevocations(this.#all.values());
  }

  /**
   * Adds a revocation. When this returns it is on the disk, if there is a state file, and outlives even a kill. If it throws
   * because the file can't be written, the revocation still holds until the process ends. `onPut` is told it before the file
   * is written, with the one whose place it takes.
   *
   * @throws {RangeError} when the time to live is out of range
   * @throws {StateFileError} when the file can't be written
   */
  add(
    { kind, value, jtis, ttlMs }: NewRevocation,
    onPut: (revocation: Revocation, replaced: Revocation | undefined) => void = () => {},
  ): Revocation {
    checkTtl(ttlMs);
    this.#sweep();
    const revokedAtMs = this.#clock.now();
    const { revocation, replaced } = this.#put({
      id: crypto.randomUUID(),
      kind,
      value,
      jtis: [...jtis],
      revokedAtMs,
      expiresAtMs: revokedAtMs + ttlMs,
    });
    onPut(revocation, replaced);
    this.file?.putRevocation(revocation, revokedAtMs, replaced?.id);
    return revocation;
  }

  /** A revocation that has not expired. */
  get(id: string): Revocation | undefined {
    this.#sweep();
    return this.#all.get(id);
  }

  /**
   * Takes in what was revoked and taken back elsewhere. Of two revocations of the same thing the one with the higher id
   * is kept, so that all nodes keep the same.
   *
   * @returns The ids of the kept and the dropped one of each two; the kept one has what both had.
   * @throws {StateFileError} when the file can't be written; what was taken in holds until the process ends
   */
  merge(added: readonly Revocation[], removedIds: readonly string[]): readonly Merged[] {
    const merged: Merged[] = [];
    // What to delete from the file, and then to store in it.
    const gone = new Set<string>();
    const put = new Map<string, Revocation>();
    for (const id of removedIds) {
      const known = this.#all.get(id);
      if (known === undefined) continue;
      this.#forget(known);
      gone.add(id);
    }
    for (const one of added) {
      if (one.expiresAtMs <= this.#clock.now()) continue;
      const known = this.#byTarget.get(targetOf(one.kind, one.value));
      const { id } = known !== undefined && known.id > one.id ? known : one;
      const { revocation, replaced } = this.#put({ ...one, id });
      if (replaced !== undefined) {
        gone.add(replaced.id);
        put.delete(replaced.id);
      }
      put.set(id, revocation);
      if (replaced !== undefined && replaced.id !== one.id) {
        merged.push({ keptId: id, droppedId: id === one.id ? replaced.id : one.id });
      }
    }
    if (gone.size + put.size > 0) this.file?.changeRevocations(gone, put.values());
    return merged;
  }

  /** All that have not expired, oldest first. */
  list(): Revocation[] {
    this.#sweep();
    return [...this.#all.values()];
  }

  /**
   * Takes a revocation back, on the disk too when this returns; false if there is none with this id.
   *
   * @throws {StateFileError} when the file can't be written; the revocation stays then
   */
  remove(id: string): boolean {
    this.#sweep();
    const revocation = this.#all.get(id);
    if (revocation === undefined) return false;
    this.file?.removeRevocation(id);
    this.#forget(revocation);
    return true;
  }

  /** Whether a token with these claims is revoked now. */
  covers({ user, claims: { jti, iat } }: Identity): boolean {
    const nowMs = this.#clock.now();
    for (const { expiresAtMs } of typeof jti === "string" ? this.#byJti.get(jti) ?? [] : []) {
      if (nowMs < expiresAtMs) return true;
    }
    const revocation = this.#byTarget.get(targetOf("user", user));
    if (revocation === undefined || nowMs >= revocation.expiresAtMs) return false;
    return !(typeof iat === "number" && iat * 1000 > revocation.revokedAtMs + this.#clockToleranceMs);
  }

  /** Closes the file; harmless when called twice. */
  close(): void {
    this.file?.close();
  }

  /** Stores one, in place of an earlier one of the same thing. */
  #put(given: Revocation): { readonly revocation: Revocation; readonly replaced: Revocation | undefined } {
    const target = targetOf(given.kind, given.value);
    const replaced = this.#byTarget.get(target);
    // The later moment too: the clock may have been set back.
    const revocation = replaced === undefined ? given : {
      ...given,
      jtis: [...new Set([...replaced.jtis, ...given.jtis])],
      revokedAtMs: Math.max(replaced.revokedAtMs, given.revokedAtMs),
      expiresAtMs: Math.max(replaced.expiresAtMs, given.expiresAtMs),
    };
    if (replaced !== undefined) this.#forget(replaced);
    this.#all.set(revocation.id, revocation);
    this.#byTarget.set(target, revocation);
    for (const jti of revocation.jtis) addTo(this.#byJti, jti, revocation);
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, revocation.expiresAtMs);
    return { revocation, replaced };
  }

  #forget(revocation: Revocation): void {
    this.#all.delete(revocation.id);
    this.#byTarget.delete(targetOf(revocation.kind, revocation.value));
    for (const jti of revocation.jtis) removeFrom(this.#byJti, jti, revocation);
  }

  /** Forgets what has expired; the file does so at its next write. */
  #sweep(): void {
    const nowMs = this.#clock.now();
    if (nowMs < this.#nextExpiryMs) return;
    this.#nextExpiryMs = Infinity;
    for (const revocation of this.#all.values()) {
      if (revocation.expiresAtMs <= nowMs) this.#forget(revocation);
      else this.#nextExpiryMs = Math.min(this.#nextExpiryMs, revocation.expiresAtMs);
    }
  }
}

function targetOf(kind: RevocationKind, value: string): string {
  return `${kind}:${value}`;
}

/**
 * Checks how long a revocation lasts, in milliseconds.
 *
 * @throws {RangeError} when it is not a whole number from 1 to `MAX_REVOCATION_TTL_MS`
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
