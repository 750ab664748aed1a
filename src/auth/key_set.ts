// A set of keys, and which of them may verify a token.

import { type Algorithm, importKey, isUnusable, type Key } from "./jwk.ts";

/** How many keys a set may have. */
export const MAX_KEYS = 64;

/**
 * How many keys are tried on one token: without a `kid`, a token must not cost a verification for each key of a large
 * set.
 */
export const MAX_TRIES = 16;

/** What a token's header says about its key. `alg` is only compared with the key's own. */
export interface WantedKey {
  readonly alg: Algorithm;
  readonly kid: string | undefined;
}

/** Why there is no right key. `busy`: it is not known now whether there is one, and the peer should try again later. */
export interface NoKey {
  readonly reason: "invalid" | "busy";
  /** A fixed phrase for the log. */
  readonly detail: string;
}

/** What was found for a token. */
export interface FoundKeys {
  /** The keys to try, at most {@linkcode MAX_TRIES}, all for `wanted.alg`. */
  readonly candidates: readonly Key[];
  /** The result for the token if none of them has signed it. */
  readonly otherwise: NoKey;
}

/** Finds keys, perhaps after fetching new ones. */
export interface KeySource {
  /** Never rejects. */
  find(wanted: WantedKey): Promise<FoundKeys>;
}

/** A set of keys that does not change. */
export class KeySet implements KeySource {
  readonly keys: readonly Key[];

  constructor(keys: readonly Key[]) {
    this.keys = keys;
  }

  /** The key that signs: the first with a private half or a secret, undefined if all can only verify. */
  get signer(): Key | undefined {
    return this.keys.find(({ signingKey }) => signingKey !== undefined);
  }

  /** Whether the token means one of the keys: by name, or by algorithm if it gives no name. */
  isKnown({ alg, kid }: WantedKey): boolean {
    return this.keys.some((key) => kid === undefined ? key.verifyingKeys.has(alg) : key.kid === kid);
  }

  find(wanted: WantedKey): Promise<FoundKeys> {
    return Promise.resolve(this.findNow(wanted));
  }

  /** As `find`. */
  findNow({ alg, kid }: WantedKey): FoundKeys {
    const named = kid === undefined ? [] : this.keys.filter((key) => key.kid === kid);
    // A key without a name may be the one that is meant: a secret as text, and PEM, can't hold a name.
    const meant = named.length > 0
      ? named
      : this.keys.filter((key) => kid === undefined || key.kid === undefined);
    const candidates = meant.filter((key) => key.verifyingKeys.has(alg)).slice(0, MAX_TRIES);
    if (candidates.length > 0) return { candidates, otherwise: WRONG_SIGNATURE };
    const isForeign = named.length > 0 || !this.keys.some((key) => key.verifyingKeys.has(alg));
    return { candidates, otherwise: isForeign ? WRONG_ALGORITHM : UNKNOWN_ID };
  }
}

const WRONG_SIGNATURE: NoKey = { reason: "invalid", detail: "signature does not match" };
const WRONG_ALGORITHM: NoKey = { reason: "invalid", detail: "algorithm is not that of a key" };
const UNKNOWN_ID: NoKey = { reason: "invalid", detail: "key id is unknown" };

/** The keys of a JWK Set, and what is wrong with its other members. */
export interface ReadKeySet {
  readonly keys: readonly Key[];
  /** Without keys that are only for something else. */
  readonly faults: readonly string[];
}

/**
 * Reads a JWK Set (RFC 7517 §5). Keys that are not for signatures are skipped.
 *
 * @returns A sentence fragment with what is wrong if it is not a set, or has more than {@linkcode MAX_KEYS} keys.
 */
export async function readKeySet(set: Readonly<Record<string, unknown>>): Promise<ReadKeySet | string> {
  const { keys: members } = set;
  if (!Array.isArray(members)) return "it is not a JWK Set";
  if (members.length > MAX_KEYS) return `it has ${members.length} keys, at most ${MAX_KEYS} are accepted`;
  const keys: Key[] = [];
  const faults: string[] = [];
  for (const [index, member] of members.entries()) {
    const key = typeof member === "object" && member !== null
      ? await importKey(member)
      : { fault: "it is not an object", isForeign: false };
    if (!isUnusable(key)) keys.push(key);
    else if (!key.isForeign) faults.push(`key ${index + 1}${nameOf(member)}: ${key.fault}`);
  }
  return { keys, faults };
}

/** The name of a key that is not used, so that people can find it. */
function nameOf(member: unknown): string {
  const { kid } = Object(member);
  return typeof kid === "string" && /^[!-~]{1,64}$/.test(kid) ? ` ("${kid}")` : "";
}
