// The keys of an issuer, fetched from the address in the settings, and never from one that a token names.

import type { Key } from "./jwk.ts";
import { readKeySet } from "./key_set.ts";
import { KEY_SET_LIMITS, parseStrictJson } from "./strict_json.ts";

/** How long a fetch may take in all, in milliseconds. */
export const FETCH_TIMEOUT_MS = 5000;

/** How large a key set may be, in bytes, after decompression. */
export const MAX_KEY_SET_SIZE_BYTES = 256 * 1024;

/** How long after a fetch, good or not, an unknown key is no reason for another one, in milliseconds. */
export const REFRESH_COOLDOWN_MS = 30_000;

/** From what age on a key set is fetched again although all keys are known, so that a withdrawn key ends, in milliseconds. */
export const MAX_KEY_SET_AGE_MS = 10 * 60_000;

/** How many may wait for the same fetch; they are other people's connections. */
export const MAX_WAITING = 64;

/** How a key set is fetched. */
export interface RemoteKeysOptions {
  /** https, or http on loopback. */
  readonly url: string;
  /** Is told the outcome of each fetch: how many keys there are and were ignored, or in a few words why there are none. */
  readonly onFetch?: ((outcome: { keys: number; ignored: number } | string) => void) | undefined;
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

  /** The keys of the last good fetch: none before the first, and the old ones for as long as the issuer is down. */
  get keys(): readonly Key[] {
    return this.#keys;
  }

  /**
   * Fetches now, or joins the fetch that is under way. Never rejects.
   *
   * @returns Why it failed, in one line of printable ASCII; the old keys stay then.
   */
  async fetch(): Promise<string | undefined> {
    this.#fetching ??= this.#fetchOnce().finally(() => this.#fetching = undefined);
    return await this.#fetching;
  }

  /**
   * Asks for a key that is not there: waits for a fetch, unless the last one was too short a time ago.
   *
   * @returns False, at once, if too many wait already.
   */
  async refresh(): Promise<boolean> {
    if (this.#fetching === undefined && this.#now() < this.#nextFetchAtMs) return true;
    if (this.#waiting >= MAX_WAITING) return false;
    this.#waiting++;
    await this.fetch();
    this.#waiting--;
    return true;
  }

  /** Starts a fetch that nobody waits for, if the keys are old and the last fetch was not too short a time ago. */
  refreshIfOld(): void {
    const now = this.#now();
    if (now - this.#fetchedAtMs < MAX_KEY_SET_AGE_MS || now < this.#nextFetchAtMs) return;
    void this.fetch();
  }

  async #fetchOnce(): Promise<string | undefined> {
    const { url, onFetch, timeoutMs = FETCH_TIMEOUT_MS } = this.#options;
    const outcome = await fetchKeys(url, timeoutMs);
    // From its end, and after a failure too: an issuer that is slow or down must not be asked again and again.
    this.#nextFetchAtMs = this.#now() + REFRESH_COOLDOWN_MS;
    if (typeof outcome === "string") {
      onFetch?.(outcome);
      return outcome;
    }
    this.#keys = outcome.keys;
    this.#fetchedAtMs = this.#now();
    onFetch?.({ keys: outcome.keys.length, ignored: outcome.ignored });
    return undefined;
  }
}

async function fetchKeys(
  url: string,
  timeoutMs: number,
): Promise<{ keys: readonly Key[]; ignored: number } | string> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  try {
    const response = await fetch(url, {
      // Whoever can make the issuer redirect would otherwise choose the keys.
      redirect: "manual",
      headers: { accept: "application/jwk-set+json, application/json" },
      signal: deadline.signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      return `the issuer answered with status ${response.status}`;
    }
    const body = await readAtMost(response, MAX_KEY_SET_SIZE_BYTES);
    return body === undefined
      ? `the answer is larger than ${MAX_KEY_SET_SIZE_BYTES} bytes`
      : await readPublicKeys(body);
  } catch (error) {
    if (deadline.signal.aborted) return `no complete answer within ${timeoutMs} ms`;
    return describe(error, url);
  } finally {
    clearTimeout(timer);
  }
}

/** The whole body, or undefined if it is larger than that. */
async function readAtMost(response: Response, limitBytes: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the rest.
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > limitBytes) return undefined;
    parts.push(part);
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

async function readPublicKeys(
  body: Uint8Array,
): Promise<{ keys: readonly Key[]; ignored: number } | string> {
  const json = parseStrictJson(body, KEY_SET_LIMITS);
  if (!json.ok) return `the answer is not a JWK Set (${json.fault})`;
  const members = Array.isArray(json.value.keys) ? json.value.keys : undefined;
  // A secret that is published is none, and neither is a private key.
  const published = members?.filter((key) => !(Object(key).kty === "oct" || Object.hasOwn(Object(key), "d")));
  const set = await readKeySet({ keys: published });
  if (typeof set === "string") return `the answer cannot be used: ${set}`;
  if (set.keys.length === 0) return "the answer has no public key for signatures";
  return { keys: set.keys, ignored: (members?.length ?? 0) - set.keys.length };
}

function describe(error: unknown, url: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    const { hostname, port, protocol } = new URL(url);
    return `permission was not granted; run with --allow-net=${hostname}:${
      port || (protocol === "https:" ? 443 : 80)
    }`;
  }
  // May name what is wrong with a certificate, and with that hold text of a stranger.
  const why = error instanceof Error ? error.message.replace(/[^ -~]/g, "?") : "unknown failure";
  return `the issuer cannot be reached (${why})`;
}
