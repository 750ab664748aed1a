// The ways in which a peer can present its token, read from its handshake; and the subprotocols it may speak afterwards.

/** Where a token came from. */
export type TokenSource = "header" | "subprotocol" | "query";

/** A token that came with the handshake. */
export interface PresentedToken {
  readonly source: TokenSource;
  /** As it was sent: of any length and form. */
  readonly token: string;
}

/** What a handshake says about the session that is to follow. */
export interface Presentation {
  /** Undefined when the token is to be the first message. */
  readonly presented: PresentedToken | undefined;
  /** The one to select; undefined when none of ours was offered. */
  readonly subprotocol: Subprotocol | undefined;
}

/** Why a handshake can't be accepted. The text never repeats what was sent. */
export interface PresentationFault {
  readonly status: 400 | 401;
  /** For the log. */
  readonly why: string;
  /** One line for the peer. */
  readonly text: string;
}

/**
 * The subprotocols of the secure endpoint: JSON-RPC 2.0, and plain text under a name. Plain text is also what is spoken
 * when none is selected. The second is there for browsers: they end a connection for which they offered subprotocols and
 * got none, so one that presents its token as a subprotocol must be able to offer another.
 */
export const SUBPROTOCOLS = ["wsward.v1", "wsward.text"] as const;

/** The name of a subprotocol. */
export type Subprotocol = typeof SUBPROTOCOLS[number];

const TOKEN_PREFIX = "bearer.";
const QUERY_NAMES: ReadonlySet<string> = new Set(["token", "access_token", "jwt"]);

const TWO_WAYS: PresentationFault = {
  status: 400,
  why: "token presented twice",
  text: "a token must be presented once and in one way only",
};
const IN_QUERY: PresentationFault = {
  status: 400,
  why: "token in the query",
  text: "a token must not be in the query, where proxies, logs and browser histories keep it: " +
    "send it as the first message, in the header Authorization, or as the subprotocol bearer.TOKEN",
};
const OTHER_SCHEME: PresentationFault = {
  status: 401,
  why: "scheme is not Bearer",
  text: "the scheme of the header Authorization must be Bearer",
};

/** Reads how a handshake presents its token: `Authorization: Bearer` (RFC 6750 §2.1), a subprotocol, the query, or not at all. */
export function readPresentation(
  request: Request,
  { insecureTokenInQuery }: { readonly insecureTokenInQuery: boolean },
): Presentation | PresentationFault {
  const inQuery = readQuery(request.url);
  if (inQuery.length > 0 && !insecureTokenInQuery) return IN_QUERY;
  const authorization = request.headers.get("authorization");
  const inHeader = authorization === null ? undefined : /^bearer(?: +(.*))?$/i.exec(authorization);
  if (inHeader === null) return OTHER_SCHEME;
  const offered = splitOffer(request.headers.get("sec-websocket-protocol"));

  const tokens: PresentedToken[] = [];
  if (inHeader !== undefined) tokens.push({ source: "header", token: inHeader[1] ?? "" });
  for (const name of offered) {
    if (name.startsWith(TOKEN_PREFIX)) {
      tokens.push({ source: "subprotocol", token: name.slice(TOKEN_PREFIX.length) });
    }
  }
  for (const token of inQuery) tokens.push({ source: "query", token });
  if (tokens.length > 1) return TWO_WAYS;
  return { presented: tokens[0], subprotocol: select(offered) };
}

function readQuery(url: string): readonly string[] {
  const mark = url.indexOf("?");
  if (mark < 0) return [];
  const pairs = [...new URLSearchParams(url.slice(mark))];
  return pairs.filter(([name]) => QUERY_NAMES.has(name.toLowerCase())).map(([, value]) => value);
}

function splitOffer(value: string | null): readonly string[] {
  return value === null ? [] : value.split(",").map((name) => name.trim());
}

/** The client names what it prefers first (RFC 6455 §4.1). */
function select(offered: readonly string[]): Subprotocol | undefined {
  for (const name of offered) {
    const found = SUBPROTOCOLS.find((subprotocol) => subprotocol === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
