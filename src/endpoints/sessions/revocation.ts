// What a revocation is.

/** What a revocation names. */
export type RevocationKind = "jti" | "user" | "session";

/** One revocation. */
export interface Revocation {
  /** A random UUID. */
  readonly id: string;
  readonly kind: RevocationKind;
  /** The claim `jti`, the user, or the id of the session. */
  readonly value: string;
  /** The tokens that are revoked by name: one for a `jti`, those of the session for a `session`, none for a `user`. */
  readonly jtis: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly revokedAtMs: number;
  /** The node on which it was revoked; this one if left out. */
  readonly node?: string | undefined;
  /** When it is forgotten, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}
