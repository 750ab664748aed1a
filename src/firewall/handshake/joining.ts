// Joins a peer that was admitted to an endpoint: asks the endpoint, and makes a connection of the two.

import { isOutOfDescriptors } from "../../core/descriptors.ts";
import {
  encodeInnerRequest,
  findHeadEnd,
  isRefusalStatus,
  parseResponseHead,
  type Refusal,
} from "../../protocol/handshake.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Admission } from "../admission.ts";
import { type ByteSocket, closeQuietly, isConnectionLost, writeAll } from "../byte_socket.ts";
import { Connection } from "../connection/connection.ts";
import type { ConnectionLimits } from "../connection/connection_parts.ts";
import type { EndpointCounters } from "../counters.ts";
import type { MemoryBudget } from "../memory_budget.ts";
import { FrameCheck } from "../connection/frame_check.ts";
import { Outbox } from "../connection/outbox.ts";
import { Crossing, type Entered, type Upstream } from "../upstream/route.ts";
import { Served } from "../ways/served.ts";
import { HeadBuffer } from "./head_buffer.ts";
import type { Opening } from "./opening.ts";
import type { Peer } from "./peer.ts";

/** The limits of a connection, and of the time until there is one; times in milliseconds. */
export interface JoiningLimits extends ConnectionLimits {
  readonly handshakeTimeout: number;
  /** How long the endpoint may take to verify a token that came with the head. */
  readonly authTimeout: number;
}

/** What joining depends on. */
export interface JoiningOptions {
  readonly endpoint: string;
  /** Where the endpoint is: the Unix socket of one in this process, or an upstream. */
  readonly inside: string | Upstream;
  /** Whether clients come over TLS. */
  readonly isSecure: boolean;
  readonly limits: JoiningLimits;
  readonly admission: Admission;
  readonly budget: MemoryBudget;
  readonly counters: EndpointCounters;
  /** The ways to the endpoint, by connection; who ends a connection removes its way. */
  readonly ways: Map<string, Served | Crossing>;
  readonly log: Log;
}

/** What an idle connection costs, in bytes, both sides and the private hop together, without TLS: measured with 3000 of them. */
export const PLAIN_BYTES = 32_768;

/** What a connection over this socket costs while it is idle, in bytes. */
export function connectionCost(socket: ByteSocket): number {
  return PLAIN_BYTES + (socket.overheadBytes ?? 0);
}

/** The endpoint's 101, to be passed on. */
interface Welcome {
  readonly head: Uint8Array<ArrayBuffer>;
}

const UNAVAILABLE: Refusal = {
  status: 503,
  reason: "the endpoint is not available",
  rule: "endpoint",
  headers: { "Retry-After": "1" },
};

/** How long it takes until descriptors that were let go are free, in milliseconds. */
const ROOM_MS = 20;

let lastConnection = 0;
const runId = Date.now().toString(36);

/**
 * Resolves with the connection, once the 101 was sent, or with the endpoint's refusal. Rejects when the peer is lost.
 */
export async function join(
  peer: Peer,
  { head, rest }: Opening,
  options: JoiningOptions,
): Promise<Connection | Refusal> {
  const { endpoint, inside, isSecure, limits, admission, budget, counters, ways, log } = options;
  const id = `${runId}-${(++lastConnection).toString(36)}`;
  const outbox = new Outbox(peer.socket, counters, (bytes) => budget.change(bytes));
  const check = new FrameCheck(limits, counters.messagesIn);
  let entered: Entered | Refusal;
  peer.id = id;
  if (typeof inside === "string") {
    const way = new Served(check, outbox);
    ways.set(id, way);
    entered = await serve(peer, id, head, way, inside, options);
  } else {
    const { address } = peer;
    const lackDescriptors = () => admission.lackDescriptors();
    const crossing = new Crossing(inside, {
      id,
      address,
      isSecure,
      outbox,
      check,
      counters,
      lackDescriptors,
    });
    ways.set(id, crossing);
    peer.crossing = crossing;
    entered = await crossing.enter(head);
  }
  if ("status" in entered) return entered;
  const { way, welcome } = entered;
  try {
    peer.isWelcomed = true;
    await writeAll(peer.socket, welcome);
    return new Connection({
      id,
      endpoint,
      address: peer.address,
      peer: peer.socket,
      outbox,
      way,
      fromPeer: rest,
      limits,
      budget,
      fixedBytes: connectionCost(peer.socket),
      counters,
      onViolation: () => admission.violation(peer.address),
      log,
    });
  } catch (error) {
    if (peer.inner !== undefined) closeQuietly(peer.inner);
    throw error;
  }
}

/** Opens the private hop of `way`. Resolves with the endpoint's 101 or its refusal. */
async function serve(
  peer: Peer,
  id: string,
  head: Opening["head"],
  way: Served,
  socketPath: string,
  { isSecure, endpoint, limits, admission, log }: JoiningOptions,
): Promise<Entered | Refusal> {
  let inner: ByteSocket;
  try {
    inner = await dial(socketPath, admission);
  } catch (error) {
    // Whatever it is, it is on our side, and it is recorded.
    log("endpoint.unreachable", { connection: id, endpoint, error: String(error) });
    return UNAVAILABLE;
  }
  peer.inner = inner;
  // Longer than a working endpoint ever takes. Until then the hop stays open, whatever becomes of the peer: the runtime
  // leaks a descriptor if it is closed before the response head has come.
  peer.limitTime(limits.handshakeTimeout + limits.authTimeout, () => closeQuietly(inner));
  try {
    const { address } = peer;
    await writeAll(inner, encodeInnerRequest(head, { connection: id, address, isSecure }));
    const answer = await readAnswer(inner);
    if (answer !== undefined && "head" in answer) {
      way.join(inner);
      return { way, welcome: answer.head };
    }
    closeQuietly(inner);
    return answer ?? UNAVAILABLE;
  } catch (error) {
    closeQuietly(inner);
    if (!isConnectionLost(error)) throw error;
    return UNAVAILABLE;
  } finally {
    peer.keptTime();
  }
}

/** Connects to the endpoint, and tries again if there was no descriptor and some were freed. */
async function dial(path: string, admission: Admission): Promise<ByteSocket> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (!isOutOfDescriptors(error) || !admission.lackDescriptors()) throw error;
    await new Promise((resolve) => setTimeout(resolve, ROOM_MS));
    return await Deno.connect({ transport: "unix", path });
  }
}

/** Reads the answer of the endpoint: its 101, its refusal, or undefined when it is neither. */
async function readAnswer(inner: ByteSocket): Promise<Welcome | Refusal | undefined> {
  const buffer = new HeadBuffer();
  try {
    let headEnd = -1;
    while (headEnd < 0) {
      const from = buffer.end;
      if (!await buffer.read(inner)) return undefined;
      headEnd = findHeadEnd(buffer.bytes, from, buffer.end);
    }
    const head = parseResponseHead(buffer.bytes, 0, headEnd);
    if (head?.status === 101) {
      return { head: buffer.bytes.slice(0, headEnd) };
    }
    if (head === undefined || !isRefusalStatus(head.status)) return undefined;
    const bodyEnd = headEnd + Number(head.headers.get("content-length") ?? 0);
    while (buffer.end < bodyEnd && await buffer.read(inner));
    const reason = new TextDecoder().decode(buffer.bytes.subarray(headEnd, buffer.end)).trim();
    const headers: Record<string, string> = {};
    for (const name of ["WWW-Authenticate", "Retry-After"]) {
      const value = head.headers.get(name.toLowerCase());
      if (value !== undefined) headers[name] = value;
    }
    return { status: head.status, reason, rule: "endpoint", headers };
  } finally {
    buffer.release();
  }
}
