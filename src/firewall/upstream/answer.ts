// Reads the answer of an upstream: a correct 101, a refusal to be passed on, or neither.

import {
  findHeadEnd,
  hasToken,
  listElements,
  parseResponseHead,
  type Refusal,
} from "../../protocol/handshake.ts";
import { type ByteSocket, closeQuietly, expectLoss } from "../byte_socket.ts";
import { HeadBuffer } from "../handshake/head_buffer.ts";
import { ChunkedBody } from "./chunked_body.ts";

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

/** How much of a refusal's body is passed on, in bytes. */
const MAX_BODY_SIZE = 4096;
/** How long to wait for its end, in milliseconds: the status matters more. */
const BODY_TIMEOUT_MS = 1000;
const NOTHING = new Uint8Array(0);

/**
 * Reads the answer to a request, given the Accept to expect and the subprotocols that were offered. Rejects when the
 * connection breaks.
 */
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
  const body = await readBody(socket, buffer, headEnd, headers);
  const text = new TextDecoder().decode(body);
  return text === "" ? refusal : { ...refusal, text };
}

/**
 * The beginning of the body, as far as it comes in time; empty if it is compressed, because it is passed on as text.
 */
async function readBody(
  socket: ByteSocket,
  buffer: HeadBuffer,
  start: number,
  headers: ReadonlyMap<string, string>,
): Promise<Uint8Array> {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (headers.has("content-encoding") || coding !== undefined && coding.toLowerCase() !== "chunked") {
    return NOTHING;
  }
  if (coding === undefined && length !== undefined && !/^\d{1,9}$/.test(length)) return NOTHING;
  const timer = setTimeout(() => closeQuietly(socket), BODY_TIMEOUT_MS);
  try {
    if (coding === undefined) {
      const end = start + Math.min(Number(length ?? Infinity), MAX_BODY_SIZE);
      while (buffer.end < end && await mayRead(socket, buffer));
      return buffer.bytes.subarray(start, Math.min(buffer.end, end));
    }
    const chunks = new ChunkedBody(MAX_BODY_SIZE);
    chunks.take(buffer.bytes, start, buffer.end);
    for (let from = buffer.end; !chunks.isOver && await mayRead(socket, buffer); from = buffer.end) {
      chunks.take(buffer.bytes, from, buffer.end);
    }
    return chunks.content;
  } finally {
    clearTimeout(timer);
  }
}

/** Reads some more; false at the end of the stream, however it ended. */
async function mayRead(socket: ByteSocket, buffer: HeadBuffer): Promise<boolean> {
  try {
    return await buffer.read(socket);
  } catch (error) {
    expectLoss(error);
    return false;
  }
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The value of Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2). */
export async function acceptFor(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + GUID));
  return new Uint8Array(digest).toBase64();
}
