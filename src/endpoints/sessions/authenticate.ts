// Decides about one token: it must be valid, not expired meanwhile, not revoked and not used up.
import type { Identity, Verifier } from "../../auth/token.ts";
import type { Clock } from "./clock.ts";
import { type Ending, ENDINGS } from "./ending.ts";
import type { SessionRegistry } from "./session_registry.ts";

/** The decision about a token; `detail` is for the log, without any part of the token. */
export type Authentication =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly ending: Ending; readonly detail?: string };

/** What decides. */
export interface Authenticators {
  readonly verifier: Verifier;
  readonly sessions: SessionRegistry;
  readonly clock: Clock;
}

/** Decides about a token. Rejects only if the verifier does. */
export async function authenticate(token: string, authenticators: Authenticators): Promise<Authentication> {
  const verification = await authenticators.verifier.verify(token);
  if (verification.ok) return judge(verification.identity, authenticators);
  return { ok: false, ending: ENDINGS[verification.reason], detail: verification.detail };
}

/** Decides again about a token that was verified some time ago. */
export function judge(
  identity: Identity,
  { sessions, clock }: Omit<Authenticators, "verifier">,
): Authentication {
  if (identity.expiresAtMs <= clock.now()) {
    return { ok: false, ending: ENDINGS.expired, detail: "expired while it was verified" };
  }
  const ending = sessions.check(identity);
  return ending === undefined ? { ok: true, identity } : { ok: false, ending };
}

/** Resolves with undefined if it takes longer than that. */
export async function beforeTimeout<T>(
  promise: Promise<T>,
  clock: Clock,
  timeoutMs: number,
): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.after(timeoutMs, () => late.resolve(undefined));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}
