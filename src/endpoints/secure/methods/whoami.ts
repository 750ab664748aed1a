// The method whoami: what the server knows about the session and its user.
import * as v from "valibot";
import { isRawNumber } from "../../../core/bounded_json.ts";
import { defineMethod } from "./method.ts";
import { formatTime } from "../../../core/shown.ts";

/** Names of claims that may hold secrets. */
const SECRET = /secret|password|passwd|token|credential|private|api_?key|nonce/i;

/** `{}` -> `{ user, session, started_at, expires_at, claims }`; claims named like secrets are left out at every depth. */
export const whoamiMethod = defineMethod({
  name: "whoami",
  takes: "",
  gives: "`user`, `session`, `started_at`, `expires_at` and `claims`, without those named like secrets",
  params: v.strictObject({}),
  run(_params, { session }) {
    const { identity, startedAtMs } = session;
    return {
      result: {
        user: session.user,
        session: session.id,
        started_at: formatTime(startedAtMs),
        expires_at: formatTime(identity.expiresAtMs),
        claims: withoutSecrets(identity.claims),
      },
    };
  },
});

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  // A raw number is an object, but not one from the claims.
  if (typeof value !== "object" || value === null || isRawNumber(value)) return value;
  const entries = Object.entries(value).filter(([name]) => !SECRET.test(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutSecrets(inner)]));
}
