// Reads the request head of a peer, after the PROXY preamble and TLS if there are any, all in one time limit.

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
import { HeadBuffer, MAX_HEAD_SIZE } from "./head_buffer.ts";
import type { Peer } from "./peer.ts";
import { interrupt } from "./refusing.ts";

/** What a peer asked for, and what it sent after that. */
export interface Opening {
  readonly head: RequestHead;
  readonly rest: Uint8Array<ArrayBuffer>;
}

/** What reading a head depends on. */
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
 * Reads the request head. Undefined when there is nobody left to answer: the peer has ended, or was cut for being late.
 * Rejects when the peer is lost.
 *
 * Address rules and the rate are checked before the work that they are to prevent: for a peer without a proxy before
 * anything is read, for a client that a PROXY preamble names before TLS. The client behind X-Forwarded-For is known
 * only after the head; until then its cost is bounded by the head's size and time limit and by --max-connections, and
 * how fast it can come is up to the trusted proxy.
 */
export async function open(
  peer: Peer,
  options: OpeningOptions,
): Promise<Opening | Refusal | undefined> {
  const { admission, endpoint, limits: { handshakeTimeout } } = options;
  peer.canAnswer = options.tls === undefined;
  if (!admission.proxies.has(peer.address)) {
    const refusal = identifyFirst(peer, peer.address, admission);
    if (refusal !== undefined) return refusal;
  }
  let isLate = false;
  peer.limitTime(handshakeTimeout, () => {
    isLate = true;
    admission.record(peer.address, endpoint, { ...LATE, limit: handshakeTimeout / 1000 });
    void interrupt(peer, LATE);
  });
  try {
    const opening = await readOpening(peer, options);
    return isLate ? undefined : opening;
  } catch (error) {
    if (isLate && isConnectionLost(error)) return undefined;
    throw error;
  } finally {
    peer.keptTime();
  }
}

async function readOpening(
  peer: Peer,
  { admission, tls, oldPaths, limits: { handshakeTimeout } }: OpeningOptions,
): Promise<Opening | Refusal | undefined> {
  const proxy = peer.address;
  if (admission.expectsPreamble(proxy)) {
    const client = await readPreamble(peer);
    if (typeof client !== "string") return client;
    // Also where the preamble names nobody: X-Forwarded-For is then only a claim of somebody in front of the proxy.
    const refusal = identifyFirst(peer, client, admission);
    if (refusal !== undefined) return refusal;
  }
  if (tls !== undefined) {
    const result = await tls.handshake(peer.socket, handshakeTimeout, (giveUp) => peer.giveUpTls = giveUp);
    peer.giveUpTls = undefined;
    if (!result.ok) {
      // Going away breaks no rule.
      return { status: 400, reason: result.reason, rule: "tls", isViolation: result.isLost !== true };
    }
    peer.socket = result.socket;
    peer.canAnswer = true;
  }
  const opening = await readHead(peer, oldPaths);
  if (peer.isIdentified || opening === undefined || !("head" in opening)) return opening;
  const client = clientAddress(proxy, opening.head.headers.get("x-forwarded-for"), admission.proxies);
  return identify(peer, client, admission) ?? opening;
}

/** Counts the client in, or returns why it may not connect now. */
function identify(peer: Peer, address: string, admission: Admission): Refusal | undefined {
  peer.address = address;
  const refusal = admission.check(address);
  if (refusal !== undefined) return refusal;
  admission.begin(address, peer);
  peer.isIdentified = true;
  return admission.handshake(address);
}

/** The same of one that has not asked for anything: who comes in thousands is not told why it may not. */
function identifyFirst(peer: Peer, address: string, admission: Admission): Refusal | undefined {
  const refusal = identify(peer, address, admission);
  if (refusal !== undefined) peer.canAnswer &&= admission.mayExplain();
  return refusal;
}

/**
 * Reads a PROXY preamble, and no more from the socket. Resolves with the client's address (the proxy's if the preamble
 * names nobody) or with what is wrong.
 */
async function readPreamble(peer: Peer): Promise<string | Refusal> {
  const bytes = new Uint8Array(MAX_V2_SIZE);
  for (let end = 0;;) {
    const size = await peer.socket.read(bytes.subarray(end));
    if (size === null) return badPreamble("the PROXY preamble is missing");
    const preamble = parseProxyHeader(bytes, 0, end + size, end);
    end += size;
    if (preamble.state === "invalid") return badPreamble(preamble.reason);
    if (preamble.state === "incomplete") continue;
    peer.socket = new PrefixedSocket(peer.socket, bytes.subarray(preamble.size, end));
    return preamble.source?.address ?? peer.address;
  }
}

function badPreamble(reason: string): Refusal {
  return { ...badRequest(reason), rule: "proxy_protocol" };
}

/** Reads a request head, each byte once however they come; undefined when the peer ended before it was whole. */
async function readHead(
  peer: Peer,
  oldPaths: ReadonlySet<string>,
): Promise<Opening | Refusal | undefined> {
  const buffer = new HeadBuffer();
  try {
    let start = 0;
    let isLineRead = false;
    for (;;) {
      const from = buffer.end;
      if (!await buffer.read(peer.socket)) return buffer.isFull ? TOO_LONG : undefined;
      const { bytes, end } = buffer;
      if (from <= start + 1) start = skipEmptyLines(bytes, start, end);
      const at = Math.max(from, start);
      if (!isLineRead) {
        peer.isHead = isHeadRequest(bytes, start, end);
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
