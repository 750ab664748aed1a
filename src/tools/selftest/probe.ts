// How cases talk to a server: over connections that are paced, limited and traced; and how answers are told in words.

import { OPCODE } from "../../protocol/frame.ts";
import { findHandshakeFault, requestHead } from "../client_handshake.ts";
import { dial, DialError } from "../dial.ts";
import {
  type Arrival,
  type End,
  type Frame,
  type Late,
  RawClient,
  type ResponseHead,
} from "../raw_client.ts";
import { frame, text } from "../raw_frame.ts";
import type { Target } from "../target.ts";
import { Unperformable } from "./verdict.ts";
import type { SelftestOptions } from "./options.ts";
import type { TraceLog } from "./trace.ts";

/** What a request is answered with. */
export type Answer = Awaited<ReturnType<RawClient["nextHead"]>>;

/** How to open a WebSocket. */
export interface OpenOptions {
  /** Header lines to add. */
  readonly lines?: readonly string[];
  /** The largest frame that is read, in bytes. */
  readonly maxPayload?: number;
  /** Whether to present the token, if there is one; true if left out. */
  readonly authenticates?: boolean;
}

const MAX_BACK_OFF_MS = 5000;
const TRIES = 4;
/** The header that names the tool in every request. */
const TOOL_LINE = "User-Agent: wsward-selftest";

/** How the server answers messages. */
export interface Manner {
  /** `echo`: with the message after a prefix; `fixed`: in the same way each time; `none`: not at all. */
  readonly kind: "echo" | "fixed" | "none";
  readonly prefix: string;
  /** The answer to the text that is sent where any will do. */
  readonly answer: string;
}

/** What the cases of a run share: the bytes that may be sent, and the pace of connections. */
export class Budget {
  sent = 0;
  /** When the next connection may be opened. */
  #nextMs = 0;
  readonly #options: Pick<SelftestOptions, "maxBytes" | "connectionRate">;

  constructor(options: Pick<SelftestOptions, "maxBytes" | "connectionRate">) {
    this.#options = options;
  }

  /** Counts bytes before they are sent. Throws {@linkcode Unperformable} when that would be too many. */
  spend(bytes: number): void {
    this.sent += bytes;
    if (this.sent > this.#options.maxBytes) {
      throw new Unperformable(
        "all that may be sent was sent: raise --max-bytes, or choose fewer cases with --only",
      );
    }
  }

  /** Waits until the next connection may be opened. */
  async turn(): Promise<void> {
    const nowMs = performance.now();
    const atMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = atMs + 1000 / this.#options.connectionRate;
    if (atMs > nowMs) await sleep(atMs - nowMs);
  }
}

/** What one case works with. All connections that it opens are closed when it is disposed of. */
export class Probe implements Disposable {
  readonly options: SelftestOptions;
  readonly manner: Manner;
  readonly #budget: Budget;
  readonly #trace: TraceLog | undefined;
  readonly #open: RawClient[] = [];
  #isOver = false;

  constructor(options: SelftestOptions, budget: Budget, manner: Manner, trace?: TraceLog) {
    this.options = options;
    this.#budget = budget;
    this.manner = manner;
    this.#trace = trace;
  }

  get target(): Target {
    return this.options.target;
  }

  get timeoutMs(): number {
    return this.options.timeoutMs;
  }

  /** Opens a connection and sends nothing. Throws {@linkcode Unperformable} if it cannot connect. */
  async dial(maxPayload?: number): Promise<Wire> {
    await this.#budget.turn();
    this.#refuseWhenOver();
    const { target, address, tls, timeoutMs } = this.options;
    try {
      const socket = await dial(target, { address, tls, timeoutMs });
      const trace = this.#trace?.connection();
      const client = new RawClient(socket, { trace, ...(maxPayload === undefined ? {} : { maxPayload }) });
      if (this.#isOver) client.close();
      this.#refuseWhenOver();
      this.#open.push(client);
      return new Wire(client, this.#budget, timeoutMs);
    } catch (error) {
      if (error instanceof DialError) throw new Unperformable(`cannot connect: ${error.message}`);
      throw error;
    }
  }

  /** A request head for the target, with the tool's name, and with the token if a header or a cookie presents it. */
  head(lines: readonly string[] = [], path = this.target.path): string {
    const { token, present } = this.options;
    const own = token === undefined || present === "subprotocol" ? [] : presentationLines(present, token);
    const isGiven = (line: string) => lines.some((given) => nameOf(given) === nameOf(line));
    const all = [...own.filter((line) => !isGiven(line)), ...lines];
    return requestHead({ host: this.target.host, path }, all).replace(/User-Agent: .*/, TOOL_LINE);
  }

  /**
   * Sends a whole request head and returns the answer. After a 429 or 503 it waits and asks again, unless `wantsBusy`.
   * Throws {@linkcode Unperformable} if the server stays busy.
   */
  async ask(head: string | Uint8Array, { wantsBusy = false }: { wantsBusy?: boolean } = {}): Promise<{
    readonly answer: Answer;
    readonly wire: Wire;
  }> {
    for (let attempt = 1;; attempt++) {
      const wire = await this.dial();
      await wire.send(head);
      const answer = await wire.client.nextHead(this.timeoutMs);
      if (wantsBusy || answer.kind !== "head" || !isBusy(answer)) return { answer, wire };
      wire.close();
      if (attempt === TRIES) throw new Unperformable(`the server says ${answer.status} again and again`);
      const seconds = Number(answer.headers.get("retry-after")?.[0]);
      await sleep(Math.min(seconds > 0 ? seconds * 1000 : 250 * 2 ** attempt, MAX_BACK_OFF_MS));
    }
  }

  /** Opens a WebSocket. Throws {@linkcode Unperformable} if the server does not accept it, or the token. */
  async open({ lines = [], maxPayload, authenticates = true }: OpenOptions = {}): Promise<Wire> {
    const { token, present } = this.options;
    const isPresented = authenticates && token !== undefined;
    const all = [...isPresented ? presentationLines(present, token) : [], ...lines];
    const offers = all.some((line) => nameOf(line) === "sec-websocket-protocol");
    for (let attempt = 1;; attempt++) {
      const wire = await this.dial(maxPayload);
      await wire.send(this.head(all));
      const answer = await wire.client.nextHead(this.timeoutMs);
      if (answer.kind !== "head") {
        throw new Unperformable(`no answer to a handshake: ${describeAnswer(answer)}`);
      }
      if (isBusy(answer) && attempt < TRIES) {
        wire.close();
        await sleep(Math.min(250 * 2 ** attempt, MAX_BACK_OFF_MS));
        continue;
      }
      if (answer.status !== 101) throw new Unperformable(`a handshake is answered with ${answer.status}`);
      const fault = await findHandshakeFault(
        answer,
        offers ? answer.headers.get("sec-websocket-protocol") : [],
      );
      if (fault !== undefined) throw new Unperformable(`the 101 is wrong: ${fault}`);
      if (isPresented && present === "first") await this.#authenticate(wire, token);
      else if (isPresented) await wire.next(Math.min(this.timeoutMs, 500));
      return wire;
    }
  }

  /** Whether a message that came is the answer to a text that was sent. */
  isAnswer(arrival: Arrival, sent: string | Uint8Array): boolean {
    if (arrival.kind !== "frame" || arrival.opcode > 2) return false;
    const { kind, prefix, answer } = this.manner;
    if (kind !== "echo") return kind === "fixed" && decode(arrival.payload) === answer;
    if (typeof sent !== "string") return arrival.payload.length === sent.length;
    return decode(arrival.payload) === prefix + sent;
  }

  /** Sends a message and a Ping; returns what is wrong with the answers, undefined if nothing is. */
  async findFaultOfEcho(wire: Wire, message = this.options.send): Promise<string | undefined> {
    await wire.send(text(message));
    if (this.manner.kind !== "none") {
      const arrival = await wire.next();
      if (!this.isAnswer(arrival, message)) return `a message is answered with ${describeArrival(arrival)}`;
    }
    await wire.send(frame({ opcode: OPCODE.ping, payload: "alive" }));
    const pong = await wire.next();
    return pong.kind === "frame" && pong.opcode === OPCODE.pong
      ? undefined
      : `a Ping is answered with ${describeArrival(pong)}`;
  }

  /** Waits. Throws {@linkcode Unperformable} if the case is over by then. */
  async sleep(ms: number): Promise<void> {
    await sleep(ms);
    this.#refuseWhenOver();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const client of this.#open) client.close();
  }

  async #authenticate(wire: Wire, token: string): Promise<void> {
    await wire.send(text(token));
    const arrival = await wire.next();
    if (arrival.kind !== "frame" || arrival.opcode !== OPCODE.text) {
      throw new Unperformable(`the token is answered with ${describeArrival(arrival)}`);
    }
    const after = await wire.client.nextFrame(0);
    if (after.kind === "frame" && after.opcode === OPCODE.close) {
      throw new Unperformable(`the token is not accepted: ${decode(arrival.payload).slice(0, 100)}`);
    }
  }

  #refuseWhenOver(): void {
    if (this.#isOver) throw new Unperformable("the case has taken too long");
  }
}

/** A connection of a case. */
export class Wire {
  readonly client: RawClient;
  readonly #budget: Budget;
  readonly #timeoutMs: number;

  constructor(client: RawClient, budget: Budget, timeoutMs: number) {
    this.client = client;
    this.#budget = budget;
    this.#timeoutMs = timeoutMs;
  }

  /** Counts and sends bytes; returns why it could not. */
  async send(data: string | Uint8Array, timeoutMs = this.#timeoutMs): Promise<End | Late | undefined> {
    this.#budget.spend(data.length);
    return await this.client.send(data, timeoutMs);
  }

  /** The next frame of any kind. */
  async next(timeoutMs = this.#timeoutMs): Promise<Arrival> {
    return await this.client.nextFrame(timeoutMs);
  }

  close(): void {
    this.client.close();
  }
}

/** What an answer to a request was, in words. */
export function describeAnswer(answer: Answer): string {
  switch (answer.kind) {
    case "head":
      return `${answer.status} ${answer.reason}`.trim();
    case "no http":
      return "something that is no HTTP";
    case "late":
      return "nothing in time";
    default:
      return answer.how === "closed here" ? "nothing in time" : `a ${answer.how}`;
  }
}

/** What came, in words. */
export function describeArrival(arrival: Arrival): string {
  switch (arrival.kind) {
    case "late":
      return "nothing in time";
    case "end":
      return arrival.how === "closed here" ? "nothing in time" : `a ${arrival.how} without a Close frame`;
    case "oversize":
      return `a frame of ${arrival.size} bytes`;
    default:
      return describeFrame(arrival);
  }
}

function describeFrame({ opcode, fin, payload, closeCode }: Frame): string {
  if (opcode === OPCODE.close) {
    const reason = decode(payload.subarray(2, 125));
    return `Close ${closeCode === 1005 ? "without a code" : closeCode}${reason === "" ? "" : ` (${reason})`}`;
  }
  const name = Object.entries(OPCODE).find(([, value]) => value === opcode)?.[0] ?? `opcode ${opcode}`;
  const shown = opcode === OPCODE.binary
    ? `${payload.length} bytes`
    : JSON.stringify(decode(payload.subarray(0, 60)));
  return `${fin ? "" : "a fragment: "}${name} ${shown}`;
}

/** UTF-8 as text, without a byte order mark, and with replacement characters where it is invalid. */
export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Waits for `ms` milliseconds. */
export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a promise brings within `ms` milliseconds, or undefined. */
export async function within<Value>(ms: number, work: Promise<Value>): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), ms)),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Header lines that present a token. */
export function presentationLines(present: SelftestOptions["present"], token: string): readonly string[] {
  switch (present) {
    case "header":
      return [`Authorization: Bearer ${token}`];
    case "subprotocol":
      return [`Sec-WebSocket-Protocol: bearer.${token}`];
    case "cookie":
      return [`Cookie: token=${token}`];
    default:
      return [];
  }
}

function nameOf(line: string): string {
  return line.slice(0, Math.max(line.indexOf(":"), 0)).toLowerCase();
}

function isBusy({ status }: ResponseHead): boolean {
  return status === 429 || status === 503;
}
