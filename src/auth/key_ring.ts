// All keys that tokens may be signed with: those of the key file and those of a remote issuer, both of which may change.

import { ALGORITHMS, type Key } from "./jwk.ts";
import { loadKeys } from "./key_file.ts";
import { KeySet, type KeySource, type NoKey, type WantedKey } from "./key_set.ts";
import { RemoteKeys, type RemoteKeysOptions } from "./remote_keys.ts";

/** Where keys come from. */
export interface KeyRingOptions {
  /** A file with keys. With `jwksUrl` it may be missing. */
  readonly keyFile: string;
  /** The address of an issuer's JWK Set; https, or http on loopback. */
  readonly jwksUrl?: string | undefined;
  /** Is told the outcome of each fetch, in order to log it. */
  readonly onFetch?: RemoteKeysOptions["onFetch"];
  /** As of {@linkcode RemoteKeysOptions}. */
  readonly now?: RemoteKeysOptions["now"];
  /** As of {@linkcode RemoteKeysOptions}. */
  readonly timeoutMs?: RemoteKeysOptions["timeoutMs"];
}

/**
 * Loads the key file and fetches the remote key set, if there is one. When the issuer can't be reached, its tokens are
 * invalid until it can; that is no error, because other tokens and open sessions do not depend on it.
 *
 * @throws {StartError} when the key file can't be used
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { keyFile, jwksUrl: url, ...rest } = options;
  const remote = url === undefined ? undefined : new RemoteKeys({ ...rest, url });
  const local = await loadLocal(keyFile, remote !== undefined);
  await remote?.fetch();
  return new KeyRing({ keyFile, local, remote });
}

/** The keys of a file and of an issuer. */
export class KeyRing implements KeySource {
  readonly #keyFile: string;
  readonly #remote: RemoteKeys | undefined;
  #local: readonly Key[];

  constructor(
    { keyFile, local, remote }: {
      keyFile: string;
      local: readonly Key[];
      remote: RemoteKeys | undefined;
    },
  ) {
    this.#keyFile = keyFile;
    this.#local = local;
    this.#remote = remote;
  }

  async find(wanted: WantedKey): Promise<readonly Key[] | NoKey> {
    this.#remote?.refreshIfOld();
    // An issuer publishes no secrets, so it need not be asked for one.
    if (this.#remote && ALGORITHMS[wanted.alg].kty !== "oct" && !this.#all().isKnown(wanted)) {
      if (!await this.#remote.refresh()) return { reason: "busy", detail: "too many wait for keys" };
    }
    return await this.#all().find(wanted);
  }

  /**
   * Reads the key file and fetches the issuer's keys again; tokens are judged by the new keys from then on.
   *
   * @returns What failed, in one line; the old keys of the source that failed stay.
   */
  async reload(): Promise<string | undefined> {
    const failures: string[] = [];
    try {
      this.#local = await loadLocal(this.#keyFile, this.#remote !== undefined);
    } catch (error) {
      failures.push((error as Error).message);
    }
    const reason = await this.#remote?.fetch();
    if (reason !== undefined) failures.push(`Cannot fetch keys: ${reason}`);
    return failures.length === 0 ? undefined : failures.join("; ");
  }

  #all(): KeySet {
    return new KeySet([...this.#local, ...this.#remote?.keys ?? []]);
  }
}

async function loadLocal(keyFile: string, mayBeMissing: boolean): Promise<readonly Key[]> {
  if (mayBeMissing && await isMissing(keyFile)) return [];
  return (await loadKeys(keyFile)).keys;
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
