// The secure endpoint: nothing is processed before a token is verified.
import type { Identity, Verifier } from "../../auth/token.ts";
import type { Log } from "../../telemetry/log.ts";
import { authenticate, type Authentication, beforeTimeout, judge } from "../sessions/authenticate.ts";
import { type Cancel, type Clock, SYSTEM_CLOCK } from "../sessions/clock.ts";
import {
  type Accepted,
  type Admit,
  type CreateHandler,
  type Message,
  type Peer,
  readOrigin,
  type SocketHandler,
} from "../endpoint.ts";
import { type Ending, ENDINGS } from "../sessions/ending.ts";
import { createPlainConversation } from "./plain_conversation.ts";
import { readPresentation } from "../sessions/presentation.ts";
import { SecureCounters } from "../sessions/secure_counters.ts";
import { type Conversation, Session } from "../sessions/session.ts";
import { SessionRegistry } from "../sessions/session_registry.ts";

/** How the secure endpoint authenticates and answers. */
export interface SecureOptions {
  readonly verifier: Verifier;
  /** How long a peer may take until its token is verified, in milliseconds, at most `MAX_DELAY_MS`. */
  readonly authTimeoutMs: number;
  /** Put in front of each text that is echoed; may be empty. */
  readonly prefix: string;
  readonly log: Log;
  /** Told the address of a client whose token was refused. */
  readonly onFailedAuthentication?: (address: string) => void;
  /** Sessions, with limits and revocations; may be shared. One with the defaults if left out. */
  readonly sessions?: SessionRegistry;
  /** Counts results of tokens and sessions. */
  readonly counters?: SecureCounters;
  /** How long before the end of its token a session of `wsward.v1` is warned, in milliseconds; 30 s if left out. */
  readonly expiryWarningMs?: number;
  /** How many bytes a message of `wsward.v1` may have; 64 KiB if left out. */
  readonly maxRpcMessageSize?: number;
  /** Whether a token may be in the query; false if left out. */
  readonly insecureTokenInQuery?: boolean;
  /** The cookie in which a token may be; none if left out. */
  readonly tokenCookie?: string | undefined;
  /** The machine's time if left out. */
  readonly clock?: Clock;
}

/** The module for sessions that speak JSON-RPC. */
type SessionProtocol = typeof import("./rpc_conversation.ts");

/** What is known after the handshake. */
interface Start {
  /** Set if the session is to speak JSON-RPC. */
  readonly protocol?: SessionProtocol | undefined;
  /** A token that is not verified yet. */
  readonly token?: string;
  /** The identity of a verified token. */
  readonly identity?: Identity;
}

/** Why a handshake is not accepted. */
interface HandshakeRefusal {
  readonly status: 400 | 401 | 403 | 503;
  readonly why: string;
  readonly text: string;
  readonly detail?: string | undefined;
  /** The header `WWW-Authenticate` (RFC 6750 §3), or none. */
  readonly challenge?: string;
}

const TOO_LATE: HandshakeRefusal = {
  status: 503,
  why: "verification took too long",
  text: ENDINGS.timeout.text,
};

let protocol: Promise<SessionProtocol> | undefined;

/**
 * Loads the session protocol and its methods, once. Not at the start, because that would take too long: a server calls
 * this after it has started, so that a broken module is found before the first session. A handshake waits for it.
 */
export function loadSessionProtocol(): Promise<SessionProtocol> {
  return protocol ??= import("./rpc_conversation.ts");
}

/** The part of `startEndpoint`'s options that makes an endpoint the secure one. */
export function createSecureEndpoint(
  options: SecureOptions,
): { readonly createHandler: CreateHandler; readonly admit: Admit } {
  const settings = withDefaults(options);
  return {
    createHandler: (peer) => new SecureHandler(peer, settings, {}),
    admit: (request) => admit(request, settings),
  };
}

function withDefaults(options: SecureOptions): Required<SecureOptions> {
  const clock = options.clock ?? SYSTEM_CLOCK;
  return {
    sessions: new SessionRegistry({ clock }),
    counters: new SecureCounters(),
    expiryWarningMs: 30_000,
    maxRpcMessageSize: 64 * 1024,
    insecureTokenInQuery: false,
    tokenCookie: undefined,
    onFailedAuthentication: () => {},
    ...options,
    clock,
  };
}

/** Only a client that can set headers can see a status: all others are let in, and refused in the connection. */
async function admit(request: Request, options: Required<SecureOptions>): Promise<Accepted | Response> {
  const presentation = readPresentation(request, options);
  if ("status" in presentation) {
    const challenge = presentation.status === 401 ? { challenge: "Bearer" } : {};
    return refuseHandshake(request, { ...presentation, ...challenge }, options);
  }
  const { presented, subprotocol } = presentation;
  if (presented === undefined) return await accept({});
  if (presented.source !== "header") return await accept({ token: presented.token });

  const authentication = await beforeTimeout(
    authenticate(presented.token, options),
    options.clock,
    options.authTimeoutMs,
  );
  if (authentication === undefined) return refuseHandshake(request, TOO_LATE, options);
  if (authentication.ok) return await accept({ identity: authentication.identity });
  const { ending: { why, text = why, code }, detail } = authentication;
  const refusal = code === 3000
    ? { status: 401, challenge: 'Bearer error="invalid_token"' } as const
    : { status: 503 } as const;
  return refuseHandshake(request, { ...refusal, why, text, detail }, options);

  async function accept(start: Start): Promise<Accepted> {
    const protocol = subprotocol === "wsward.v1" ? await loadSessionProtocol() : undefined;
    return { subprotocol, createHandler: (peer) => new SecureHandler(peer, options, { ...start, protocol }) };
  }
}

function refuseHandshake(
  request: Request,
  { status, why, text, detail, challenge }: HandshakeRefusal,
  { log, onFailedAuthentication, counters }: Required<SecureOptions>,
): Response {
  counters.authentication(why);
  const { connection, address: peer } = readOrigin(request);
  if (status === 401) onFailedAuthentication(peer);
  log("session.refused", { connection, peer, endpoint: "secure", status, reason: why, detail });
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8" });
  if (challenge !== undefined) headers.set("www-authenticate", challenge);
  if (status === 503) headers.set("retry-after", "1");
  return new Response(`${text}\n`, { status, headers });
}

class SecureHandler implements SocketHandler {
  readonly #peer: Peer;
  readonly #options: Required<SecureOptions>;
  readonly #start: Start;
  #cancelTimeout: Cancel = () => {};
  #session: Session | undefined;

  constructor(peer: Peer, options: Required<SecureOptions>, start: Start) {
    this.#peer = peer;
    this.#options = options;
    this.#start = start;
  }

  open(): void | Promise<void> {
    const { clock, authTimeoutMs } = this.#options;
    const { token, identity } = this.#start;
    if (identity !== undefined) return this.#decided(judge(identity, this.#options));
    // It goes on while a token is verified: no connection without a session outlives it.
    this.#cancelTimeout = clock.after(authTimeoutMs, () => this.#refuse(ENDINGS.timeout));
    if (token !== undefined) return this.#authenticate(token);
  }

  message(data: Message): void | Promise<void> {
    if (this.#session !== undefined) return this.#session.message(data);
    if (typeof data !== "string") return this.#refuse(ENDINGS.binary);
    return this.#authenticate(data);
  }

  close(code: number): void {
    this.#cancelTimeout();
    if (this.#session === undefined) return;
    this.#session.close(code);
    this.#options.counters.lifetimes.observe(this.#session.durationMs / 1000);
  }

  async #authenticate(token: string): Promise<void> {
    const authentication = await authenticate(token, this.#options);
    // The peer may be gone, refused or timed out by now.
    if (this.#peer.isOpen) await this.#decided(authentication);
  }

  #decided(authentication: Authentication): void | Promise<void> {
    if (!authentication.ok) return this.#refuse(authentication.ending, authentication.detail);
    const { identity } = authentication;
    const { connection, address } = this.#peer;
    const id = crypto.randomUUID();
    const refusal = this.#options.sessions.request(identity, { id, connection, address });
    if (!(refusal instanceof Promise)) return this.#admitted(identity, id, refusal);
    return refusal.then((decide) => {
      // The peer may be gone, refused or timed out by now.
      if (this.#peer.isOpen) this.#admitted(identity, id, decide());
      else this.#options.sessions.abandon(identity, id);
    });
  }

  #admitted(identity: Identity, id: string, refusal: Ending | undefined): void {
    const { sessions, log, clock, expiryWarningMs } = this.#options;
    if (refusal !== undefined) return this.#refuse(refusal);
    this.#cancelTimeout();
    // In every subprotocol: its own messages begin after this text.
    this.#peer.send("Authenticated!");
    const session = new Session(this.#peer, identity, {
      id,
      log,
      clock,
      expiryWarningMs,
      createConversation: (session) => this.#createConversation(session),
      onEnded: (session) => sessions.remove(session),
    });
    sessions.add(session);
    this.#options.counters.authentication("ok");
    this.#session = session;
  }

  #createConversation(session: Session): Conversation {
    const { prefix, log, clock, sessions, maxRpcMessageSize: maxMessageSize } = this.#options;
    const { protocol } = this.#start;
    if (protocol === undefined) return createPlainConversation(session, prefix);
    return protocol.createRpcConversation(session, {
      prefix,
      log,
      clock,
      sessions,
      maxMessageSize,
      authenticate: (token) => authenticate(token, this.#options),
    });
  }

  #refuse({ why, text, code, reason }: Ending, detail?: string): void {
    this.#cancelTimeout();
    const { connection, address: peer } = this.#peer;
    this.#options.counters.authentication(why);
    this.#options.log("session.refused", { connection, peer, endpoint: "secure", code, reason: why, detail });
    if (code === ENDINGS.invalid.code) this.#options.onFailedAuthentication(peer);
    if (text !== undefined) this.#peer.send(text);
    this.#peer.close(code, reason);
  }
}
