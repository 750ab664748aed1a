// What a run of the self-test is asked to do.

import type { TlsOptions } from "../dial.ts";
import type { Target } from "../target.ts";
import type { CaseClass } from "./verdict.ts";

/** How a token is presented. */
export type Presentation = "first" | "header" | "subprotocol" | "cookie";

/** From which values on a server counts as unlimited. */
export interface Thresholds {
  /** Bytes of one frame. */
  readonly frame: number;
  /** Bytes of one message in fragments. */
  readonly message: number;
  readonly fragments: number;
  readonly messages: number;
  readonly connections: number;
  /** Milliseconds that a peer may be silent. */
  readonly silenceMs: number;
  /** Milliseconds until a connection that is closed must be let go of. */
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
  /** Whether a warning is a fail. */
  readonly strict: boolean;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How long one case may take, in milliseconds. */
  readonly caseTimeoutMs: number;
  /** How long all of them may take, in milliseconds. */
  readonly maxTimeMs: number;
  /** The most that may be sent in all, in bytes. */
  readonly maxBytes: number;
  /** How many connections a second are opened. */
  readonly connectionRate: number;
  readonly thresholds: Thresholds;
  /** A text to send where any would do. */
  readonly send: string;
  /** What the server answers to it; undefined: what it is seen to answer. */
  readonly expect: string | undefined;
  readonly token: string | undefined;
  readonly present: Presentation;
  /** Makes tokens that are wrong in all ways; undefined without the key. */
  readonly forge: Forge | undefined;
  /** The target's process, whose descriptors are counted. */
  readonly pid: number | undefined;
}

/** Makes tokens with the server's key. */
export interface Forge {
  /** A token with this header and these claims, as they are; `sign` replaces the signature. */
  make(header: Readonly<Record<string, unknown>>, claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** A token that is right. */
  valid(lifetimeMs: number): Promise<string>;
  /** The key's algorithm. */
  readonly alg: string;
  /** The public key in PEM; undefined for a secret. */
  readonly publicPem: string | undefined;
}
