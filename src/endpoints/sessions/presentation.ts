// Reads from a handshake how the peer presents its token, and which subprotocol it wants to speak.

import { listElements } from "../../protocol/handshake.ts";

/** Where a token came from. */
export type TokenSource = "header" | "subprotocol" | "query" | "cookie";

/** A token that came with the handshake. */
export interface PresentedToken {
  readonly source: TokenSource;
  /** As it was sent, of any length and form. */
  readonly token: string;
}

/** What a handshake says about the session to come. */
export interface Presentation {
  /** Undefined if the token is to be the first message. */
  readonly presented: PresentedToken | undefined;
  /**
   * The one to select: the first of ours, or else the one with the token, because browsers and other clients end a
   * connection if they offered subprotocols and none was selected. Undefined if neither was offered.
   */
  readonly subprotocol: string | undefined;
}

/** Why a handshake can't be accepted. The text never repeats what was sent. */
export interface PresentationFault {
  readonly status: 400 | 401 | 403;
  /** For the log. */
  readonly why: string;
  /** One line for the peer. */
  readonly text: string;
}

/**
 * The subprotocols of the secure endpoint: JSON-RPC 2.0, and plain text, which is also spoken if neither is selected.
 */
const SUBPROTOCOLS = ["wsward.v1", "wsward.text"] as const;

/** The name of a subprotocol. */
export type Subprotocol = typeof SUBPROTOCOLS[number];

/** The prefix of a token in a subprotocol. */
export const TOKEN_PREFIX = "bearer.";
/** Names of query parameters with a token, in lower case. */
export const QUERY_NAMES: readonly string[] = ["token", "access_token", "jwt"];

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
const NO_ORIGIN: PresentationFault = {
  status: 403,
  why: "cookie without an Origin",
  text: "who presents a token in a cookie must send the header Origin, as browsers do",
};
const OTHER_SCHEME: PresentationFault = {
  status: 401,
  why: "scheme is not Bearer",
  text: "the scheme of the header Authorization must be Bearer",
};

/** The needed parts of a handshake; a `Request` has them. */
export interface PresentingRequest {
  /** A URL, or its part from the path on. */
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/** Where else a token may be. */
export interface PresentationOptions {
  readonly insecureTokenInQuery: boolean;
  /** The name of a cookie. */
  readonly tokenCookie?: string | undefined;
}

/**
 * Reads how a handshake presents its token: `Authorization: Bearer` (RFC 6750 §2.1), a subprotocol, a cookie, the
 * query, or not at all. Browsers send cookies for any page, so a cookie needs an Origin, which the firewall has
 * checked.
 */
export function readPresentation(
  request: PresentingRequest,
  { insecureTokenInQuery, tokenCookie }: PresentationOptions,
): Presentation | PresentationFault {
  const inQuery = readQuery(request.url);
  if (inQuery.length > 0 && !insecureTokenInQuery) return IN_QUERY;
  const authorization = request.headers.get("authorization");
  const inHeader = authorization === null ? undefined : readBearer(authorization);
  if (inHeader === null) return OTHER_SCHEME;
  const offered = splitOffer(request.headers.get("sec-websocket-protocol"));

  const tokens: PresentedToken[] = [];
  if (inHeader !== undefined) tokens.push({ source: "header", token: inHeader });
  for (const name of offered) {
    if (name.startsWith(TOKEN_PREFIX)) {
      tokens.push({ source: "subprotocol", token: name.slice(TOKEN_PREFIX.length) });
    }
  }
  const inCookie = tokenCookie === undefined
    ? []
    : readCookie(request.headers.get("cookie") ?? "", tokenCookie);
  for (const token of inCookie) tokens.push({ source: "cookie", token });
  for (const token of inQuery) tokens.push({ source: "query", token });
  if (tokens.length > 1) return TWO_WAYS;
  if (inCookie.length > 0 && request.headers.get("origin") === null) return NO_ORIGIN;
  const holder = offered.find((name) => name.startsWith(TOKEN_PREFIX));
  return { presented: tokens[0], subprotocol: select(offered) ?? holder };
}

/** The token after the scheme, empty if there is none; null for another scheme. */
function readBearer(authorization: string): string | null {
  const space = authorization.indexOf(" ");
  const scheme = space < 0 ? authorization : authorization.slice(0, space);
  if (scheme.toLowerCase() !== "bearer") return null;
  return authorization.slice(scheme.length).trimStart();
}

/** The values of all cookies of that name (RFC 6265 §4.2.1). */
function readCookie(cookie: string, name: string): readonly string[] {
  const prefix = `${name}=`;
  return cookie.split(";").map((pair) => pair.trim()).filter((pair) => pair.startsWith(prefix))
    .map((pair) => pair.slice(prefix.length));
}

function readQuery(url: string): readonly string[] {
  const mark = url.indexOf("?");
  if (mark < 0) return [];
  const tokens: string[] = [];
  for (const [name, value] of new URLSearchParams(url.slice(mark))) {
    // Compared with a list, not a set: a peer can choose names of digits that collide in a set.
    if (QUERY_NAMES.includes(name.toLowerCase())) tokens.push(value);
  }
  return tokens;
}

function splitOffer(value: string | null): readonly string[] {
  return listElements(value ?? "");
}

/** Clients name what they prefer first (RFC 6455 §4.1). */
function select(offered: readonly string[]): Subprotocol | undefined {
  for (const name of offered) {
    const found = SUBPROTOCOLS.find((subprotocol) => subprotocol === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
