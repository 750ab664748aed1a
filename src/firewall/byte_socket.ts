// A byte stream as the firewall uses it, and how to write all of something to one.

/** What the firewall needs of a connection; `Deno.Conn` is one. */
export interface ByteSocket {
  /** Reads at least one byte into `bytes`; null at the end of the stream. */
  read(bytes: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`; returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the writing side (FIN); the other side can still be read. */
  closeWrite(): Promise<void>;
  /** Frees the descriptor; what is pending rejects. */
  close(): void;
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
  try {
    socket.close();
  } catch {
    // It was closed by the other side of the program, which is all that was wanted.
  }
}

/** Ends the writing side and reads until the peer ends too, so that what was written last is not lost to a reset. */
export async function finish(socket: ByteSocket, scratch: Uint8Array): Promise<void> {
  try {
    await socket.closeWrite();
    while (await socket.read(scratch) !== null);
  } catch {
    // The peer is gone or the deadline has closed the socket: there is nobody left to tell.
  }
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
    this.#socket.close();
  }
}
