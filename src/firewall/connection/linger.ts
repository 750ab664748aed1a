// The end of a socket on which all has been said.

import { type ByteSocket, expectLoss } from "../byte_socket.ts";
import { small } from "./buffer_stock.ts";

/** How much a peer may still send, in bytes. */
const MOST_LINGERING = 262_144;

/**
 * Ends our side and waits until the peer has ended its own, has sent too much, or the socket is closed. Closed with something
 * unread, the connection would be reset, and the peer might lose what was sent last.
 */
export async function linger(peer: ByteSocket): Promise<void> {
  const scratch = small.take();
  try {
    await peer.closeWrite();
    for (let left = MOST_LINGERING; left > 0;) {
      const size = await peer.read(scratch);
      if (size === null) return;
      left -= size;
    }
  } catch (error) {
    // The peer is gone, or its time is over: there is nobody left to tell.
    expectLoss(error);
  } finally {
    small.giveBack(scratch);
  }
}
