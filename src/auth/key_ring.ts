// The keys of the key file and those of an issuer, both of which may change.

import { StartError } from "../core/errors.ts";
import { ALGORITHMS, type Key } from "./jwk.ts";
import { loadKeys, type LoadOptions } from "./key_file.ts";
import { type FoundKeys, KeySet, type KeySource, type WantedKey } from "./key_set.ts";
import { RemoteKeys, type RemoteKeysOptions } from "./remote_keys.ts";

/** Where keys come from. */
export interface KeyRingOptions {
  /** A file with keys. With `jwksUrl` it may be missing. */
  readonly keyFile: string;
  /** See {@linkcode LoadOptions}. */
  readonly keyEncoding?: LoadOptions["encoding"];
  /** Called at each load with what the owner of the key file should know, as a sentence fragment. */
  readonly onDoubt?: LoadOptions["onDoubt"];
  /** The address of an issuer's JWK Set; https, or http on loopback. */
  readonly jwksUrl?: string | undefined;
  /** Called with the outcome of each fetch, to log it. */
  readonly onFetch?: RemoteKeysOptions["onFetch"];
  /** As of {@linkcode RemoteKeysOptions}. */
  readonly now?: RemoteKeysOptions["now"];
  /** As of {@linkcode RemoteKeysOptions}. */
  readonly timeoutMs?: RemoteKeysOptions["timeoutMs"];
}

/**
 * Loads the key file and fetches the issuer's key set, if there is one. An issuer that can't be reached is not an
 * error: its tokens wait, and other tokens and open sessions don't depend on it.
 *
 * @throws {StartError} when the key file can't be used
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { jwksUrl: url, onFetch, now, timeoutMs } = options;
  const remote = url === undefined ? undefined : new RemoteKeys({ url, onFetch, now, timeoutMs });
  const local = await loadLocal(options);
  await remote?.fetch();
  return new KeyRing({ options, local, remote });
}

/** The keys of a file and of an issuer. */
export class KeyRing implements KeySource {
  readonly #options: KeyRingOptions;
  readonly #remote: RemoteKeys | undefined;
  #local: readonly Key[];

  constructor(
    { options, local, remote }: {
      options: KeyRingOptions;
      local: readonly Key[];
      remote: RemoteKeys | undefined;
    },
  ) {
    this.#options = options;
    this.#local = local;
    this.#remote = remote;
  }

  /**
   * Whether there is any key to verify tokens with. Fetches missing or old keys in the background, unless that was done
   * a moment ago.
   */
  get isUsable(): boolean {
    this.#remote?.refreshIfOld();
    return this.#all().keys.length > 0;
  }

  async find(wanted: WantedKey): Promise<FoundKeys> {
    this.#remote?.refreshIfOld();
    // An issuer publishes no secrets, so it is not asked for one.
    const isAsked = this.#remote !== undefined && ALGORITHMS[wanted.alg].kty !== "oct" &&
      !this.#all().isKnown(wanted);
    const doubt = isAsked ? await this.#remote.refresh() : undefined;
    const keys = this.#all();
    const found = keys.findNow(wanted);
    // A token whose key the issuer may have by now is not refused for good, or counted as forged.
    return doubt === undefined || keys.isKnown(wanted)
      ? found
      : { ...found, otherwise: { reason: "busy", detail: doubt } };
  }

  /**
   * Reads the key file and fetches the issuer's keys again; from then on tokens are verified with the new keys.
   *
   * @returns What failed, in one line; the old keys of the source that failed stay.
   */
  async reload(): Promise<string | undefined> {
    const failures: string[] = [];
    try {
      this.#local = await loadLocal(this.#options);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      failures.push(error.message);
    }
    const reason = await this.#remote?.fetch();
    if (reason !== undefined) failures.push(`Cannot fetch keys: ${reason}`);
    return failures.length === 0 ? undefined : failures.join("; ");
  }

  #all(): KeySet {
    return new KeySet([...this.#local, ...this.#remote?.keys ?? []]);
  }
}

async function loadLocal(
  { keyFile, keyEncoding: encoding, onDoubt, jwksUrl }: KeyRingOptions,
): Promise<readonly Key[]> {
  if (jwksUrl !== undefined && await isMissing(keyFile)) return [];
  return (await loadKeys(keyFile, { encoding, onDoubt })).keys;
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
