// The health path: tells load balancers one bit on a public port.

import { encodeAnswer, hasToken, type RequestHead } from "../../protocol/handshake.ts";
import type { Peer } from "./peer.ts";
import { sendLast } from "./refusing.ts";

/** The health path of a listener. */
export interface Health {
  readonly path: string;
  readonly isReady: () => boolean;
}

/** Whether a head asks for the health path, and not for a handshake there. */
export function isHealthCheck({ method, path, headers }: RequestHead, health: Health): boolean {
  return path === health.path && (method === "GET" || method === "HEAD") &&
    !hasToken(headers.get("upgrade"), "websocket");
}

/** Says whether the server is ready, and nothing else; ends the connection. Rejects when the peer is lost. */
export async function answerHealth({ socket, isHead }: Peer, isReady: boolean): Promise<void> {
  const answer = {
    status: isReady ? 200 : 503,
    name: isReady ? "OK" : "Service Unavailable",
    text: isReady ? "ok\n" : "not ready\n",
    headers: { "Cache-Control": "no-store" },
  };
  await sendLast(socket, encodeAnswer(answer, { date: new Date().toUTCString(), hasBody: !isHead }));
}
