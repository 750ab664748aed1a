// Refusals on the wire: the answer, a moment to read it, and an end that no peer can delay.

import { encodeRefusal, type Refusal } from "../../protocol/handshake.ts";
import type { Admission } from "../admission.ts";
import { type ByteSocket, closeQuietly, expectLoss, writeAll } from "../byte_socket.ts";
import { linger } from "../connection/linger.ts";

/** What refusing a peer needs to know of it: a part of `Peer`. */
export interface Refused {
  readonly socket: ByteSocket;
  readonly address: string;
  readonly canAnswer: boolean;
  readonly isIdentified: boolean;
  readonly isHead: boolean;
  isRefused: boolean;
}

/** How long a refused peer may take to read why, in milliseconds: it holds a descriptor for that time. */
const REFUSAL_TIMEOUT_MS = 1000;

/**
 * How many refused peers may take that time at once. Refused peers count toward no limit on their address, so one
 * address could hold every place otherwise. Most of those beyond see the answer all the same.
 */
const MAX_LINGERING = 256;

let lingering = 0;

/** Records why the peer may not connect, counts it against its address if it is a violation, and answers. */
export async function refuse(
  peer: Refused,
  refusal: Refusal,
  { admission, endpoint }: { readonly admission: Admission; readonly endpoint: string },
): Promise<void> {
  const { address, canAnswer, isIdentified } = peer;
  peer.isRefused = true;
  admission.record(address, endpoint, refusal);
  if (isIdentified && refusal.isViolation) admission.violation(address);
  if (canAnswer) await answer(peer, refusal);
}

/** Sends a refusal and waits, for a moment, until it has been read. Rejects when the peer is lost. */
export async function answer({ socket, isHead }: Refused, refusal: Refusal): Promise<void> {
  const date = new Date().toUTCString();
  await sendLast(socket, encodeRefusal(refusal, { date, hasBody: !isHead }));
}

/** Sends the last bytes and waits, for a moment, until they are read; then the socket may be closed. */
export async function sendLast(socket: ByteSocket, bytes: Uint8Array): Promise<void> {
  const mayLinger = lingering < MAX_LINGERING;
  const timer = setTimeout(() => closeQuietly(socket), REFUSAL_TIMEOUT_MS);
  if (mayLinger) lingering++;
  try {
    await writeAll(socket, bytes);
    if (mayLinger) await linger(socket);
  } finally {
    clearTimeout(timer);
    if (mayLinger) lingering--;
  }
}

/** As `answer`, while a read is pending, which closing the socket ends. Never rejects for the loss of the peer. */
export async function interrupt(peer: Refused, refusal: Refusal): Promise<void> {
  const { socket, canAnswer, isHead } = peer;
  const timer = setTimeout(() => closeQuietly(socket), REFUSAL_TIMEOUT_MS);
  try {
    const date = new Date().toUTCString();
    if (canAnswer) await writeAll(socket, encodeRefusal(refusal, { date, hasBody: !isHead }));
  } catch (error) {
    expectLoss(error);
  } finally {
    clearTimeout(timer);
    closeQuietly(socket);
  }
}
