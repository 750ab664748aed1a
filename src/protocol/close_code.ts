// The close codes of RFC 6455 §7.4 and the IANA registry, and what each one means when wsward sends it.

/** What is known about a close code. `meaning` is there when wsward itself sends the code. */
export interface CloseCodeDeclaration {
  readonly name: string;
  readonly meaning?: string;
}

/** Every registered close code that may appear on the wire, with its IANA name. */
export const CLOSE_CODES: Readonly<Record<number, CloseCodeDeclaration>> = {
  1000: { name: "Normal Closure", meaning: "the conversation is over, nothing went wrong" },
  1001: { name: "Going Away", meaning: "the server is stopping" },
  1002: { name: "Protocol error", meaning: "a frame broke a rule of RFC 6455; the reason names the rule" },
  1003: { name: "Unsupported Data", meaning: "a binary message came where a text message is needed" },
  1007: { name: "Invalid frame payload data", meaning: "a text message or a close reason is not UTF-8" },
  1008: {
    name: "Policy Violation",
    meaning: "too much was sent before authentication was decided, or too many errors after it",
  },
  1009: { name: "Message Too Big", meaning: "a message is over the limit; it was refused unread" },
  1010: { name: "Mandatory Ext." },
  1011: { name: "Internal Error", meaning: "a failure on the server's side; the log has the details" },
  1012: { name: "Service Restart" },
  1013: { name: "Try Again Later", meaning: "the server has too much to do, or to hold, at the moment" },
  1014: { name: "Bad Gateway" },
  3000: { name: "Unauthorized", meaning: "the token is expired, not valid, revoked or used up" },
  3003: { name: "Forbidden", meaning: "the user has too many sessions" },
  3008: { name: "Timeout", meaning: "no token was sent in time" },
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
