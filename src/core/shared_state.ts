// What the nodes of a cluster share, as the parts of one node use it. Without Redis, this process is the only node.

/** A session, as other nodes know it. */
export interface Place {
  readonly id: string;
  readonly user: string;
  readonly address: string;
  readonly connection: string;
  /** Milliseconds since the Unix epoch, as all times here. */
  readonly startedAtMs: number;
  readonly expiresAtMs: number;
  /** The names of its tokens. */
  readonly jtis: readonly string[];
}

/**
 * What the nodes say about a session or a token: `alone` when this node decides by itself, `refused` when the others
 * can't be asked and nothing may be decided without them.
 */
export type Verdict = "alone" | "ok" | "full" | "used" | "refused";

/** What nodes share. Nothing here throws or rejects, and only what returns a promise waits. */
export interface SharedState {
  /** Whether no session is opened now, because the other nodes can't be asked. */
  readonly isClosed: boolean;
  /** Asks for a session, and marks its token as used. A promise takes one round trip, and at most --redis-timeout. */
  admit(place: Place, jti: string | undefined): Verdict | Promise<Verdict>;
  /** Marks the token of a refresh as used. */
  use(sessionId: string, jti: string, expiresAtMs: number): Verdict | Promise<Verdict>;
  /** A session was extended. */
  changed(place: Place): void;
  /** A session has ended; with `jti`, it never began and its token was not used. */
  ended(id: string, jti?: string): void;
  /** A revocation was added, perhaps in place of another. */
  revoked(id: string, replacedId: string | undefined): void;
  /** A revocation was taken back that would have lasted so long. */
  unrevoked(id: string, expiresAtMs: number): void;
  /** A client is banned from now on. */
  banned(client: string, forMs: number): void;
  unbanned(client: string): void;
  /** A client broke a rule. */
  violated(client: string): void;
  /** Resolves when the others can know all that was said until now; false if they can't. */
  told(): Promise<boolean>;
}

/** A process without other nodes: everything is in its own memory. */
export const ALONE: SharedState = {
  isClosed: false,
  admit: () => "alone",
  use: () => "alone",
  changed() {},
  ended() {},
  revoked() {},
  unrevoked() {},
  banned() {},
  unbanned() {},
  violated() {},
  told: () => Promise.resolve(true),
};
