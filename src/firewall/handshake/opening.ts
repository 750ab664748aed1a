// The way to a request head: the PROXY preamble and TLS, where there are any, and the head itself, all in one time limit.

import {
  badRequest,
  canBeRequest,
  findHeadEnd,
  parseRequestHead,
  type Refusal,
  type RequestHead,
  skipEmptyLines,
} from "../../protocol/handshake.ts";
import type { Admission } from "../admission.ts";
import { clientAddress } from "../admission/forwarded_for.ts";
import { MAX_V2_SIZE, parseProxyHeader } from "../admission/proxy_protocol.ts";
import { isConnectionLost, PrefixedSocket } from "../byte_socket.ts";
import type { TlsAcceptor } from "../tls/tls_acceptor.ts";
import type { Handshake } from "./handshake.ts";
import { HeadBuffer, MAX_HEAD_SIZE } from "./head_buffer.ts";
import { interrupt } from "./refusing.ts";

/** What a peer asked for, and what it sent after that. */
export interface Opening {
  readonly head: RequestHead;
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** What the way to a head depends on. */
export interface OpeningOptions {
  readonly endpoint: string;
  readonly tls?: TlsAcceptor | undefined;
  readonly limits: {
    /** From the accept to the end of the request head, in milliseconds. */
    readonly handshakeTimeout: number;
  };
  readonly admission: Admission;
  /** The health paths, which may be asked for in HTTP/1.0. */
  readonly oldPaths: ReadonlySet<string>;
}

const LATE: Refusal = {
  status: 408,
  reason: "the request head did not come in time",
  rule: "handshake_timeout",
};
const TOO_LONG: Refusal = {
  status: 431,
  reason: `the request head may have at most ${MAX_HEAD_SIZE} bytes`,
  rule: "head_size",
  limit: MAX_HEAD_SIZE,
};

const LF = 10;

/**
 * Reads on to the request head. Undefined when there is nobody left to answer: the peer has ended, or was cut for being
 * late. Rejects when the peer is lost.
 *
 * Who the client is, whether it may connect, and its place in the rate come before the work that the rate is to prevent:
 * a peer without a proxy is asked before anything is read, and one that a PROXY preamble names before TLS. The client
 * of a proxy that writes X-Forwarded-For is known after the head; what is spent on it until then is bounded by the head's
 * size and time limit and by --max-connections, and how fast it can come is the trusted proxy's business.
 */
export async function open(
  handshake: Handshake,
  options: OpeningOptions,
): Promise<Opening | Refusal | undefined> {
  const { admission, endpoint, limits: { handshakeTimeout } } = options;
  handshake.canAnswer = options.tls === undefined;
  if (!admission.proxies.has(handshake.address)) {
    const refusal = identify(handshake, handshake.address, admission);
    if (refusal !== undefined) {
      handshake.canAnswer &&= admission.mayExplain();
      return refusal;
    }
  }
  let isLate = false;
  handshake.limitTime(handshakeTimeout, () => {
    isLate = true;
    admission.record(handshake.address, endpoint, { ...LATE, limit: handshakeTimeout / 1000 });
    void interrupt(handshake, LATE);
  });
  try {
    const opening = await readOpening(handshake, options);
    return isLate ? undefined : opening;
  } catch (error) {
    if (isLate && isConnectionLost(error)) return undefined;
    throw error;
  } finally {
    handshake.keptTime();
  }
}

async function readOpening(
  handshake: Handshake,
  { admission, tls, oldPaths, limits: { handshakeTimeout } }: OpeningOptions,
): Promise<Opening | Refusal | undefined> {
  const proxy = handshake.address;
  if (admission.expectsPreamble(proxy)) {
    const client = await readPreamble(handshake);
    if (typeof client !== "string") return client;
    // Also where the preamble names nobody: what is in the head then is a claim of whoever stands before the proxy.
    const refusal = identify(handshake, client, admission);
    if (refusal !== undefined) return refusal;
  }
  if (tls !== undefined) {
    const result = await tls.handshake(handshake.peer, handshakeTimeout);
    if (!result.ok) {
      // Who goes away has broken no rule.
      return { status: 400, reason: result.reason, rule: "tls", isViolation: result.isLost !== true };
    }
    handshake.peer = result.socket;
    handshake.canAnswer = true;
  }
  const opening = await readHead(handshake, oldPaths);
  if (handshake.isIdentified || opening === undefined || !("head" in opening)) return opening;
  const client = clientAddress(proxy, opening.head.headers.get("x-forwarded-for"), admission.proxies);
  return identify(handshake, client, admission) ?? opening;
}

/** Takes the client in, or says why it may not connect now. */
function identify(handshake: Handshake, address: string, admission: Admission): Refusal | undefined {
  handshake.address = address;
  const refusal = admission.check(address);
  if (refusal !== undefined) return refusal;
  admission.begin(address, handshake);
  handshake.isIdentified = true;
  return admission.handshake(address);
}

/**
 * Reads a PROXY preamble and leaves the socket as it is after that. Resolves with the client's address, which is the
 * proxy's where the preamble names nobody, or with what is wrong.
 */
async function readPreamble(handshake: Handshake): Promise<string | Refusal> {
  const bytes = new Uint8Array(MAX_V2_SIZE);
  for (let end = 0;;) {
    const size = await handshake.peer.read(bytes.subarray(end));
    if (size === null) return badPreamble("the PROXY preamble is missing");
    const preamble = parseProxyHeader(bytes, 0, end + size, end);
    end += size;
    if (preamble.state === "invalid") return badPreamble(preamble.reason);
    if (preamble.state === "incomplete") continue;
    handshake.peer = new PrefixedSocket(handshake.peer, bytes.subarray(preamble.size, end));
    return preamble.source?.address ?? handshake.address;
  }
}

function badPreamble(reason: string): Refusal {
  return { ...badRequest(reason), rule: "proxy_protocol" };
}

/** Reads a request head, each byte once however they come; undefined when the peer ended before it was whole. */
async function readHead(
  handshake: Handshake,
  oldPaths: ReadonlySet<string>,
): Promise<Opening | Refusal | undefined> {
  const buffer = new HeadBuffer();
  try {
    let start = 0;
    let isLineRead = false;
    for (;;) {
      const from = buffer.end;
      if (!await buffer.read(handshake.peer)) return buffer.isFull ? TOO_LONG : undefined;
      const { bytes, end } = buffer;
      if (from <= start + 1) start = skipEmptyLines(bytes, start, end);
      const at = Math.max(from, start);
      if (!isLineRead) {
        handshake.isHead = isHeadRequest(bytes, start, end);
        if (!canBeRequest(bytes, at, end, start)) return badRequest("this is not an HTTP/1.1 request");
        isLineRead = bytes.subarray(at, end).includes(LF);
      }
      const headEnd = findHeadEnd(bytes, at, end, start);
      if (headEnd < 0) continue;
      const result = parseRequestHead(bytes, start, headEnd, { oldPaths });
      return result.ok ? { head: result.head, rest: bytes.slice(headEnd, end) } : result.refusal;
    }
  } finally {
    buffer.release();
  }
}

const HEAD = new TextEncoder().encode("HEAD ");

function isHeadRequest(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= HEAD.length && HEAD.every((byte, i) => bytes[start + i] === byte);
}
