// The end of a socket on which all has been said.

import { type ByteSocket, expectLoss } from "../byte_socket.ts";
import { small } from "./buffer_stock.ts";

/** How much a peer may still send as fast as it can, in bytes. */
const MOST_LINGERING = 262_144;

/** How long one that sends more is not read then, again and again, in milliseconds. */
const LINGER_PAUSE_MS = 50;

/**
 * Ends our side and waits until the peer has ended its own, or the socket is closed, for which the caller has a deadline. Closed with
 * something unread, the connection would be reset, and a peer in the middle of a large message would lose what was sent last.
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
    // The peer is gone, or its time is over: there is nobody left to tell.
    expectLoss(error);
  } finally {
    small.giveBack(scratch);
  }
}
