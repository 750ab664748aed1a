// What tokens are verified by: for the secure endpoint, an upstream and administrators.

import { createKeyFileIfMissing } from "../auth/key_file.ts";
import { type KeyRing, openKeyRing } from "../auth/key_ring.ts";
import { createVerifier, type Verifier } from "../auth/token.ts";
import type { Settings } from "../core/settings/declarations.ts";
import type { SharedState } from "../core/shared_state.ts";
import { typed } from "../core/typed.ts";
import { RevocationStore } from "../endpoints/sessions/revocation_store.ts";
import { SessionRegistry } from "../endpoints/sessions/session_registry.ts";
import type { Log } from "../telemetry/log.ts";

/** Keys, revocations and open sessions: one of each for all. */
export interface Judges {
  readonly keys: KeyRing;
  readonly revocations: RevocationStore;
  readonly sessions: SessionRegistry;
}

/**
 * Opens the files of the settings, and creates a key file if there is none.
 *
 * @throws {StartError} when one of them can't be used; nothing is left open then
 */
export async function openJudges(settings: Settings, log: Log, shared: SharedState): Promise<Judges> {
  if (
    settings.jwksUrl === undefined && await createKeyFileIfMissing(settings.keyFile, settings.keyEncoding)
  ) {
    log("key.created", {
      file: settings.keyFile,
      hint: typed("make a token with: wsward token create --user NAME"),
    });
  }
  const keys = await openKeyRing({
    keyFile: settings.keyFile,
    keyEncoding: settings.keyEncoding,
    onDoubt: (reason) => log("keys.doubtful", { file: settings.keyFile, reason }),
    jwksUrl: settings.jwksUrl,
    onFetch: ({ reason, keys, ignored, fault }) => {
      if (reason !== undefined) log("keys.fetch_failed", { reason, keys });
      else log("keys.fetched", { keys, ignored, detail: fault });
    },
  });
  const revocations = new RevocationStore({
    path: settings.stateFile,
    clockToleranceMs: settings.clockTolerance,
  });
  try {
    const { maxSessionsPerUser, onSessionLimit, replayCheck } = settings;
    const sessions = new SessionRegistry({
      revocations,
      maxSessionsPerUser,
      onSessionLimit,
      replayCheck,
      shared,
      log,
    });
    return { keys, revocations, sessions };
  } catch (error) {
    revocations.close();
    throw error;
  }
}

/** Makes a verifier with the keys of `judges` and the rules of the settings. */
export function createJudge({ keys }: Judges, settings: Settings): Verifier {
  return createVerifier(keys, {
    issuer: settings.issuer,
    audience: settings.audience,
    tokenType: settings.tokenType,
    maxTokenAgeMs: settings.maxTokenAge,
    clockToleranceMs: settings.clockTolerance,
  });
}
