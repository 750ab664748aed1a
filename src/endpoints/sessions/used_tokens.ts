// Remembers used tokens, so that each is used only once: in memory and, with a state file, across restarts.
import type { Identity } from "../../auth/token.ts";
import type { Clock } from "./clock.ts";
import { type Ending, ENDINGS } from "./ending.ts";
import { MAX_USED_TOKENS, type StateFile, type UsedToken } from "./state_file.ts";

/** How often a full memory is searched for expired tokens at most, in milliseconds; otherwise once a minute. */
const FULL_SWEEP_INTERVAL_MS = 1000;
const SWEEP_INTERVAL_MS = 60_000;

/** The tokens that were used and have not expired, by their claim `jti`. */
export class UsedTokens {
  readonly #clock: Pick<Clock, "now">;
  readonly #file: StateFile | undefined;
  /** When each expires. */
  readonly #used = new Map<string, number>();
  #sweptAtMs = -Infinity;
  #fileSweptAtMs = -Infinity;

  /** Begins with the tokens in the file, which the caller closes. */
  constructor(clock: Pick<Clock, "now">, file: StateFile | undefined) {
    this.#clock = clock;
    this.#file = file;
    for (const { jti, expiresAtMs } of file?.usedTokens ?? []) this.#used.set(jti, expiresAtMs);
  }

  /** Why this token can't be used now; asking changes nothing. */
  check({ claims: { jti } }: Identity): Ending | undefined {
    if (typeof jti !== "string") return ENDINGS.unnamed;
    const nowMs = this.#clock.now();
    if ((this.#used.get(jti) ?? 0) > nowMs) return ENDINGS.replayed;
    if (this.#used.size >= MAX_USED_TOKENS) this.#forgetExpired(nowMs, FULL_SWEEP_INTERVAL_MS);
    return this.#used.size < MAX_USED_TOKENS ? undefined : ENDINGS.busy;
  }

  /** All that have not expired. */
  list(): readonly UsedToken[] {
    const nowMs = this.#clock.now();
    const list: UsedToken[] = [];
    for (const [jti, expiresAtMs] of this.#used) if (expiresAtMs > nowMs) list.push({ jti, expiresAtMs });
    return list;
  }

  /**
   * Marks a token as used.
   *
   * @throws {StateFileError} when the file can't be written; the mark holds until the process ends
   */
  mark({ claims: { jti }, expiresAtMs }: Identity): void {
    if (typeof jti !== "string") return;
    this.#used.set(jti, expiresAtMs);
    this.#file?.addUsedToken({ jti, expiresAtMs });
    const nowMs = this.#clock.now();
    this.#forgetExpired(nowMs, SWEEP_INTERVAL_MS);
    // By a time of its own: a memory that is often full is looked through more often.
    if (Math.abs(nowMs - this.#fileSweptAtMs) < SWEEP_INTERVAL_MS) return;
    this.#fileSweptAtMs = nowMs;
    this.#file?.sweepUsedTokens(nowMs);
  }

  /**
   * Takes the mark back: the token was not used after all.
   *
   * @throws {StateFileError} when the file can't be written; the token can be used until the process ends
   */
  unmark({ claims: { jti } }: Identity): void {
    if (typeof jti === "string" && this.#used.delete(jti)) this.#file?.removeUsedToken(jti);
  }

  #forgetExpired(nowMs: number, intervalMs: number): void {
    // A clock that was set back must not stop it.
    if (Math.abs(nowMs - this.#sweptAtMs) < intervalMs) return;
    this.#sweptAtMs = nowMs;
    for (const [jti, expiresAtMs] of this.#used) {
      if (expiresAtMs <= nowMs) this.#used.delete(jti);
    }
  }
}
