// The two errors that end the program with one line on stderr.

/**
 * The command line or the environment asks for something that cannot be: exit code 2, `code` is `"usage"`.
 * The message says what we were doing, a colon, and the state: `Cannot use --echo-port "x": it must be from 0 to 65535`.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
}

/**
 * What was asked for is right but can't be done here (a port in use, an unreadable file): exit code 1, `code` is
 * `"start"`. The message says what we were doing, a colon, and the state; what was caught goes into `cause`.
 */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly code = "start";
}
