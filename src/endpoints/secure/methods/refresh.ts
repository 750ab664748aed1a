// The method refresh: a new token for the same user extends the session.
import * as v from "valibot";
import { type Ending, ENDINGS } from "../../sessions/ending.ts";
import type { RpcOutcome } from "../json_rpc.ts";
import type { Session } from "../../sessions/session.ts";
import { defineMethod, type MethodContext } from "./method.ts";
import { formatTime } from "../../../core/shown.ts";

/** The codes of this method, out of the range that JSON-RPC leaves to servers. */
const REFUSED = -32001;
const BUSY = -32002;

/** Sessions whose token is being verified: one token at a time, so that a session can't pile up work. */
const refreshing = new WeakSet<Session>();

/**
 * `{ token }` -> `{ expires_at }`. Error -32001 says why a token is refused: it is not valid, of another user, or does
 * not last longer than the current one, under which the session goes on. Error -32002 while another token is being
 * verified, or if the server is too busy.
 */
export const refreshMethod = defineMethod({
  name: "refresh",
  takes: "`token`, a newer one of the same user",
  gives:
    "`expires_at`, the new one; error -32001 says why a token is refused, -32002 that another is being looked at",
  example: { token: "" },
  params: v.strictObject({ token: v.string() }),
  async run({ token }, context) {
    const { session } = context;
    if (refreshing.has(session)) return { error: { code: BUSY, message: "Another Token Is Being Verified" } };
    refreshing.add(session);
    try {
      return await refresh(token, context);
    } finally {
      refreshing.delete(session);
    }
  },
});

async function refresh(token: string, context: MethodContext): Promise<RpcOutcome> {
  const { session, sessions } = context;
  const authentication = await context.authenticate(token);
  if (!authentication.ok) {
    return refuse(context, {
      ...authentication.ending,
      why: authentication.detail ?? authentication.ending.why,
    });
  }
  const { identity } = authentication;
  if (identity.user !== session.user) return refuse(context, { text: "Token Of Another User" });
  if (identity.expiresAtMs <= session.identity.expiresAtMs) {
    return refuse(context, { text: "Token Does Not Last Longer" });
  }
  if (!session.isOpen) return refuse(context, { text: "Session Is Over" });
  const ending = await sessions.use(identity, session.id);
  if (ending !== undefined) return refuse(context, ending);
  session.extend(identity);
  sessions.extended(session);
  return { result: { expires_at: formatTime(identity.expiresAtMs) } };
}

function refuse(
  { session, log }: MethodContext,
  { text = ENDINGS.invalid.text, why = text, code }: Partial<Ending>,
): RpcOutcome {
  log("session.refresh_refused", { ...session.logFields(), reason: why });
  return { error: { code: code === ENDINGS.busy.code ? BUSY : REFUSED, message: text } };
}
