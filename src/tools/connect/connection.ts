// An open connection: sends the input, and shows what comes.

import { MAX_CONTROL_PAYLOAD } from "../../protocol/frame.ts";
import type { ConnectOptions } from "./options.ts";
import type { Output } from "./output.ts";
import type { Ending, WebSocketClient } from "./web_socket.ts";

/** After the end of input, with messages unanswered: close when nothing has come for so long. */
const DEFAULT_WAIT_MS = 5000;
const RTT_INTERVAL_MS = 1000;

/** Typed or piped input. It outlives a connection, and goes on with the next. */
export interface Input {
  /** Sends over this connection from now on. A pipe calls its `endInput` at the end of input. */
  attach(connection: Connection): void;
  /** Leaves the connection until the next `attach`. */
  detach(): void;
  close(): void;
}

/** An open connection as the input sees it. */
export class Connection {
  readonly #socket: WebSocketClient;
  readonly #options: ConnectOptions;
  readonly #output: Output;
  readonly #startedAtMs = performance.now();
  readonly #rttsMs: number[] = [];
  readonly #pings = new Map<string, number>();
  #sent = 0;
  #received = 0;
  #inputHasEnded = false;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #rttTimer: ReturnType<typeof setInterval> | undefined;

  constructor(socket: WebSocketClient, options: ConnectOptions, output: Output) {
    this.#socket = socket;
    this.#options = options;
    this.#output = output;
  }

  /** Sends one message. */
  async send(data: string | Uint8Array): Promise<void> {
    this.#sent++;
    await this.#socket.send(
      typeof data === "string" && this.#options.binary ? new TextEncoder().encode(data) : data,
    );
  }

  async ping(text: string): Promise<void> {
    const payload = new TextEncoder().encode(text).subarray(0, MAX_CONTROL_PAYLOAD);
    this.#pings.set(payload.toHex(), performance.now());
    // A server that answers no Ping must not make the map grow.
    if (this.#pings.size > 100) this.#pings.delete(this.#pings.keys().next().value!);
    await this.#socket.sendControl("ping", payload);
  }

  async pong(text: string): Promise<void> {
    await this.#socket.sendControl("pong", new TextEncoder().encode(text).subarray(0, MAX_CONTROL_PAYLOAD));
  }

  /** Sends a Close. `run` ends when the server has answered it, or has not in time. */
  async close(code = 1000, reason = ""): Promise<void> {
    await this.#socket.close(code, reason);
  }

  /** Nothing more will be sent: closes when the answers have come. */
  endInput(): void {
    this.#inputHasEnded = true;
    this.#considerEnd();
  }

  /** Ends the connection at once, without a Close. */
  abort(): void {
    this.#socket[Symbol.dispose]();
  }

  /** The messages and round trips, in one line. */
  stats(): string {
    const seconds = ((performance.now() - this.#startedAtMs) / 1000).toFixed(1);
    const rtts = this.#rttsMs.toSorted((a, b) => a - b);
    const rtt = rtts.length === 0
      ? ""
      : `, round trips ${rtts[0]!.toFixed(2)} / ${rtts[rtts.length >> 1]!.toFixed(2)} / ${
        rtts.at(-1)!.toFixed(2)
      } ms (least, median, most of ${rtts.length})`;
    return `${this.#sent} sent, ${this.#received} received in ${seconds} s${rtt}`;
  }

  /** Shows what comes, and returns how the connection ended. */
  async run(input: Input): Promise<Ending> {
    const { firstMessage, execute, rtt, one } = this.#options;
    let answersToIgnore = 0;
    if (firstMessage !== undefined) {
      await this.send(firstMessage);
      answersToIgnore = 1;
    }
    if (rtt) {
      this.#rttTimer = setInterval(() => void this.ping(`rtt ${this.#rttsMs.length}`), RTT_INTERVAL_MS);
    }
    let hasStarted = false;
    // Input waits for the answer to the token: a message before that is a violation.
    const start = async () => {
      hasStarted = true;
      for (const message of execute) await this.send(message);
      if (execute.length > 0 && !this.#output.isPrompt) this.endInput();
      else input.attach(this);
    };
    if (answersToIgnore === 0) void start();
    try {
      for (;;) {
        const incoming = await this.#socket.next();
        if (incoming.kind === "closed") return incoming;
        if (incoming.kind === "pong") this.#measure(incoming.payload);
        if (incoming.kind === "text" || incoming.kind === "binary") {
          this.#received++;
          await this.#output.show(incoming);
          if (!hasStarted) void start();
          if (one && --answersToIgnore < 0) await this.close();
          this.#considerEnd();
        } else if (this.#options.showPings) {
          await this.#output.show(incoming);
        }
      }
    } finally {
      clearTimeout(this.#idleTimer);
      clearInterval(this.#rttTimer);
      input.detach();
    }
  }

  #measure(payload: Uint8Array): void {
    const key = payload.toHex();
    const atMs = this.#pings.get(key);
    if (atMs === undefined) return;
    this.#pings.delete(key);
    const rttMs = performance.now() - atMs;
    if (this.#rttsMs.length < 100_000) this.#rttsMs.push(rttMs);
    if (this.#options.rtt) this.#output.tell(`round trip ${rttMs.toFixed(2)} ms`);
  }

  #considerEnd(): void {
    const { noClose, waitMs } = this.#options;
    if (!this.#inputHasEnded || noClose) return;
    clearTimeout(this.#idleTimer);
    if (waitMs === undefined && this.#received >= this.#sent) return void this.close();
    this.#idleTimer = setTimeout(() => void this.close(), waitMs ?? DEFAULT_WAIT_MS);
  }
}
