// All open sessions: decides who may open one more, ends those that are revoked, and lists them.
import type { Identity } from "../../auth/token.ts";
import { isValidCloseCode } from "../../protocol/close_code.ts";
import type { Log } from "../../telemetry/log.ts";
import { ALONE, type Place, type SharedState, type Verdict } from "../../core/shared_state.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { type Ending, ENDINGS } from "./ending.ts";
import {
  checkTtl,
  type Merged,
  type Revocation,
  type RevocationKind,
  RevocationStore,
} from "./revocation_store.ts";
import type { Session, SessionInfo } from "./session.ts";
import { StateFileError, type UsedToken } from "./state_file.ts";
import { UsedTokens } from "./used_tokens.ts";

/** The options for all sessions together. */
export interface SessionRegistryOptions {
  /** How many sessions one user may have at once; `Infinity` for any number. 10 if left out. */
  readonly maxSessionsPerUser?: number;
  /** What happens at that limit; `refuse-newest` if left out. */
  readonly onSessionLimit?: "refuse-newest" | "close-oldest";
  /** Whether a token, known by its `jti`, can be used once only; false if left out. */
  readonly replayCheck?: boolean;
  /** In memory if left out; the caller closes it. */
  readonly revocations?: RevocationStore;
  /** What other nodes know; this process is alone if left out. */
  readonly shared?: SharedState;
  readonly log?: Log;
  /** The machine's time if left out. */
  readonly clock?: Pick<Clock, "now">;
}

/** A request to revoke. */
export interface RevocationRequest {
  readonly kind: RevocationKind;
  /** The claim `jti`, the user, or the id of an open session. */
  readonly value: string;
  /** Whole milliseconds from 1 to `MAX_REVOCATION_TTL_MS`. */
  readonly ttlMs: number;
  /** The tokens of a session that is open on another node. */
  readonly jtis?: readonly string[] | undefined;
}

/** What is known of a session before it is open. */
export type NewPlace = Pick<Place, "id" | "address" | "connection">;

/** RFC 6455 §5.5: a control frame has at most 125 bytes, two of which are the code. */
const MAX_REASON_SIZE = 123;

/** The open sessions of a process. */
export class SessionRegistry {
  readonly #options: Required<SessionRegistryOptions>;
  readonly #sessions = new Map<string, Session>();
  /** Each user's sessions, the oldest first. */
  readonly #byUser = new Map<string, Set<Session>>();
  /** Ids of sessions that may still fail: no other session is ended for them. */
  readonly #trials = new Set<string>();
  /** Undefined without the replay check. */
  readonly #usedTokens: UsedTokens | undefined;

  constructor(options: SessionRegistryOptions = {}) {
    const clock = options.clock ?? SYSTEM_CLOCK;
    this.#options = {
      maxSessionsPerUser: 10,
      onSessionLimit: "refuse-newest",
      replayCheck: false,
      revocations: new RevocationStore({ clock }),
      shared: ALONE,
      log: () => {},
      ...options,
      clock,
    };
    const { replayCheck, revocations } = this.#options;
    this.#usedTokens = replayCheck ? new UsedTokens(clock, revocations.file) : undefined;
  }

  /** How many sessions are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Whether a session is open here. */
  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** What other nodes are told of a session that is open here. */
  place(id: string): Place | undefined {
    return this.#sessions.get(id)?.place();
  }

  /** What can be told about a session that is open here. */
  info(id: string): SessionInfo | undefined {
    return this.#sessions.get(id)?.info();
  }

  /** The ids of all sessions that are open here. */
  ids(): Iterable<string> {
    return this.#sessions.keys();
  }

  /** The tokens that were used here, with the replay check. */
  usedTokens(): readonly UsedToken[] {
    return this.#usedTokens?.list() ?? [];
  }

  /** All open sessions, the oldest first. */
  list(): SessionInfo[] {
    return [...this.#sessions.values()].map((session) => session.info());
  }

  /**
   * Ends a session with a close code and a reason of at most 123 bytes; false if there is none with this id.
   *
   * @throws {RangeError} when the code or the reason can't be in a Close frame
   */
  close(id: string, code: number, reason: string): boolean {
    if (!isValidCloseCode(code)) throw new RangeError(`Cannot close a session with the code ${code}`);
    if (new TextEncoder().encode(reason).length > MAX_REASON_SIZE) {
      throw new RangeError(`Cannot close a session: the reason has more than ${MAX_REASON_SIZE} bytes`);
    }
    const session = this.#sessions.get(id);
    session?.end({ why: "closed by an administrator", code, reason });
    return session !== undefined;
  }

  /**
   * Revokes, and ends the sessions concerned; their tokens open no other. Undefined for a session that is not open:
   * there is nothing to revoke.
   *
   * @throws {RangeError} when the time to live is out of range; nothing is revoked then
   * @throws {Error} when the state file can't be written; the sessions are ended all the same, and the revocation holds
   *   until the process ends
   */
  revoke({ kind, value, ttlMs, jtis: others }: RevocationRequest): Revocation | undefined {
    checkTtl(ttlMs);
    const named = kind === "session" ? this.#sessions.get(value) : undefined;
    if (kind === "session" && named === undefined && others === undefined) return undefined;
    const jtis = kind === "jti" ? [value] : named?.jtis ?? others ?? [];
    const users = kind === "user" ? this.#byUser.get(value) : undefined;
    const { revocations, shared, log } = this.#options;
    const onPut = ({ id }: Revocation, replaced: Revocation | undefined) => shared.revoked(id, replaced?.id);
    try {
      const revocation = revocations.add({ kind, value, jtis, ttlMs }, onPut);
      log("revocation.added", { kind, target: value, revocation: revocation.id });
      return revocation;
    } finally {
      // Also when the state file can't be written: a full disk must not keep an intruder in.
      for (const session of [...this.#sessions.values()]) {
        const isConcerned = session === named || users?.has(session) ||
          session.jtis.some((jti) => jtis.includes(jti));
        if (isConcerned) session.end(ENDINGS.revoked);
      }
    }
  }

  /** The revocations that have not expired, oldest first. */
  revocations(): Revocation[] {
    return this.#options.revocations.list();
  }

  /** A revocation that has not expired. */
  revocation(id: string): Revocation | undefined {
    return this.#options.revocations.get(id);
  }

  /** Takes a revocation back; false if there is none with this id. What it ended stays ended. */
  removeRevocation(id: string): boolean {
    const { revocations, shared, log } = this.#options;
    const expiresAtMs = revocations.get(id)?.expiresAtMs;
    const isRemoved = revocations.remove(id);
    if (isRemoved) {
      shared.unrevoked(id, expiresAtMs!);
      log("revocation.removed", { revocation: id });
    }
    return isRemoved;
  }

  /**
   * Takes in what other nodes revoked and took back, and ends the sessions concerned. Returns what they have to be told:
   * revocations that were merged, and those of sessions with more tokens than they knew.
   */
  followRevocations(given: readonly Revocation[], removedIds: readonly string[]): readonly Merged[] {
    const { revocations, log } = this.#options;
    const added = given.map((one) => this.#withAllTokens(one));
    let merged: readonly Merged[] = [];
    try {
      merged = revocations.merge(added, removedIds);
    } catch (error) {
      if (!(error instanceof StateFileError)) throw error;
      log("revocation.not_stored", { error: error.message });
    }
    const jtis = new Set(added.flatMap(({ jtis }) => jtis));
    const concerned = new Set<Session>();
    for (const { kind, value } of added) {
      const named = kind === "session" ? this.#sessions.get(value) : undefined;
      if (named !== undefined) concerned.add(named);
      for (const session of kind === "user" ? this.#byUser.get(value) ?? [] : []) {
        // A session whose token was made after it goes on, however late the revocation arrived.
        if (revocations.covers(session.identity)) concerned.add(session);
      }
    }
    for (const session of jtis.size === 0 ? [] : this.#sessions.values()) {
      if (session.jtis.some((jti) => jtis.has(jti))) concerned.add(session);
    }
    for (const session of concerned) session.end(ENDINGS.revoked);
    const completed = added.filter((one, i) => one !== given[i] && revocations.get(one.id) !== undefined);
    return [...merged, ...completed.map(({ id }) => ({ keptId: id, droppedId: undefined }))];
  }

  /** Of a session that is open here nobody else may know all tokens. */
  #withAllTokens(revocation: Revocation): Revocation {
    const { kind, value, jtis } = revocation;
    const own = kind === "session" ? this.#sessions.get(value)?.jtis ?? [] : [];
    if (own.every((jti) => jtis.includes(jti))) return revocation;
    return { ...revocation, jtis: [...new Set([...jtis, ...own])] };
  }

  /** Ends a session because its user has opened too many after it; nothing if it is not open. */
  endForLimit(id: string): void {
    this.#sessions.get(id)?.end(ENDINGS.tooManySessions);
  }

  /** Why this token can't be used now; asking changes nothing. */
  check(identity: Identity): Ending | undefined {
    if (this.#options.revocations.covers(identity)) return ENDINGS.revoked;
    if (this.#options.shared.isClosed) return ENDINGS.closed;
    return this.#usedTokens?.check(identity);
  }

  /**
   * As `admit`, on all nodes together. A promise takes a round trip and resolves with a function that decides. Right
   * after it was called, the session must be added, or given up if the peer is gone.
   *
   * @param isTrial Whether it may still fail: then the oldest sessions are ended only when `opened` is called.
   */
  request(
    identity: Identity,
    place: NewPlace,
    isTrial = false,
  ): Ending | undefined | Promise<() => Ending | undefined> {
    const refusal = this.check(identity);
    if (refusal !== undefined) return refusal;
    const { user, expiresAtMs, claims: { jti } } = identity;
    const name = typeof jti === "string" ? jti : undefined;
    const startedAtMs = this.#options.clock.now();
    const jtis = name === undefined ? [] : [name];
    const verdict = this.#options.shared.admit({ ...place, user, startedAtMs, expiresAtMs, jtis }, name);
    const settle = (known: Verdict) => this.#settle(identity, place.id, known, isTrial);
    if (!(verdict instanceof Promise)) return settle(verdict);
    return verdict.then((late) => () => settle(late));
  }

  /** A session that was admitted did not begin: its token can be used again, here and on the other nodes. */
  giveUp(identity: Identity, id: string): void {
    this.#trials.delete(id);
    this.#store(identity, (usedTokens) => usedTokens.unmark(identity));
    this.abandon(identity, id);
  }

  /**
   * The peer of a session that other nodes were asked for is gone. Nothing is taken back here, because nothing was
   * decided here: the same token may have opened another session meanwhile.
   */
  abandon({ claims: { jti } }: Identity, id: string): void {
    this.#options.shared.ended(id, typeof jti === "string" ? jti : undefined);
  }

  /** A session that was on trial can't fail any more. */
  opened({ id, user }: Session): void {
    if (!this.#trials.delete(id)) return;
    const sessions = [...this.#byUser.get(user) ?? []].filter((one) => !this.#trials.has(one.id));
    for (const oldest of sessions.slice(0, Math.max(0, sessions.length - this.#options.maxSessionsPerUser))) {
      oldest.end(ENDINGS.tooManySessions);
    }
  }

  #settle(identity: Identity, id: string, verdict: Verdict, isTrial: boolean): Ending | undefined {
    if (verdict === "alone") return this.#admit(identity, isTrial ? id : undefined);
    if (verdict !== "ok") return refusalOf(verdict);
    // It may have been revoked while the others were asked.
    if (this.#options.revocations.covers(identity)) {
      this.abandon(identity, id);
      return ENDINGS.revoked;
    }
    this.#markUsed(identity);
    return undefined;
  }

  /**
   * Makes room for a session with this token and marks the token as used, or returns why there can't be one. The
   * session must be added before anything else happens.
   */
  admit(identity: Identity): Ending | undefined {
    return this.#admit(identity, undefined);
  }

  #admit(identity: Identity, trial: string | undefined): Ending | undefined {
    const { maxSessionsPerUser, onSessionLimit } = this.#options;
    const refusal = this.check(identity);
    if (refusal !== undefined) return refusal;
    const sessions = this.#byUser.get(identity.user);
    if (sessions !== undefined && sessions.size >= maxSessionsPerUser) {
      if (onSessionLimit === "refuse-newest") return ENDINGS.tooManySessions;
      if (trial === undefined) {
        for (const oldest of [...sessions].slice(0, sessions.size - maxSessionsPerUser + 1)) {
          oldest.end(ENDINGS.tooManySessions);
        }
      } else if ([...sessions].filter(({ id }) => this.#trials.has(id)).length >= maxSessionsPerUser) {
        return ENDINGS.tooManySessions;
      }
    }
    if (trial !== undefined) this.#trials.add(trial);
    this.#markUsed(identity);
    return undefined;
  }

  /** Marks the token that extends a session as used, or says why it can't be used. A promise takes a round trip. */
  use(identity: Identity, sessionId: string): Ending | undefined | Promise<Ending | undefined> {
    const refusal = this.check(identity);
    if (refusal !== undefined) return refusal;
    const { claims: { jti }, expiresAtMs } = identity;
    const verdict = typeof jti === "string" ? this.#options.shared.use(sessionId, jti, expiresAtMs) : "alone";
    if (!(verdict instanceof Promise)) return this.#settleUse(identity, verdict);
    return verdict.then((late) => this.#settleUse(identity, late));
  }

  #settleUse(identity: Identity, verdict: Verdict): Ending | undefined {
    if (verdict !== "ok" && verdict !== "alone") return refusalOf(verdict);
    const refusal = verdict === "alone"
      ? this.check(identity)
      : this.#options.revocations.covers(identity)
      ? ENDINGS.revoked
      : undefined;
    if (refusal === undefined) this.#markUsed(identity);
    return refusal;
  }

  /** A session was extended. */
  extended(session: Session): void {
    this.#options.shared.changed(session.place());
  }

  /** Takes a session in after `admit`. */
  add(session: Session): void {
    this.#sessions.set(session.id, session);
    const sessions = this.#byUser.get(session.user);
    if (sessions === undefined) this.#byUser.set(session.user, new Set([session]));
    else sessions.add(session);
  }

  /** Removes a session that has ended; harmless when called twice. */
  remove(session: Session): void {
    this.#trials.delete(session.id);
    if (this.#sessions.delete(session.id)) this.#options.shared.ended(session.id);
    const sessions = this.#byUser.get(session.user);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#byUser.delete(session.user);
  }

  #markUsed(identity: Identity): void {
    this.#store(identity, (usedTokens) => usedTokens.mark(identity));
  }

  /** In memory it is done in any case: a full disk must not keep everybody out. */
  #store({ user }: Identity, change: (usedTokens: UsedTokens) => void): void {
    try {
      if (this.#usedTokens !== undefined) change(this.#usedTokens);
    } catch (error) {
      if (!(error instanceof StateFileError)) throw error;
      this.#options.log("token.not_stored", { user, error: error.message });
    }
  }
}

function refusalOf(verdict: "full" | "used" | "refused"): Ending {
  return verdict === "full"
    ? ENDINGS.tooManySessions
    : verdict === "used"
    ? ENDINGS.replayed
    : ENDINGS.closed;
}
