// The options of a run of the self-test.

import type { TlsOptions } from "../dial.ts";
import type { Target } from "../target.ts";
import type { CaseClass } from "./verdict.ts";

/** How a token is presented. */
export type Presentation = "first" | "header" | "subprotocol" | "cookie";

/** The values from which on a server counts as unlimited. */
export interface Thresholds {
  /** Bytes of one frame. */
  readonly frame: number;
  /** Bytes of one message in fragments. */
  readonly message: number;
  readonly fragments: number;
  /** Pings within four seconds; a server that answers half of them counts as unlimited. */
  readonly messages: number;
  readonly connections: number;
  /** Milliseconds that a peer may be silent. */
  readonly silenceMs: number;
  /** Milliseconds within which a server must let go of a closed connection. */
  readonly hangUpMs: number;
}

/** What a run may cost, and what it tries. */
export interface SelftestOptions {
  readonly target: Target;
  /** The target's address, looked up once. */
  readonly address: string | undefined;
  readonly tls: TlsOptions;
  readonly classes: ReadonlySet<CaseClass>;
  /** Ids or groups, or the beginning of an id with a `*`; empty for all. */
  readonly only: readonly string[];
  readonly skip: readonly string[];
  /** Whether a warning counts as a fail. */
  readonly strict: boolean;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How long one case may take, in milliseconds. */
  readonly caseTimeoutMs: number;
  /** How long all of them may take, in milliseconds. */
  readonly maxTimeMs: number;
  /** How many bytes may be sent in all. */
  readonly maxBytes: number;
  /** How many connections may be opened a second. */
  readonly connectionRate: number;
  readonly thresholds: Thresholds;
  /** The text to send where any will do. */
  readonly send: string;
  /** What the server must answer to `send`; undefined: whatever its first answer is. */
  readonly expect: string | undefined;
  readonly token: string | undefined;
  readonly present: Presentation;
  /** Makes tokens, valid or not; undefined without the key. */
  readonly forge: Forge | undefined;
  /** The target's process, whose descriptors are counted. */
  readonly pid: number | undefined;
}

/** Makes tokens with the server's key. */
export interface Forge {
  /** A signed token with this header, but the configured `typ`. `kid`, `iss` and `aud` are added if not given. */
  make(header: Readonly<Record<string, unknown>>, claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** A valid token. */
  valid(lifetimeMs: number): Promise<string>;
  /** The key's algorithm. */
  readonly alg: string;
  /** The public key in PEM; undefined for a secret. */
  readonly publicPem: string | undefined;
}
