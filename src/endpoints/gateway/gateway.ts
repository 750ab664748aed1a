// Decides who may connect to an upstream: a token becomes a session, and headers that the upstream can trust.

import type { Identity } from "../../auth/token.ts";
import type { CloseReason } from "../../protocol/close_code.ts";
import { listElements, type Refusal, type RequestHead } from "../../protocol/handshake.ts";
import type { Log } from "../../telemetry/log.ts";
import { authenticate, type Authenticators, beforeTimeout } from "../sessions/authenticate.ts";
import type { Clock } from "../sessions/clock.ts";
import type { Peer } from "../endpoint.ts";
import { type Ending, ENDINGS } from "../sessions/ending.ts";
import { QUERY_NAMES, readPresentation, TOKEN_PREFIX } from "../sessions/presentation.ts";
import type { SecureCounters } from "../sessions/secure_counters.ts";
import { Session } from "../sessions/session.ts";
import type { SessionRegistry } from "../sessions/session_registry.ts";
import { encodeClaim, encodeHeaderValue } from "./header_value.ts";

/** What a gateway decides by. */
export interface GatewayOptions extends Authenticators {
  readonly sessions: SessionRegistry;
  readonly counters: SecureCounters;
  readonly clock: Clock;
  /** How long a client may take until its token is verified, in milliseconds. */
  readonly authTimeoutMs: number;
  readonly insecureTokenInQuery: boolean;
  readonly tokenCookie: string | undefined;
  /** Claims that become headers, each as `claim=Header`. */
  readonly claims: readonly string[];
  /** The header for all claims together. */
  readonly claimsHeader: string | undefined;
  readonly forwardToken: boolean;
  /** Told the address of a client whose token was refused. */
  readonly onFailedAuthentication: (address: string) => void;
  readonly log: Log;
}

/** A handshake. */
interface Asked {
  readonly connection: string;
  readonly address: string;
  readonly head: RequestHead;
}

/** The connection that may follow. */
interface Crossed {
  readonly isOpen: boolean;
  readonly messagesIn: number;
  readonly messagesOut: number;
  close(close: CloseReason): void;
}

/** What a verified token allows. */
interface Ticket {
  readonly headers: readonly (readonly [name: string, value: string])[];
  opened(): void;
  closed(code: number): void;
}

/** What is passed on of a handshake. */
interface Pass {
  readonly query: string;
  readonly cookie: string | undefined;
  readonly subprotocols: readonly string[];
  readonly fallback: string | undefined;
  readonly ticket: Ticket | undefined;
}

/** The most that an upstream is told about a user, in bytes of header values. */
const MAX_CLAIMS_SIZE = 8192;

const TOO_MUCH: Ending = { why: "claims too large", code: 1008, reason: "the token has too many claims" };

/** Statuses of refused tokens; all others are 503. */
const STATUSES: Readonly<Record<number, 401 | 403>> = { 3000: 401, 3003: 403, 1008: 403 };

/** Lets everybody through: the firewall only. */
export class OpenGateway {
  readonly tokenTimeoutMs = 0;
  readonly #forwardToken: boolean;

  /** @param forwardToken Whether the header Authorization is passed on. */
  constructor(forwardToken: boolean) {
    this.#forwardToken = forwardToken;
  }

  admit({ head: { query, headers } }: Asked): Promise<Pass> {
    const authorization = this.#forwardToken ? headers.get("authorization") : undefined;
    return Promise.resolve({
      query,
      cookie: headers.get("cookie"),
      subprotocols: listElements(headers.get("sec-websocket-protocol")),
      fallback: undefined,
      ticket: {
        headers: authorization === undefined ? [] : [["Authorization", authorization]],
        opened: () => {},
        closed: () => {},
      },
    });
  }

  authenticate(): Promise<never> {
    throw new TypeError("Cannot authenticate: nobody is asked for a token");
  }
}

/** Lets clients with a valid token through. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #claims: readonly (readonly [claim: string, header: string])[];

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#claims = options.claims.map((given) => {
      const at = given.lastIndexOf("=");
      return [given.slice(0, at), given.slice(at + 1)];
    });
  }

  get tokenTimeoutMs(): number {
    return this.#options.authTimeoutMs;
  }

  /** Decides about a handshake. */
  async admit(asked: Asked, crossed: Crossed): Promise<Pass | Refusal> {
    const { head: { path, query, headers } } = asked;
    const presentation = readPresentation({
      url: path + query,
      headers: { get: (name) => headers.get(name) ?? null },
    }, this.#options);
    if ("status" in presentation) {
      const { status, why, text } = presentation;
      return this.#refuse(asked, status, why, text, status === 401 ? "Bearer" : undefined);
    }
    const { presented } = presentation;
    const offered = listElements(headers.get("sec-websocket-protocol"));
    const subprotocols = offered.filter((name) => !name.startsWith(TOKEN_PREFIX));
    const cookie = this.#withoutToken(headers.get("cookie"));
    const rest = {
      query: presented?.source === "query" ? withoutToken(query) : query,
      cookie,
      subprotocols,
      fallback: offered.find((name) => name.startsWith(TOKEN_PREFIX)),
    };
    if (presented === undefined) {
      if (offered.length === 0) return { ...rest, ticket: undefined };
      const text = "a token is missing: where subprotocols are offered it can't be the first message";
      return this.#refuse(asked, 401, "no token", text, "Bearer");
    }
    const outcome = await this.#open(presented.token, asked, crossed);
    if ("headers" in outcome) return { ...rest, ticket: outcome };
    const { why, text = why, code, detail } = outcome;
    const status = STATUSES[code] ?? 503;
    return this.#refuse(
      asked,
      status,
      why,
      text,
      status === 401 ? 'Bearer error="invalid_token"' : undefined,
      detail,
    );
  }

  /** Decides about the first message. */
  async authenticate(
    token: string | "binary" | "late",
    isText: boolean,
    asked: Asked,
    crossed: Crossed,
  ): Promise<Ticket | Ending> {
    const outcome = isText
      ? await this.#open(token, asked, crossed)
      : token === "binary"
      ? ENDINGS.binary
      : ENDINGS.timeout;
    if ("headers" in outcome) return outcome;
    this.#record(asked, outcome.why, { code: outcome.code, detail: (outcome as Refused).detail });
    if (outcome.code === ENDINGS.invalid.code) this.#options.onFailedAuthentication(asked.address);
    return outcome;
  }

  /** Opens the session of a valid token. */
  async #open(token: string, asked: Asked, crossed: Crossed): Promise<Ticket | Refused> {
    const { clock, authTimeoutMs, sessions } = this.#options;
    const authentication = await beforeTimeout(authenticate(token, this.#options), clock, authTimeoutMs);
    if (authentication === undefined) return { ...ENDINGS.timeout, why: "verification took too long" };
    if (!authentication.ok) return { ...authentication.ending, detail: authentication.detail };
    const { identity } = authentication;
    const headers = this.#headersFor(identity, token);
    if (headers === undefined) return TOO_MUCH;
    const { connection, address } = asked;
    const id = crypto.randomUUID();
    const outcome = sessions.request(identity, { id, connection, address }, true);
    const refusal = outcome instanceof Promise ? (await outcome)() : outcome;
    if (refusal !== undefined) return refusal;
    const session = this.#startSession(id, identity, asked, crossed);
    let isOpened = false;
    return {
      headers,
      opened: () => {
        isOpened = true;
        sessions.opened(session);
      },
      closed: (code) => {
        session.close(code);
        // No upstream took it, so it must cost neither the token nor another session.
        if (!isOpened) sessions.giveUp(identity, id);
        this.#options.counters.lifetimes.observe(session.durationMs / 1000);
      },
    };
  }

  #startSession(id: string, identity: Identity, { connection, address }: Asked, crossed: Crossed): Session {
    const { log, clock, sessions, counters } = this.#options;
    const peer: Peer = {
      connection,
      address,
      get isOpen() {
        return crossed.isOpen;
      },
      // Nothing of ours may go into the upstream's protocol.
      send: () => {},
      charge: () => {},
      close: (code, reason) => crossed.close({ code, reason }),
    };
    const session = new Session(peer, identity, {
      id,
      log,
      clock,
      endpoint: "upstream",
      traffic: crossed,
      expiryWarningMs: 0,
      createConversation: () => ({ message: () => {}, farewell: (text) => text }),
      onEnded: (ended) => sessions.remove(ended),
    });
    sessions.add(session);
    counters.authentication("ok");
    return session;
  }

  /** The headers about the user; undefined if they are too long. */
  #headersFor({ user, claims }: Identity, token: string): [string, string][] | undefined {
    const { claimsHeader, forwardToken } = this.#options;
    const headers: [string, string][] = [["X-Forwarded-User", encodeHeaderValue(user)]];
    for (const [claim, header] of this.#claims) {
      const value = encodeClaim(Object.hasOwn(claims, claim) ? claims[claim] : undefined);
      if (value !== undefined) headers.push([header, value]);
    }
    if (claimsHeader !== undefined) {
      const json = new TextEncoder().encode(JSON.stringify(claims));
      headers.push([claimsHeader, json.toBase64({ alphabet: "base64url", omitPadding: true })]);
    }
    if (headers.reduce((size, [, value]) => size + value.length, 0) > MAX_CLAIMS_SIZE) return undefined;
    if (forwardToken) headers.push(["Authorization", `Bearer ${token.trim()}`]);
    return headers;
  }

  #withoutToken(cookie: string | undefined): string | undefined {
    const { tokenCookie } = this.#options;
    if (cookie === undefined || tokenCookie === undefined) return cookie;
    return cookie.split(";").map((pair) => pair.trim()).filter((pair) => !pair.startsWith(`${tokenCookie}=`))
      .join("; ") || undefined;
  }

  #refuse(
    asked: Asked,
    status: number,
    why: string,
    reason: string,
    challenge: string | undefined,
    detail?: string,
  ): Refusal {
    this.#record(asked, why, { status, detail });
    if (status === 401) this.#options.onFailedAuthentication(asked.address);
    const headers: Record<string, string> = {};
    if (challenge !== undefined) headers["WWW-Authenticate"] = challenge;
    if (status === 503) headers["Retry-After"] = "1";
    return { status, reason, rule: "endpoint", headers };
  }

  #record(
    { connection, address: peer }: Asked,
    reason: string,
    fields: { readonly status?: number; readonly code?: number; readonly detail?: string | undefined },
  ): void {
    this.#options.counters.authentication(reason);
    this.#options.log("session.refused", { connection, peer, endpoint: "upstream", reason, ...fields });
  }
}

/** Why a token is refused; `detail` is for the log. */
type Refused = Ending & { readonly detail?: string | undefined };

/** The query without parts that may hold a token, and otherwise byte for byte. */
function withoutToken(query: string): string {
  const rest = query.slice(1).split("&").filter((pair) => {
    const [name] = new URLSearchParams(pair).keys();
    return name === undefined || !QUERY_NAMES.includes(name.toLowerCase());
  });
  return rest.length === 0 ? "" : `?${rest.join("&")}`;
}
