// How a session speaks without a subprotocol, or with wsward.text: as the echo endpoint does.
import { echo } from "../echo.ts";
import type { Conversation, Session } from "../sessions/session.ts";

/** Plain text: a text message is answered with the prefix in front, a binary one with the same bytes. */
export function createPlainConversation(session: Session, prefix: string): Conversation {
  return {
    message: (data) => session.send(echo(prefix, data)),
    farewell: (text) => text,
  };
}
