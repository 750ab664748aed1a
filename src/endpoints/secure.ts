// The secure endpoint: the first message is a token, and nothing is processed before it is verified.
import type { Verification, Verifier } from "../auth/token.ts";
import { type Cancel, type Clock, SYSTEM_CLOCK } from "./clock.ts";
import type { Message, Peer, SocketHandler } from "./endpoint.ts";
import { Session, type SessionOptions, TOKEN_EXPIRED } from "./session.ts";

/** How the secure endpoint authenticates and answers. */
export interface SecureOptions extends Omit<SessionOptions, "clock"> {
  readonly verifier: Verifier;
  /** How long a peer may take until its token is verified, in milliseconds, at most `MAX_DELAY_MS`. */
  readonly authTimeoutMs: number;
  /** The machine's time if left out. */
  readonly clock?: Clock;
}

/** How many messages a peer may send ahead while its token is verified; one more closes with 1008. */
export const MAX_HELD_MESSAGES = 16;
/** How much those messages may hold together, in bytes (binary) and UTF-16 units (text); one more closes with 1008. */
export const MAX_HELD_SIZE = 2 ** 20;

/** Why authentication failed: for the log (`why`), as a text message (some clients never see a reason), and as a Close. */
interface Refusal {
  readonly why: string;
  readonly text?: string;
  readonly code: number;
  readonly reason: string;
}

const EXPIRED: Refusal = { why: "expired", ...TOKEN_EXPIRED };
const INVALID: Refusal = { why: "invalid", text: "Invalid Token", code: 3000, reason: "invalid token" };
const TIMEOUT: Refusal = {
  why: "timeout",
  text: "Authentication Timeout",
  code: 3008,
  reason: "authentication timeout",
};
const BINARY: Refusal = { why: "binary", code: 1003, reason: "a token must be text" };
const TOO_MUCH: Refusal = { why: "too much", code: 1008, reason: "too much before authentication" };

/** Makes handlers that turn a connection whose first message is a valid token into a session. */
export function createSecureHandler(options: SecureOptions): (peer: Peer) => SocketHandler {
  const settings = { clock: SYSTEM_CLOCK, ...options };
  return (peer) => new SecureHandler(peer, settings);
}

class SecureHandler implements SocketHandler {
  readonly #peer: Peer;
  readonly #options: Required<SecureOptions>;
  #cancelTimeout: Cancel = () => {};
  /** What came after the token and before its verification; undefined until the token has come. */
  #held: Message[] | undefined;
  #heldSize = 0;
  #session: Session | undefined;

  constructor(peer: Peer, options: Required<SecureOptions>) {
    this.#peer = peer;
    this.#options = options;
  }

  open(): void {
    const { clock, authTimeoutMs } = this.#options;
    // It runs on while a token is verified: no connection without a session outlives it.
    this.#cancelTimeout = clock.after(authTimeoutMs, () => this.#refuse(TIMEOUT));
  }

  message(data: Message): void | Promise<void> {
    if (this.#session !== undefined) return this.#session.message(data);
    if (this.#held !== undefined) return this.#hold(this.#held, data);
    if (typeof data !== "string") return this.#refuse(BINARY);
    this.#held = [];
    return this.#authenticate(data, this.#held);
  }

  close(code: number): void {
    this.#cancelTimeout();
    this.#session?.close(code);
  }

  async #authenticate(token: string, held: readonly Message[]): Promise<void> {
    const verification = await this.#verify(token);
    // The peer may be gone, refused or timed out by now.
    if (!this.#peer.isOpen) return;
    if (!verification.ok) {
      return this.#refuse(verification.reason === "expired" ? EXPIRED : INVALID, verification.detail);
    }
    this.#cancelTimeout();
    this.#peer.send("Authenticated!");
    this.#session = new Session(this.#peer, verification.identity, this.#options);
    for (const message of held) this.#session.message(message);
    this.#held = undefined;
  }

  /** As the verifier says, but a token that expired while it was verified is expired. */
  async #verify(token: string): Promise<Verification> {
    const verification = await this.#options.verifier.verify(token);
    const { clock } = this.#options;
    if (!verification.ok || verification.identity.expiresAtMs > clock.now()) return verification;
    return { ok: false, reason: "expired", detail: "expired while it was verified" };
  }

  #hold(held: Message[], data: Message): void {
    this.#heldSize += typeof data === "string" ? data.length : data.byteLength;
    if (held.length === MAX_HELD_MESSAGES || this.#heldSize > MAX_HELD_SIZE) return this.#refuse(TOO_MUCH);
    held.push(data);
  }

  #refuse({ why, text, code, reason }: Refusal, detail?: string): void {
    this.#cancelTimeout();
    const { connection, address: peer } = this.#peer;
    this.#options.log("session.refused", { connection, peer, endpoint: "secure", code, reason: why, detail });
    if (text !== undefined) this.#peer.send(text);
    this.#peer.close(code, reason);
  }
}
