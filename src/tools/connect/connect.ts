// The command `connect` without its flags: opens a WebSocket, carries lines in and messages out, and says how it ended.

import { escapeText } from "../../core/visible_text.ts";
import { DialError } from "../dial.ts";
import { Connection, type Input } from "./connection.ts";
import { type ConnectOptions, EXIT } from "./options.ts";
import { Output } from "./output.ts";
import { PipedLines } from "./piped_lines.ts";
import { type Ending, openWebSocket, RefusedError, type WebSocketClient } from "./web_socket.ts";

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 30_000;
/** One Ctrl-C can arrive several times, when the parent process passes it on as well. */
const ONE_CTRL_C_MS = 100;

/** Connects, again after each loss if asked to, and returns the exit code. */
export async function connect(options: ConnectOptions): Promise<number> {
  const isPrompt = Deno.stdin.isTerminal() && Deno.stdout.isTerminal() && options.execute.length === 0 &&
    !options.json;
  const output = new Output(options, isPrompt);
  const session = new Session(options, output);
  const input = isPrompt
    ? new (await import("./prompt.ts")).Prompt(output, (how) => session.interrupt(how))
    : new PipedLines(options.open.maxMessageSize);
  const onSignal = () => session.interrupt("SIGINT");
  Deno.addSignalListener("SIGINT", onSignal);
  try {
    return await session.run(input);
  } finally {
    Deno.removeSignalListener("SIGINT", onSignal);
    input.close();
  }
}

class Session {
  readonly #options: ConnectOptions;
  readonly #output: Output;
  #connection: Connection | undefined;
  #interruptedAtMs: number | undefined;
  /** Set by Ctrl-D and /quit. */
  #isQuit = false;
  #wake: (() => void) | undefined;

  constructor(options: ConnectOptions, output: Output) {
    this.#options = options;
    this.#output = output;
  }

  /** The first Ctrl-C closes, the second ends at once. */
  interrupt(how: "SIGINT" | "quit"): void {
    const nowMs = performance.now();
    const isSecond = this.#interruptedAtMs !== undefined;
    if (how === "quit") this.#isQuit = true;
    else if (isSecond && nowMs - this.#interruptedAtMs! < ONE_CTRL_C_MS) return;
    else this.#interruptedAtMs ??= nowMs;
    this.#wake?.();
    if (isSecond && how === "SIGINT") this.#connection?.abort();
    else void this.#connection?.close();
  }

  get #isOver(): boolean {
    return this.#isQuit || this.#interruptedAtMs !== undefined;
  }

  async run(input: Input): Promise<number> {
    const { reconnect } = this.#options;
    let delayMs = FIRST_DELAY_MS;
    for (;;) {
      const startedAtMs = performance.now();
      const { code, retryAfterMs } = await this.#once(input);
      if (this.#interruptedAtMs !== undefined) return EXIT.interrupted;
      if (!reconnect || this.#isOver || this.#output.isBroken || code === EXIT.ok) return code;
      // A connection that lasted starts the delays anew.
      if (performance.now() - startedAtMs > MAX_DELAY_MS) delayMs = FIRST_DELAY_MS;
      const waitMs = retryAfterMs ?? delayMs * (0.5 + Math.random() / 2);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
      this.#output.tell(`Connecting again in ${(waitMs / 1000).toFixed(1)} s`);
      await this.#pause(waitMs);
      if (this.#interruptedAtMs !== undefined) return EXIT.interrupted;
      if (this.#isOver) return code;
    }
  }

  async #pause(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }

  async #once(input: Input): Promise<{ readonly code: number; readonly retryAfterMs?: number }> {
    const { open, verbose } = this.#options;
    const output = this.#output;
    let socket: WebSocketClient;
    try {
      socket = await openWebSocket({
        ...open,
        ...(verbose ? { onHead: (direction, head) => output.tellHead(direction, head) } : {}),
      });
    } catch (error) {
      if (error instanceof RefusedError) {
        await output.refused(error.head, error.body);
        const seconds = Number(error.head.headers.get("retry-after")?.[0]);
        const isTime = seconds >= 0 && seconds <= 3600;
        return { code: EXIT.refused, ...(isTime ? { retryAfterMs: seconds * 1000 } : {}) };
      }
      if (!(error instanceof DialError)) throw error;
      // The message may quote the server's certificate, so it is escaped.
      output.failed(`Cannot connect to ${open.target.url}: ${escapeText(error.message)}`);
      return { code: EXIT.cannotConnect };
    }
    using _socket = socket;
    const connection = this.#connection = new Connection(socket, this.#options, output);
    await output.opened(open.target.url, socket.subprotocol);
    if (this.#isOver) void connection.close();
    const ending = await connection.run(input);
    this.#connection = undefined;
    await output.closed(ending);
    if (verbose || this.#options.rtt) output.tell(connection.stats());
    return { code: exitCodeOf(ending) };
  }
}

function exitCodeOf({ code, by }: Ending): number {
  if (by === "nobody") return EXIT.lost;
  return code === 1000 || code === 1001 || code === 1005 ? EXIT.ok : EXIT.otherCode;
}
