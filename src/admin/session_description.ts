// A session as administrators see it.

import { formatTime } from "../core/shown.ts";
import type { SessionInfo } from "../endpoints/sessions/session.ts";

/** What is known of a session on any node; only its own node counts its messages. */
export type KnownSession =
  & Pick<SessionInfo, "id" | "user" | "address" | "connection" | "startedAtMs" | "expiresAtMs">
  & Partial<Pick<SessionInfo, "messagesIn" | "messagesOut">>;

/** For JSON: times of RFC 3339, `null` for what is not known. */
export function describeSession(session: KnownSession) {
  const { id, user, address, connection, startedAtMs, expiresAtMs } = session;
  const { messagesIn = null, messagesOut = null } = session;
  return {
    id,
    user,
    address,
    connection,
    started_at: formatTime(startedAtMs),
    expires_at: formatTime(expiresAtMs),
    messages_in: messagesIn,
    messages_out: messagesOut,
  };
}
