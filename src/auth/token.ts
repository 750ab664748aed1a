// Session tokens: JSON Web Tokens (RFC 7519), minted and verified by RFC 8725.

import { UsageError } from "../core/errors.ts";
import { decodeBase64url, isBase64url } from "./base64url.ts";
import {
  type ClaimRules,
  END_OF_TIME_S,
  type Identity,
  invalid,
  judgeClaims,
  type Verification,
} from "./claims.ts";
import { type Algorithm, isAlgorithm, type Key } from "./jwk.ts";
import type { KeySource, WantedKey } from "./key_set.ts";
import { isSignedWith } from "./signature.ts";
import { HEADER_LIMITS, parseStrictJson, readStrictMembers } from "../core/strict_json.ts";
import { readUserName } from "./user_name.ts";
import { WorkQueue } from "./work_queue.ts";

export { type Identity, type Verification };

/** The longest token that is read, in characters, which are bytes (tokens are ASCII). */
export const MAX_TOKEN_LENGTH = 8 * 1024;

/** How many signatures are verified at once; with more, open sessions would notice. */
export const MAX_VERIFICATIONS = 4;

/** How many tokens may wait for that; one more is `busy`. */
export const MAX_WAITING_TOKENS = 256;

/** Verifies tokens. */
export interface Verifier {
  /**
   * Verifies a token; white space around it is ignored. Rejects only for a fault of the program, whatever the token is.
   */
  verify(token: string): Promise<Verification>;
}

/** What a token must have besides a good signature, a user and an expiry. */
export interface VerifierOptions extends ClaimRules {
  /**
   * The header parameter `typ` must be this media type, in any case, and may leave out `application/`
   * (RFC 8725 §3.11, RFC 7515 §4.1.9). Without it, any type will do.
   */
  readonly tokenType?: string | undefined;
  /** Milliseconds since 1970; `Date.now` by default. */
  readonly now?: () => number;
}

/**
 * Creates a verifier for tokens that are signed with any of `keys`. It verifies at most {@linkcode MAX_VERIFICATIONS}
 * signatures at once, off the main thread, so that a flood of bad tokens can't starve open sessions.
 */
export function createVerifier(keys: KeySource, options: VerifierOptions = {}): Verifier {
  const { now = Date.now, tokenType } = options;
  const queue = new WorkQueue({ atOnce: MAX_VERIFICATIONS, waiting: MAX_WAITING_TOKENS });

  async function verify(given: string): Promise<Verification> {
    // Clients that work by lines end their first message with a line break.
    const token = given.trim();
    const fault = formFault(token);
    if (fault !== undefined) return invalid(fault);
    const [header = "", payload = ""] = token.split(".");
    const wanted = readHeader(header, tokenType);
    if (typeof wanted === "string") return invalid(wanted);

    const { candidates, otherwise } = await keys.find(wanted);
    const isSigned = candidates.length > 0 &&
      await queue.run(() => isSignedBy(candidates, wanted.alg, token));
    if (isSigned === undefined) {
      return { ok: false, reason: "busy", detail: "too many tokens wait for verification" };
    }
    if (!isSigned) return { ok: false, ...otherwise };

    const claims = parseStrictJson(decodeBase64url(payload)!);
    if (!claims.ok) return invalid(`claims: ${claims.fault}`);
    return judgeClaims(claims.value, options, now());
  }

  return { verify };
}

/** Who a new token is for. */
export interface MintOptions {
  /** As {@linkcode readUserName} takes it. */
  readonly user: string;
  /** Rounded up to a whole second; if negative, the token is expired from the start. */
  readonly expiresInMs: number;
  /** Added as they are. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The claim `iss`. */
  readonly issuer?: string | undefined;
  /** The claim `aud`: text for one, a list for several, absent for none. */
  readonly audience?: readonly string[];
  /** The header parameter `typ`; `JWT` by default. */
  readonly tokenType?: string | undefined;
}

/**
 * Mints a token for a user with a key that can sign. The user is in `user_id` and, for other software, in the standard
 * claim `sub`; `iat`, `exp` and a random `jti` are set, and the key's name is in the header.
 *
 * @throws {UsageError} when the key can only verify, the user could not be accepted by a verifier, a claim is one of those
 *   that are set here, the expiry is out of range, or the token would be longer than 8 KiB
 */
export async function mintToken(key: Key, options: MintOptions): Promise<string> {
  const { expiresInMs, claims, issuer, audience = [], tokenType = "JWT" } = options;
  if (key.signingKey === undefined) {
    throw new UsageError("Cannot create a token: the key is public, it can only verify");
  }
  const name = readUserName(options.user);
  if (!name.ok) {
    throw new UsageError(`Cannot create a token for user ${JSON.stringify(options.user)}: ${name.fault}`);
  }
  const user = name.name;
  const iat = Math.floor(Date.now() / 1000);
  const exp = iat + Math.ceil(expiresInMs / 1000);
  if (!(exp < END_OF_TIME_S)) {
    throw new UsageError("Cannot create a token: it would expire after the year 9999");
  }
  const own = {
    sub: user,
    user_id: user,
    iat,
    exp,
    jti: crypto.randomUUID(),
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience.length === 0 ? {} : { aud: audience.length === 1 ? audience[0]! : [...audience] }),
  };
  for (const claim of Object.keys(claims)) {
    if (Object.hasOwn(own, claim)) {
      throw new UsageError(`Cannot create a token: claim "${claim}" is set by the program`);
    }
  }
  const kid = key.kid === undefined ? {} : { kid: key.kid };
  const { SignJWT } = await import("jose");
  const token = await new SignJWT({ ...claims, ...own })
    .setProtectedHeader({ alg: key.alg, typ: tokenType, ...kid })
    .sign(key.signingKey);
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new UsageError(
      `Cannot create a token: it would have ${token.length} characters, at most ${MAX_TOKEN_LENGTH} are accepted`,
    );
  }
  return token;
}

const THREE_PARTS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** What is wrong with the form of the token, before anything is decoded. */
function formFault(token: string): string | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return "token is too long";
  if (!THREE_PARTS.test(token)) return "token is not three base64url parts";
  // Otherwise one token could be written in several ways.
  if (!token.split(".").every(isBase64url)) return "token is not canonical base64url";
  return undefined;
}

/**
 * The key that the header asks for, or what is wrong with it. `jku`, `jwk`, `x5u` and `x5c` are ignored: they would let
 * the sender choose the key (RFC 8725 §3.10).
 */
function readHeader(part: string, tokenType: string | undefined): WantedKey | string {
  const json = readStrictMembers(decodeBase64url(part)!, HEADER_LIMITS);
  if (!json.ok) return `header: ${json.fault}`;
  const [alg, kid, typ] = ["alg", "kid", "typ"].map((name) => json.members.get(name));
  // No extension is supported, so none may be critical (RFC 7515 §4.1.11). A JWT must not use b64 (RFC 7797 §7).
  if (["crit", "b64"].some((name) => json.members.has(name))) {
    return "header has a critical extension";
  }
  if (typeof alg !== "string") return "header has no algorithm";
  if (!isAlgorithm(alg)) return "algorithm is not supported";
  if (kid !== undefined && typeof kid !== "string") return "header kid is not text";
  if (tokenType !== undefined && !isMediaType(typ, tokenType)) return "header typ is not the token type";
  return { alg, kid };
}

function isMediaType(given: unknown, wanted: string): boolean {
  const bare = (type: string) => type.toLowerCase().replace(/^application\//, "");
  return typeof given === "string" && bare(given) === bare(wanted);
}

async function isSignedBy(keys: readonly Key[], alg: Algorithm, token: string): Promise<boolean> {
  for (const { verifyingKeys } of keys) {
    const key = verifyingKeys.get(alg);
    if (key !== undefined && await isSignedWith(alg, key, token)) return true;
  }
  return false;
}
