// The answer of somebody else's server: a right 101, a refusal of its own that may be passed on, or nonsense. No I/O but reads.

import {
  findHeadEnd,
  hasToken,
  listElements,
  parseResponseHead,
  type Refusal,
} from "../../protocol/handshake.ts";
import type { ByteSocket } from "../byte_socket.ts";
import { HeadBuffer } from "../handshake/head_buffer.ts";

/** A handshake that the server has accepted. */
export interface Accepted {
  readonly subprotocol: string | undefined;
  /** The values of its headers Set-Cookie. */
  readonly cookies: readonly string[];
  /** Bytes that came after the head. */
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** What is wrong with an answer: for the log. */
export interface BadAnswer {
  readonly fault: string;
}

/** The longest body of a refusal that is passed on, in bytes. */
const MAX_BODY_SIZE = 4096;

/** Reads the answer to a request with this expected Accept and these subprotocols. Rejects when the connection breaks. */
export async function readUpstreamAnswer(
  socket: ByteSocket,
  accept: string,
  offered: readonly string[],
): Promise<Accepted | Refusal | BadAnswer> {
  const buffer = new HeadBuffer();
  try {
    let headEnd = -1;
    while (headEnd < 0) {
      const from = buffer.end;
      if (!await buffer.read(socket)) {
        return {
          fault: buffer.isFull ? "its head is too long" : "it ended the connection without an answer",
        };
      }
      headEnd = findHeadEnd(buffer.bytes, from, buffer.end);
    }
    const head = parseResponseHead(buffer.bytes, 0, headEnd);
    if (head === undefined) return { fault: "its answer is not HTTP/1.1" };
    const { status, headers } = head;
    if (status === 101) {
      const fault = faultIn(headers, accept, offered);
      if (fault !== undefined) return { fault };
      const cookies = headers.get("set-cookie");
      return {
        subprotocol: headers.get("sec-websocket-protocol"),
        cookies: cookies === undefined ? [] : cookies.split("\n"),
        rest: buffer.bytes.slice(headEnd, buffer.end),
      };
    }
    if (status < 400 || status > 599) return { fault: `its answer is ${status}, and must be 101` };
    return await readRefusal(socket, buffer, headEnd, status, headers);
  } finally {
    buffer.release();
  }
}

function faultIn(
  headers: ReadonlyMap<string, string>,
  accept: string,
  offered: readonly string[],
): string | undefined {
  if (!hasToken(headers.get("upgrade"), "websocket") || !hasToken(headers.get("connection"), "upgrade")) {
    return "its 101 is not one for WebSocket";
  }
  if (headers.get("sec-websocket-accept") !== accept) return "its Sec-WebSocket-Accept is wrong";
  // RFC 6455 §4.1: neither may be what was not offered.
  if (listElements(headers.get("sec-websocket-extensions")).length > 0) {
    return "it uses an extension that was not offered";
  }
  const subprotocol = headers.get("sec-websocket-protocol");
  if (subprotocol !== undefined && !offered.includes(subprotocol)) {
    return "it selects a subprotocol that was not offered";
  }
  return undefined;
}

async function readRefusal(
  socket: ByteSocket,
  buffer: HeadBuffer,
  headEnd: number,
  status: number,
  headers: ReadonlyMap<string, string>,
): Promise<Refusal> {
  const passed: Record<string, string> = {};
  for (const name of ["WWW-Authenticate", "Retry-After"]) {
    const value = headers.get(name.toLowerCase());
    if (value !== undefined) passed[name] = value;
  }
  const refusal: Refusal = { status, reason: "the upstream refused", rule: "upstream", headers: passed };
  const length = headers.get("content-length");
  // A body in pieces, or until the end of the connection, is one that has to be waited for.
  if (length === undefined || !/^\d{1,9}$/.test(length) || headers.has("transfer-encoding")) return refusal;
  const bodyEnd = headEnd + Math.min(Number(length), MAX_BODY_SIZE);
  while (buffer.end < bodyEnd && await buffer.read(socket));
  const text = new TextDecoder().decode(buffer.bytes.subarray(headEnd, Math.min(buffer.end, bodyEnd)));
  return text === "" ? refusal : { ...refusal, text };
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The value of Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2). */
export async function acceptFor(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + GUID));
  return new Uint8Array(digest).toBase64();
}
