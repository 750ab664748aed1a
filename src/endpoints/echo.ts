// The echo endpoint: every message comes back.
import type { Message, Peer, SocketHandler } from "./endpoint.ts";

/** How the echo answers. */
export interface EchoOptions {
  /** Put in front of each text message; may be empty. */
  readonly prefix: string;
}

/** Makes handlers that answer text with `{prefix}{message}` and binary with the same bytes. */
export function createEchoHandler({ prefix }: EchoOptions): (peer: Peer) => SocketHandler {
  return (peer) => ({ message: (data) => peer.send(echo(prefix, data)) });
}

/** The answer to one message: text with the prefix in front, binary as it is (the same buffer). */
export function echo(prefix: string, data: Message): Message {
  return typeof data === "string" ? prefix + data : data;
}
