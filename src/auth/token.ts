// Session tokens: JSON Web Tokens (RFC 7519) signed with HS256, minted and verified strictly.

import { compactVerify, errors, SignJWT } from "jose";
import { UsageError } from "../core/errors.ts";
import type { Key } from "./key.ts";

/** The longest token that is looked at, in characters, which are bytes (a token is ASCII). */
export const MAX_TOKEN_LENGTH = 8 * 1024;

/** The longest name of a user, in UTF-16 code units. */
export const MAX_USER_LENGTH = 256;

/** Who a valid token speaks for. */
export interface Identity {
  /** The claim `user_id` (an integer becomes its decimal text), else `sub`; 1 to 256 characters, none of them invisible. */
  readonly user: string;
  /**
   * The first moment at which the token is expired for this verifier, in milliseconds since 1970; may be centuries ahead
   * (a timer must be clamped) and may be fractional.
   */
  readonly expiresAtMs: number;
  /** All claims, as they were signed. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * What became of a token. `expired` means that nothing but its age is wrong with it. `detail` is a fixed phrase for the
 * log and holds no part of the token.
 */
export type Verification =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: "expired" | "invalid"; readonly detail: string };

/** Judges tokens. */
export interface Verifier {
  /** Never rejects, whatever the token is. */
  verify(token: string): Promise<Verification>;
}

/**
 * Creates a verifier for tokens that are signed with `key`.
 * - `clockToleranceMs`: how far the issuer's clock may be from ours. By default `nbf` and `iat` may lie 5 s ahead, and a
 *   token ends exactly at its `exp`; a value given here applies to all three.
 * - `now`: milliseconds since 1970; `Date.now` by default.
 */
export function createVerifier(
  key: Key,
  options: { clockToleranceMs?: number; now?: () => number } = {},
): Verifier {
  const now = options.now ?? Date.now;
  const aheadMs = options.clockToleranceMs ?? 5000;
  const lateMs = options.clockToleranceMs ?? 0;

  return {
    async verify(token) {
      try {
        const fault = formFault(token);
        if (fault !== undefined) return invalid(fault);
        const { payload, protectedHeader } = await compactVerify(token, key.secret, {
          algorithms: [key.alg],
        });
        // `jose` knows the extension b64 (RFC 7797); a JWT must not use it, named in `crit` or not.
        if (Object.hasOwn(protectedHeader, "crit") || Object.hasOwn(protectedHeader, "b64")) {
          return invalid("header has a critical extension");
        }
        const claims = parseClaims(payload);
        if (claims === undefined) return invalid("claims are not a JSON object");
        return judgeClaims(claims, { nowMs: now(), aheadMs, lateMs });
      } catch (error) {
        const detail = error instanceof errors.JOSEError ? SIGNATURE_DETAILS[error.code] : undefined;
        return invalid(detail ?? "token cannot be verified");
      }
    },
  };
}

/**
 * Mints a token for a user. The user is in `user_id` and, for other software, in the standard claim `sub`; `iat`, `exp` and
 * a random `jti` are set. `expiresInMs` is rounded up to a whole second, and may be negative: such a token is born expired.
 * `claims` are added as they are.
 *
 * @throws {UsageError} when the user could not be accepted by a verifier, a claim is one of those that are set here, the
 *   expiry is out of range, or the token would be longer than 8 KiB
 */
export async function mintToken(
  key: Key,
  options: { user: string; expiresInMs: number; claims: Readonly<Record<string, unknown>> },
): Promise<string> {
  const { user, expiresInMs, claims } = options;
  if (!isUser(user)) {
    throw new UsageError(
      `Cannot create a token for user ${JSON.stringify(user)}: ` +
        `it must have 1 to ${MAX_USER_LENGTH} characters and no control characters`,
    );
  }
  const nowMs = Date.now();
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + Math.ceil(expiresInMs / 1000);
  if (!(exp < END_OF_TIME_S)) {
    throw new UsageError("Cannot create a token: it would expire after the year 9998");
  }
  const own = { sub: user, user_id: user, iat, exp, jti: crypto.randomUUID() };
  for (const name of Object.keys(claims)) {
    if (Object.hasOwn(own, name)) {
      throw new UsageError(`Cannot create a token: claim "${name}" is set by the program`);
    }
  }
  const token = await new SignJWT({ ...claims, ...own })
    .setProtectedHeader({ alg: key.alg, typ: "JWT" })
    .sign(key.secret);
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new UsageError(
      `Cannot create a token: it would have ${token.length} characters, at most ${MAX_TOKEN_LENGTH} are accepted`,
    );
  }
  return token;
}

/** The year 9999 begins, in seconds since 1970: later dates are mistakes, and many programs can't hold them. */
const END_OF_TIME_S = Date.UTC(9999) / 1000;

const THREE_PARTS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The fixed phrases for what `jose` finds, by its error code. */
const SIGNATURE_DETAILS: Readonly<Record<string, string>> = {
  [errors.JWSInvalid.code]: "header is not valid",
  [errors.JOSEAlgNotAllowed.code]: "algorithm is not HS256",
  [errors.JOSENotSupported.code]: "header has a critical extension",
  [errors.JWSSignatureVerificationFailed.code]: "signature does not match",
};

function invalid(detail: string): Verification {
  return { ok: false, reason: "invalid", detail };
}

/** What is wrong with the token before anything is decoded or parsed. */
function formFault(token: string): string | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return "token is too long";
  if (!THREE_PARTS.test(token)) return "token is not three base64url parts";
  // Otherwise one token could be written in several ways, and a list of revoked ones would miss the others.
  if (!token.split(".").every(isCanonical)) return "token is not canonical base64url";
  return undefined;
}

/** Whether the unused bits of the last character are zero, as RFC 4648 §3.5 has it. */
function isCanonical(part: string): boolean {
  switch (part.length % 4) {
    case 1:
      return false;
    case 2:
      return /[AQgw]$/.test(part);
    case 3:
      return /[AEIMQUYcgkosw048]$/.test(part);
    default:
      return true;
  }
}

/** The claims, or undefined if they are no JSON object in UTF-8. Of two with one name the last counts (RFC 7519 §4). */
function parseClaims(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const claims = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
    return typeof claims === "object" && claims !== null && !Array.isArray(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** Judges claims whose signature is good. */
function judgeClaims(
  claims: Record<string, unknown>,
  clock: { nowMs: number; aheadMs: number; lateMs: number },
): Verification {
  if (!Object.hasOwn(claims, "exp")) return invalid("claim exp is missing");
  for (const name of ["exp", "nbf", "iat"]) {
    const fault = dateFault(claims, name);
    if (fault !== undefined) return invalid(fault);
  }
  const { exp, nbf = 0, iat = 0 } = claims as { exp: number; nbf?: number; iat?: number };
  if (nbf * 1000 > clock.nowMs + clock.aheadMs) return invalid("claim nbf is in the future");
  if (iat * 1000 > clock.nowMs + clock.aheadMs) return invalid("claim iat is in the future");

  // A `user_id` that is there but unusable refuses the token: falling back to `sub` would let in somebody else.
  const name = Object.hasOwn(claims, "user_id") ? "user_id" : "sub";
  if (!Object.hasOwn(claims, name)) return invalid("no claim names the user");
  const value = claims[name];
  const user = name === "user_id" && Number.isSafeInteger(value) ? String(value) : value;
  if (!isUser(user)) return invalid(`claim ${name} is not a user`);

  // Last, so that "expired" is said only of a token that was good once.
  const expiresAtMs = exp * 1000 + clock.lateMs;
  if (clock.nowMs >= expiresAtMs) return { ok: false, reason: "expired", detail: "claim exp is in the past" };
  return { ok: true, identity: { user, expiresAtMs, claims } };
}

/** What is wrong with a NumericDate (RFC 7519 §2) that is there. */
function dateFault(claims: Record<string, unknown>, name: string): string | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  if (typeof value !== "number") return `claim ${name} is not a number`;
  // `1e400` is valid JSON and becomes Infinity.
  if (!Number.isFinite(value) || value >= END_OF_TIME_S) return `claim ${name} is out of range`;
  return undefined;
}

/** Format characters and lone surrogates are refused with the control characters: they are invisible in a name. */
function isUser(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= MAX_USER_LENGTH &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value);
}
