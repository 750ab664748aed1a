// The options and exit codes of `connect`.

import type { OpenOptions } from "./web_socket.ts";

/** The options of `connect`; times in milliseconds. */
export interface ConnectOptions {
  readonly open: Omit<OpenOptions, "trace" | "onHead">;
  /** A message to send before all others: the token, if it is presented so. */
  readonly firstMessage: string | undefined;
  /** Messages to send in place of the input. */
  readonly execute: readonly string[];
  /** After the end of input, close when nothing has come for so long; undefined: when each message has an answer. */
  readonly waitMs: number | undefined;
  readonly showPings: boolean;
  /** Send binary messages, and write received ones to a pipe or a file as they are. */
  readonly binary: boolean;
  readonly json: boolean;
  /** Close after one message, not counting the answer to the first message. */
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
