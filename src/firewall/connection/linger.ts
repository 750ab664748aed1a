// Ends a socket after the last byte was sent.

import { type ByteSocket, expectLoss } from "../byte_socket.ts";
import { small } from "./buffer_stock.ts";

/** How much a peer may send after that as fast as it can, in bytes. */
const MOST_LINGERING = 262_144;

/** How long a peer that sends more is not read, after each read, in milliseconds. */
const LINGER_PAUSE_MS = 50;

/**
 * Ends our side and waits until the peer has ended its own, or the socket is closed, for which the caller has a
 * deadline. Closing with bytes unread would reset the connection, and a peer in the middle of a large message would
 * lose what was sent last.
 */
export async function linger(peer: ByteSocket): Promise<void> {
  const scratch = small.take();
  try {
    await peer.closeWrite();
    for (let left = MOST_LINGERING;;) {
      const size = await peer.read(scratch);
      if (size === null) return;
      left -= size;
      if (left <= 0) await new Promise((resolve) => setTimeout(resolve, LINGER_PAUSE_MS));
    }
  } catch (error) {
    // The peer is gone, or its time is over.
    expectLoss(error);
  } finally {
    small.giveBack(scratch);
  }
}
