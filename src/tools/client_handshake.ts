// The client's side of the opening handshake: the request, and whether the answer opens a WebSocket (RFC 6455 §4.1).

import type { ResponseHead } from "./raw_client.ts";
import type { Target } from "./target.ts";

/** Names the tool in every request, so that the operator of a server can see where it comes from. */
const TOOL_HEADER = "User-Agent: wsward";
/** The key of every request. It may be fixed, because it only proves that the server read it (RFC 6455 §1.3). */
export const KEY = "d3N3YXJkIHRlc3Qga2V5IQ==";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A request head; `lines` are header lines to add, sent as they are. */
export function requestHead(target: Pick<Target, "host" | "path">, lines: readonly string[] = []): string {
  return [
    `GET ${target.path} HTTP/1.1`,
    `Host: ${target.host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${KEY}`,
    TOOL_HEADER,
    ...lines,
    "",
    "",
  ].join("\r\n");
}

/** The `Sec-WebSocket-Accept` that answers a key (RFC 6455 §4.2.2). */
export async function acceptFor(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + GUID));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/** Why a 101 does not answer a request with `KEY` and these subprotocols; undefined if it does (RFC 6455 §4.1). */
export async function findHandshakeFault(
  { headers }: ResponseHead,
  offered: readonly string[] = [],
): Promise<string | undefined> {
  const one = (name: string) => headers.get(name)?.join(", ");
  if (one("upgrade")?.toLowerCase() !== "websocket") return "the header Upgrade must be websocket";
  if (!one("connection")?.toLowerCase().split(",").some((item) => item.trim() === "upgrade")) {
    return "the header Connection must name upgrade";
  }
  if (one("sec-websocket-accept") !== await acceptFor(KEY)) {
    return "the header Sec-WebSocket-Accept does not answer the key";
  }
  if (headers.has("sec-websocket-extensions")) return "an extension was chosen that was not offered";
  const protocol = one("sec-websocket-protocol");
  if (protocol !== undefined && !offered.includes(protocol)) {
    return "a subprotocol was chosen that was not offered";
  }
  return undefined;
}
