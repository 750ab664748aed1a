// The close codes of RFC 6455 §7.4 and the IANA registry, and what each one means when wsward sends it.

import type { Explanation } from "../core/explanation.ts";

/** What is known about a close code that wsward itself sends or records. */
export interface SentCloseCode extends Explanation {
  readonly name: string;
  readonly meaning: string;
}

/** What is known about a close code. `meaning` is there when wsward itself sends the code. */
export type CloseCodeDeclaration = SentCloseCode | { readonly name: string; readonly meaning?: undefined };

/** Every registered close code that may appear on the wire, with its IANA name. */
export const CLOSE_CODES: Readonly<Record<number, CloseCodeDeclaration>> = {
  1000: {
    name: "Normal Closure",
    meaning: "the conversation is over, nothing went wrong",
    cause: "the client closed, or logged out of its session",
  },
  1001: {
    name: "Going Away",
    meaning: "the server is stopping",
    cause: "SIGINT or SIGTERM: every open connection is told so, and cut when the drain is over",
    settings: ["drainTimeout"],
  },
  1002: {
    name: "Protocol error",
    meaning: "a frame broke a rule of RFC 6455; the reason names the rule",
    cause: "a broken client, a proxy that changes the stream, or an attack",
  },
  1003: {
    name: "Unsupported Data",
    meaning: "a binary message came where a text message is needed",
    cause: "a token that was sent as a binary message",
  },
  1007: {
    name: "Invalid frame payload data",
    meaning: "a text message or a close reason is not UTF-8",
    cause: "binary data, or text in another encoding, sent as a text message",
  },
  1008: {
    name: "Policy Violation",
    meaning:
      "too much was sent, too fast or too early, too many errors were made, the address is not welcome, or an " +
      "administrator ended the session",
    cause:
      "too much before authentication, too many bad requests in a session, a rate limit, a ban, or wsward sessions close",
    settings: ["messageRate", "byteRate", "onRateLimit", "banAfter", "rulesFile"],
  },
  1009: {
    name: "Message Too Big",
    meaning: "a message is over the limit; it was refused unread",
    cause: "a message that is too large, or made of too many fragments",
    settings: ["maxMessageSize", "maxFragments"],
  },
  1010: { name: "Mandatory Ext." },
  1011: {
    name: "Internal Error",
    meaning: "a failure on the server's side; the log has the details",
    cause: "a fault in wsward itself; no other connection notices",
  },
  1012: { name: "Service Restart" },
  1013: {
    name: "Try Again Later",
    meaning: "the server has too much to do, or to hold, at the moment",
    cause:
      "the budget of memory is used up and this peer held the most, too many tokens wait for verification, or the " +
      "issuer could not be asked for the key of this one",
    settings: ["maxBufferedMemory", "jwksUrl"],
  },
  1014: { name: "Bad Gateway" },
  3000: {
    name: "Unauthorized",
    meaning: "the token is expired, not valid, revoked or used up",
    cause: "a token at its end, of another issuer or audience, or a changed key; the log says precisely why",
    settings: ["keyFile", "jwksUrl", "issuer", "audience", "clockTolerance", "maxTokenAge", "replayCheck"],
  },
  3003: {
    name: "Forbidden",
    meaning: "the user has too many sessions",
    cause: "a client that opens sessions and never closes them, or one user on many devices",
    settings: ["maxSessionsPerUser", "onSessionLimit"],
  },
  3008: {
    name: "Timeout",
    meaning:
      "something did not come in time: a token, a message, the answer to a Ping; the reason says which",
    cause:
      "a client that is silent, gone, stuck or does not read, or a connection at the end of its lifetime",
    settings: ["authTimeout", "idleTimeout", "pingTimeout", "sendTimeout", "maxLifetime"],
  },
};

/** What stands in a record for a connection that ended without a code; never on the wire (RFC 6455 §7.4.1). */
export const LOCAL_CODES: Readonly<Record<number, SentCloseCode>> = {
  1005: {
    name: "No Status Rcvd",
    meaning: "the peer closed with a Close frame that carried no code",
    cause: "a client that closes without giving a reason, such as close() in a browser",
  },
  1006: {
    name: "Abnormal Closure",
    meaning: "the connection ended without a Close frame",
    cause: "a lost network, a killed client, a proxy that gave up, or a peer that was cut for not answering",
    settings: ["closeTimeout", "sendTimeout"],
  },
};

/** A Close frame's code and reason; the reason is at most 123 bytes of UTF-8. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

/** Stands for "no Close frame was received" in records and events; never on the wire (RFC 6455 §7.4.1). */
export const ABNORMAL_CLOSURE = 1006;

/** Stands for "the Close frame carried no code"; never on the wire (RFC 6455 §7.4.1). */
export const NO_STATUS_RECEIVED = 1005;

/**
 * Whether an endpoint may put `code` into a Close frame: the registered ones, and 3000 to 4999 for libraries and
 * applications (RFC 6455 §7.4).
 */
export function isValidCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
