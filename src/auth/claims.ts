// The claims of a token whose signature is good (RFC 7519 §4): when it is valid, for whom, and who it speaks for.

import { isRawNumber } from "../core/bounded_json.ts";
import { readUserName } from "./user_name.ts";

/**
 * The beginning of the year 10000, in seconds since 1970: later dates are mistakes, and many programs can't write them.
 */
export const END_OF_TIME_S = Date.UTC(10_000) / 1000;

/** Who a valid token speaks for. */
export interface Identity {
  /** The claim `user_id` (an integer becomes its decimal text), else `sub`, in the one form that {@linkcode readUserName} gives. */
  readonly user: string;
  /**
   * When the token expires for this verifier, clock tolerance included, in milliseconds since 1970. May be centuries
   * ahead (clamp timers) and fractional.
   */
  readonly expiresAtMs: number;
  /** The claim `jti`, by which one token can be revoked. */
  readonly tokenId?: string;
  /** The claim `iat`, in milliseconds since 1970; may be fractional. */
  readonly issuedAtMs?: number;
  /** All claims, as they were signed; a number that a double can't hold is a `RawNumber`. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * The result for a token. `expired`: only its age is wrong; `busy`: it was not looked at, because too many others wait,
 * and the peer should try again later. `detail` is a fixed phrase for the log, without any part of the token.
 */
export type Verification =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: "expired" | "invalid" | "busy"; readonly detail: string };

/** What claims must have beyond a user and an expiry. */
export interface ClaimRules {
  /** The claim `iss` must be this. Without it, any issuer will do, named or not. */
  readonly issuer?: string | undefined;
  /** The claim `aud` must name one of these. Without any, a token that names an audience is meant for somebody else. */
  readonly audience?: readonly string[];
  /** A token expires at most this long after its `iat`, which it must have then; `Infinity` by default. */
  readonly maxTokenAgeMs?: number;
  /** How far the issuer's clock may be from ours, in milliseconds; it holds for `exp`, `nbf`, `iat` and the age. 5 s. */
  readonly clockToleranceMs?: number;
}

/** The default for that, in milliseconds. */
const DEFAULT_CLOCK_TOLERANCE_MS = 5000;

/** Judges the claims of a token whose signature is good, at a time in milliseconds since 1970. */
export function judgeClaims(
  claims: Readonly<Record<string, unknown>>,
  rules: ClaimRules,
  nowMs: number,
): Verification {
  const { maxTokenAgeMs = Infinity, clockToleranceMs = DEFAULT_CLOCK_TOLERANCE_MS } = rules;
  const fault = datesFault(claims, nowMs + clockToleranceMs) ?? issuerFault(claims, rules) ??
    audienceFault(claims, rules) ?? tokenIdFault(claims);
  if (fault !== undefined) return invalid(fault);
  const { exp, iat, jti } = claims as { exp: number; iat?: number; jti?: string };
  if (iat === undefined && maxTokenAgeMs !== Infinity) return invalid("claim iat is missing");

  // A token with an unusable `user_id` is refused: `sub` could be somebody else.
  const name = Object.hasOwn(claims, "user_id") ? "user_id" : "sub";
  if (!Object.hasOwn(claims, name)) return invalid("no claim names the user");
  const value = claims[name];
  const text = name === "user_id" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string") return invalid(`claim ${name} is not a user`);
  const user = readUserName(text);
  if (!user.ok) return invalid(`claim ${name} is not a user: ${user.fault}`);

  // Last, so that only a token that was valid once is called expired.
  const oldAtMs = (iat ?? 0) * 1000 + maxTokenAgeMs;
  const expiresAtMs = Math.min(exp * 1000, oldAtMs) + clockToleranceMs;
  if (nowMs >= expiresAtMs) {
    const detail = exp * 1000 <= oldAtMs ? "claim exp is in the past" : "claim iat is too long ago";
    return { ok: false, reason: "expired", detail };
  }
  return {
    ok: true,
    identity: {
      user: user.name,
      expiresAtMs,
      claims,
      ...(jti === undefined ? {} : { tokenId: jti }),
      ...(iat === undefined ? {} : { issuedAtMs: iat * 1000 }),
    },
  };
}

/** The result for a token that is wrong in any way but its age. */
export function invalid(detail: string): Verification {
  return { ok: false, reason: "invalid", detail };
}

function datesFault(claims: Readonly<Record<string, unknown>>, latestMs: number): string | undefined {
  if (!Object.hasOwn(claims, "exp")) return "claim exp is missing";
  for (const name of ["exp", "nbf", "iat"]) {
    if (!Object.hasOwn(claims, name)) continue;
    const date = claims[name];
    // Rounded, it would be another date.
    if (isRawNumber(date)) return `claim ${name} has too many digits`;
    if (typeof date !== "number") return `claim ${name} is not a number`;
    if (!(date >= 0 && date < END_OF_TIME_S)) return `claim ${name} is out of range`;
    if (name !== "exp" && date * 1000 > latestMs) return `claim ${name} is in the future`;
  }
  return undefined;
}

function issuerFault(claims: Readonly<Record<string, unknown>>, { issuer }: ClaimRules): string | undefined {
  if (issuer === undefined) return undefined;
  if (!Object.hasOwn(claims, "iss")) return "claim iss is missing";
  return claims.iss === issuer ? undefined : "claim iss is not the issuer";
}

/** RFC 7519 §4.1.3: a token that names an audience must be refused by all that are not in it. */
function audienceFault(
  claims: Readonly<Record<string, unknown>>,
  { audience = [] }: ClaimRules,
): string | undefined {
  if (!Object.hasOwn(claims, "aud")) return audience.length === 0 ? undefined : "claim aud is missing";
  const named: readonly unknown[] = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  if (!named.every((name) => typeof name === "string")) return "claim aud is not text";
  if (audience.length === 0) return "claim aud is there, but no audience is configured";
  return audience.some((name) => named.includes(name)) ? undefined : "claim aud names somebody else";
}

// Any other `jti` could not be compared, and so not be revoked.
function tokenIdFault(claims: Readonly<Record<string, unknown>>): string | undefined {
  if (!Object.hasOwn(claims, "jti")) return undefined;
  return typeof claims.jti === "string" && claims.jti !== "" ? undefined : "claim jti is not text";
}
