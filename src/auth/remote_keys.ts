// The keys of an issuer, fetched from the URL in the settings, and never from one in a token.

import { isOwnLack } from "../core/descriptors.ts";
import { isOwnFault } from "../core/own_fault.ts";
import { AnswerError, request } from "./http_get.ts";
import type { Key } from "./jwk.ts";
import { type ReadKeySet, readKeySet } from "./key_set.ts";
import { KEY_SET_LIMITS, parseStrictJson } from "../core/strict_json.ts";

/** How long a fetch may take in all, in milliseconds. */
const FETCH_TIMEOUT_MS = 5000;

/** How large a key set may be, in bytes. */
export const MAX_KEY_SET_SIZE_BYTES = 256 * 1024;

/** How long after a fetch, successful or not, an unknown key causes no other one, in milliseconds. */
export const REFRESH_COOLDOWN_MS = 30_000;

/**
 * From what age on a key set is fetched again even if all keys are known, so that withdrawn keys go, in milliseconds.
 */
export const MAX_KEY_SET_AGE_MS = 10 * 60_000;

/** How many tokens may wait for the same fetch: each holds a connection. */
export const MAX_WAITING = 64;

/** The outcome of a fetch. */
export interface FetchOutcome {
  /** Why it failed, in one line of printable ASCII; undefined when it did not. */
  readonly reason?: string | undefined;
  /** How many keys there are now; after a failure, those of the last successful fetch. */
  readonly keys: number;
  /** How many keys of the answer can't be used. */
  readonly ignored: number;
  /** What is wrong with the first of them, unless they are all only for something else. */
  readonly fault?: string | undefined;
}

/** How a key set is fetched. */
export interface RemoteKeysOptions {
  /** https, or http on loopback. */
  readonly url: string;
  /** Called with the outcome of each fetch. */
  readonly onFetch?: ((outcome: FetchOutcome) => void) | undefined;
  /** Milliseconds since any fixed moment; the machine's monotonic clock by default. */
  readonly now?: (() => number) | undefined;
  /** {@linkcode FETCH_TIMEOUT_MS} by default. */
  readonly timeoutMs?: number | undefined;
}

/** The last good key set of an issuer. */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  readonly #now: () => number;
  #keys: readonly Key[] = [];
  #fetchedAtMs = -Infinity;
  #nextFetchAtMs = -Infinity;
  #fetching: Promise<string | undefined> | undefined;
  #waiting = 0;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The keys of the last successful fetch: none before the first, and the old ones while the issuer is down. */
  get keys(): readonly Key[] {
    return this.#keys;
  }

  /**
   * Fetches now, or joins the fetch that is under way. Rejects only for a fault of the program.
   *
   * @returns Why it failed, in one line of printable ASCII; the old keys stay then.
   */
  async fetch(): Promise<string | undefined> {
    this.#fetching ??= this.#fetchOnce().finally(() => this.#fetching = undefined);
    return await this.#fetching;
  }

  /**
   * Fetches for a key that is not there, and waits, unless the last fetch was a moment ago.
   *
   * @returns Why it is not known whether the issuer has it, as a fixed phrase; undefined if its keys are current.
   */
  async refresh(): Promise<string | undefined> {
    if (this.#fetching === undefined && this.#now() < this.#nextFetchAtMs) {
      return "the key is not known, and the issuer was asked a moment ago";
    }
    if (this.#waiting >= MAX_WAITING) return "too many wait for keys";
    this.#waiting++;
    try {
      return await this.fetch() === undefined
        ? undefined
        : "the key is not known, and the issuer does not answer";
    } finally {
      this.#waiting--;
    }
  }

  /** Starts a fetch in the background if the keys are old and the last fetch was not a moment ago. */
  refreshIfOld(): void {
    const now = this.#now();
    if (now - this.#fetchedAtMs < MAX_KEY_SET_AGE_MS || now < this.#nextFetchAtMs) return;
    void this.fetch();
  }

  async #fetchOnce(): Promise<string | undefined> {
    const { url, onFetch, timeoutMs = FETCH_TIMEOUT_MS } = this.#options;
    let answer: Answer | string;
    try {
      answer = await fetchKeys(url, timeoutMs);
    } finally {
      // Counted from its end, and after a failure too: an issuer that is slow or down must not be asked again and
      // again.
      this.#nextFetchAtMs = this.#now() + REFRESH_COOLDOWN_MS;
    }
    if (typeof answer === "string") {
      onFetch?.({ reason: answer, keys: this.#keys.length, ignored: 0 });
      return answer;
    }
    this.#keys = answer.keys;
    this.#fetchedAtMs = this.#now();
    onFetch?.({ keys: answer.keys.length, ignored: answer.ignored, fault: answer.faults[0] });
    return undefined;
  }
}

interface Answer extends ReadKeySet {
  readonly ignored: number;
}

async function fetchKeys(address: string, timeoutMs: number): Promise<Answer | string> {
  const url = new URL(address);
  try {
    // Whoever can make the issuer redirect would otherwise choose the keys.
    const { status, body } = await request({
      url,
      accept: "application/jwk-set+json, application/json",
      maxBodySizeBytes: MAX_KEY_SET_SIZE_BYTES,
      timeoutMs,
    });
    return status === 200 ? await readPublicKeys(body) : `the issuer answered with status ${status}`;
  } catch (error) {
    if (error instanceof AnswerError) return error.message;
    const reason = describe(error, url);
    if (reason === undefined) throw error;
    return reason;
  }
}

async function readPublicKeys(body: Uint8Array): Promise<Answer | string> {
  const json = parseStrictJson(body, KEY_SET_LIMITS);
  if (!json.ok) return `the answer is not a JWK Set (${json.fault})`;
  const members = Array.isArray(json.value.keys) ? json.value.keys : undefined;
  // A published secret or private key can't be trusted. It is replaced, so that the others keep their number.
  const published = members?.map((key) =>
    Object(key).kty === "oct" || Object.hasOwn(Object(key), "d")
      ? { kid: Object(key).kid, kty: "published" }
      : key
  );
  const set = await readKeySet({ keys: published });
  if (typeof set === "string") return `the answer cannot be used: ${set}`;
  const [fault] = set.faults;
  if (set.keys.length === 0) {
    return `the answer has no public key for signatures${fault === undefined ? "" : ` (${fault})`}`;
  }
  return { ...set, ignored: (members?.length ?? 0) - set.keys.length };
}

/** Why there was no answer; undefined for a fault of our own. */
function describe(error: unknown, { hostname, port, protocol }: URL): string | undefined {
  if (error instanceof Deno.errors.NotCapable) {
    const address = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
    return `permission was not granted; run with --allow-net=${address}`;
  }
  // The runtime has its own classes for errors of the system, and plain errors for unknown names.
  if (isOwnFault(error)) return undefined;
  if (isOwnLack(error)) return "the issuer was not asked: descriptors, memory or ports have run out here";
  // It may say what is wrong with a certificate, and with that quote a stranger's text.
  return `the issuer cannot be reached (${(error as Error).message.replace(/[^ -~]/g, "?").slice(0, 200)})`;
}
