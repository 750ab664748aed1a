// What `connect` is asked to do.

import type { OpenOptions } from "./web_socket.ts";

/** What `connect` is asked to do; times in milliseconds. */
export interface ConnectOptions {
  readonly open: Omit<OpenOptions, "trace" | "onHead">;
  /** Makes the first message, where that is to be a token. */
  readonly firstMessage: string | undefined;
  /** Messages to send in place of what is typed. */
  readonly execute: readonly string[];
  /** How long nothing must have come until the end of input is the end; undefined: until each message has an answer. */
  readonly waitMs: number | undefined;
  readonly showPings: boolean;
  /** What is sent goes as binary messages, and what comes so is written as it is. */
  readonly binary: boolean;
  readonly json: boolean;
  /** End after one message. */
  readonly one: boolean;
  /** At the end of input, stay until the server closes. */
  readonly noClose: boolean;
  readonly timestamps: boolean;
  readonly rtt: boolean;
  readonly reconnect: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
}

/** The exit codes of `connect`. */
export const EXIT = { ok: 0, otherCode: 1, cannotConnect: 3, refused: 4, lost: 5, interrupted: 130 } as const;
