// What the tests of sessions share: tokens that name their own claims, and sessions in memory.
import assert from "node:assert/strict";
import type { Identity, Verification, Verifier } from "../../src/auth/token.ts";
import { createRpcConversation, type RpcOptions } from "../../src/endpoints/secure/rpc_conversation.ts";
import type { Message } from "../../src/endpoints/endpoint.ts";
import type { RpcId } from "../../src/endpoints/secure/json_rpc.ts";
import { authenticate } from "../../src/endpoints/sessions/authenticate.ts";
import { createPlainConversation } from "../../src/endpoints/secure/plain_conversation.ts";
import { Session } from "../../src/endpoints/sessions/session.ts";
import {
  SessionRegistry,
  type SessionRegistryOptions,
} from "../../src/endpoints/sessions/session_registry.ts";
import { ManualClock, MemoryLog, MemoryPeer } from "./harness.ts";

/** The claims of a test token: `expires` is in milliseconds since the epoch, far away if left out. */
export interface TestClaims {
  readonly user?: string;
  readonly expires?: number;
  readonly jti?: unknown;
  readonly iat?: number;
  readonly [claim: string]: unknown;
}

const FAR_MS = 8e15;

/** Whom a token with these claims speaks for. */
export function identityOf({ user = "alice", expires = FAR_MS, ...claims }: TestClaims = {}): Identity {
  return { user, expiresAtMs: expires, claims };
}

/** A token for {@linkcode TEST_VERIFIER}; it is a subprotocol name too. */
export function tokenOf(claims: TestClaims = {}): string {
  return btoa(JSON.stringify(claims)).replaceAll("=", "");
}

/** Takes the tokens of {@linkcode tokenOf}; `expired` and `busy` are what they say, all else is invalid. */
export const TEST_VERIFIER: Verifier = {
  verify(token): Promise<Verification> {
    if (token === "expired" || token === "busy") {
      return Promise.resolve({ ok: false, reason: token, detail: "as the test said" });
    }
    try {
      return Promise.resolve({ ok: true, identity: identityOf(JSON.parse(atob(token))) });
    } catch {
      return Promise.resolve({ ok: false, reason: "invalid", detail: "not a test token" });
    }
  },
};

/** A reply as it stands on the wire, read. */
export interface Reply {
  readonly jsonrpc: string;
  readonly id?: RpcId;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  readonly method?: string;
  readonly params?: unknown;
}

/** Sessions in memory with everything around them. */
export class SessionBench {
  readonly clock = new ManualClock();
  readonly memory = new MemoryLog();
  readonly sessions: SessionRegistry;

  constructor(options: SessionRegistryOptions = {}) {
    this.sessions = new SessionRegistry({ clock: this.clock, log: this.memory.log, ...options });
  }

  /** Opens a session as the secure endpoint does. */
  open(claims: TestClaims = {}, rpc?: Partial<RpcOptions>): OpenSession {
    const peer = new MemoryPeer();
    const identity = identityOf(claims);
    const { clock, sessions, memory: { log } } = this;
    const authenticators = { verifier: TEST_VERIFIER, sessions, clock };
    const session = new Session(peer, identity, {
      log,
      clock,
      expiryWarningMs: 30_000,
      createConversation: (session) =>
        rpc === undefined ? createPlainConversation(session, "") : createRpcConversation(session, {
          prefix: "",
          log,
          clock,
          sessions,
          authenticate: (token) => authenticate(token, authenticators),
          ...rpc,
        }),
      onEnded: (session) => sessions.remove(session),
    });
    assert.equal(sessions.admit(identity), undefined);
    sessions.add(session);
    return new OpenSession(peer, session);
  }
}

/** A session and its peer. */
export class OpenSession {
  readonly peer: MemoryPeer;
  readonly session: Session;

  constructor(peer: MemoryPeer, session: Session) {
    this.peer = peer;
    this.session = session;
  }

  /** Sends a message and returns what was sent back meanwhile, read from JSON. */
  async exchange(data: Message): Promise<(Reply | Reply[])[]> {
    const before = this.peer.sent.length;
    await this.session.message(data);
    return this.peer.sent.slice(before).map((sent) => JSON.parse(String(sent)));
  }

  /** Calls a method and returns the one reply. */
  async call(method: string, params?: unknown): Promise<Reply> {
    const replies = await this.exchange(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    assert.equal(replies.length, 1);
    return replies[0] as Reply;
  }

  /** The code of the error that a call is answered with, and the path of the field that it names. */
  async callWrongly(method: string, params?: unknown): Promise<[number | undefined, unknown]> {
    const { error } = await this.call(method, params);
    return [error?.code, (error?.data as { path?: unknown } | undefined)?.path];
  }
}
