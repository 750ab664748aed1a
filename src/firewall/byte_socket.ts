// A byte stream as the firewall uses it, and how to write all of something to one.

/** What the firewall needs of a connection; `Deno.Conn` is one. */
export interface ByteSocket {
  /** Reads at least one byte into `bytes`; null at the end of the stream. */
  read(bytes: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`; returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the writing side (FIN); the other side can still be read. */
  closeWrite(): Promise<void>;
  /** Frees the descriptor; pending reads and writes reject. */
  close(): void;
  /** As `close`, for sockets whose `close` throws when called twice, as the runtime's own does. */
  [Symbol.dispose]?(): void;
  /** Bytes of memory that it takes beyond a plain connection while it is open; none if left out. */
  readonly overheadBytes?: number;
}

const LOST_CLASSES: readonly (new () => Error)[] = [
  Deno.errors.ConnectionReset,
  Deno.errors.ConnectionAborted,
  Deno.errors.BrokenPipe,
  Deno.errors.NotConnected,
  Deno.errors.UnexpectedEof,
  Deno.errors.TimedOut,
  Deno.errors.NetworkUnreachable,
  // Reads and writes that are pending when this side closes the socket, or begin afterwards.
  Deno.errors.Interrupted,
  Deno.errors.BadResource,
];

/** Codes of errors without a class of their own: from node:tls, its streams and the system. */
const LOST_CODES: ReadonlySet<unknown> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOTCONN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ECANCELED",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_WRITE_AFTER_END",
]);

/**
 * Whether a failed read or write only means that the connection is over: the peer or the network ended it or broke TLS,
 * or this program closed it. Everything else is a fault of the program, and must not be taken for the peer's.
 */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (LOST_CLASSES.some((lost) => error instanceof lost)) return true;
  const { code } = error as { code?: unknown };
  return LOST_CODES.has(code) || typeof code === "string" && code.startsWith("ERR_SSL_");
}

/** For a `catch` of I/O where a lost connection does not matter: throws every other error again. */
export function expectLoss(error: unknown): void {
  if (!isConnectionLost(error)) throw error;
}

/** Writes the bytes from `start` to `end`. */
export async function writeAll(
  socket: ByteSocket,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): Promise<void> {
  while (start < end) start += await socket.write(bytes.subarray(start, end));
}

/** Closes `socket` whether or not it is closed already. */
export function closeQuietly(socket: ByteSocket): void {
  // Throwing and catching an error, with its stack, would cost more than all else at the end of a connection.
  if (socket[Symbol.dispose] === undefined) socket.close();
  else socket[Symbol.dispose]!();
}

/** A socket whose first bytes have been read already. */
export class PrefixedSocket implements ByteSocket {
  readonly #socket: ByteSocket;
  #prefix: Uint8Array;

  /** Owns `socket`, and keeps `prefix` until it has been read. */
  constructor(socket: ByteSocket, prefix: Uint8Array) {
    this.#socket = socket;
    this.#prefix = prefix;
  }

  read(bytes: Uint8Array): Promise<number | null> {
    if (this.#prefix.length === 0) return this.#socket.read(bytes);
    const size = Math.min(bytes.length, this.#prefix.length);
    bytes.set(this.#prefix.subarray(0, size));
    this.#prefix = this.#prefix.subarray(size);
    return Promise.resolve(size);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#socket.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#socket.closeWrite();
  }

  close(): void {
    closeQuietly(this.#socket);
  }
}
