// Every reason why the server refuses or ends a session, and what the peer is told.
import type { CloseReason } from "../../protocol/close_code.ts";

/** Why a session is refused or ended. */
export interface Ending extends CloseReason {
  /** For the log. */
  readonly why: string;
  /** What is sent before the Close frame, because some clients never see its reason. */
  readonly text?: string;
}

/** The closed set of endings, besides those with an administrator's own words. */
export const ENDINGS = {
  expired: { why: "expired", text: "Token Expired", code: 3000, reason: "token expired" },
  invalid: { why: "invalid", text: "Invalid Token", code: 3000, reason: "invalid token" },
  unnamed: { why: "invalid: no jti", text: "Invalid Token", code: 3000, reason: "invalid token" },
  revoked: { why: "revoked", text: "Token Revoked", code: 3000, reason: "token revoked" },
  replayed: { why: "replayed", text: "Token Already Used", code: 3000, reason: "token already used" },
  busy: { why: "busy", text: "Try Again Later", code: 1013, reason: "try again later" },
  closed: {
    why: "other nodes can't be asked",
    text: "Try Again Later",
    code: 1013,
    reason: "try again later",
  },
  tooManySessions: {
    why: "too many sessions",
    text: "Too Many Sessions",
    code: 3003,
    reason: "too many sessions",
  },
  timeout: {
    why: "timeout",
    text: "Authentication Timeout",
    code: 3008,
    reason: "authentication timeout",
  },
  binary: { why: "binary", code: 1003, reason: "a token must be text" },
  tooMuch: { why: "too much", code: 1008, reason: "too much before authentication" },
  tooManyErrors: { why: "too many errors", text: "Too Many Errors", code: 1008, reason: "too many errors" },
  loggedOut: { why: "logged out", code: 1000, reason: "logged out" },
} as const satisfies Record<string, Ending>;
