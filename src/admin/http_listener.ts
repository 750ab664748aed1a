// The port of the admin listener: accepts few connections at once, survives every failure, and lets administrators in
// when file descriptors have run out.

import { isOutOfDescriptors, MAX_ADMINISTRATORS } from "../core/descriptors.ts";
import { StartError } from "../core/errors.ts";
import { describeListenError } from "../core/listen_error.ts";
import { urlHost } from "../core/shown.ts";
import { closeQuietly } from "../firewall/byte_socket.ts";
import type { Log } from "../telemetry/log.ts";
import { type Answer, EXCHANGE_TIMEOUTS, type ExchangeTimeouts, HttpExchange } from "./http_exchange.ts";

/** Pause after a failed accept, in milliseconds, if nothing could be done about it. */
const RETRY_MS = 100;

/** The same where a descriptor was let go, which is free in a moment. */
const SOON_MS = 10;

/** Pause between two answers, in milliseconds, for the peers of the endpoints. */
const ANSWER_PAUSE_MS = 2;

/** While this many wait for their answers, nobody is accepted. */
const MAX_WAITING = MAX_ADMINISTRATORS / 2;

/** How long `stop` waits for answers that are under way, in milliseconds. */
const STOP_DEADLINE_MS = 1000;

/** What a listener is made of. */
export interface HttpListenerOptions {
  /** Its name in the log. */
  readonly name: "admin" | "metrics";
  /** An IP address and a port, 0 for a free one: `127.0.0.1:9090` or `[::1]:9090`. */
  readonly listen: string;
  readonly answer: Answer;
  /** Called with errors that are neither the peer's fault nor the network's. */
  readonly onFault: (error: unknown) => void;
  readonly log: Log;
  /** Called when there is no descriptor for a connection; returns whether there may be one soon. */
  readonly onLack?: (() => boolean) | undefined;
  readonly timeouts?: Partial<ExchangeTimeouts> | undefined;
}

/** Accepts until it is stopped. */
export class HttpListener {
  /** Where it is: `http://127.0.0.1:9090/`. */
  readonly url: string;
  readonly #options: HttpListenerOptions;
  readonly #timeouts: ExchangeTimeouts;
  readonly #listener: Deno.TcpListener;
  /** The oldest first. */
  readonly #exchanges = new Set<HttpExchange>();
  /** Those whose request was read and not answered yet, in order, with what lets each go on. */
  readonly #waiting = new Map<HttpExchange, () => void>();
  readonly #accepting: Promise<void>;
  #answering: Promise<void> | undefined;
  #isStopped = false;
  #onEmpty: (() => void) | undefined;

  /**
   * Accepts from now on.
   *
   * @throws {StartError} when the address can't be listened on
   */
  constructor(options: HttpListenerOptions) {
    this.#options = options;
    this.#timeouts = { ...EXCHANGE_TIMEOUTS, ...options.timeouts };
    this.#listener = bind(options);
    const { hostname, port } = this.#listener.addr;
    this.url = `http://${urlHost(hostname)}:${port}/`;
    this.#accepting = this.#acceptAll();
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#exchanges.size;
  }

  /** Stops within a second, whatever is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#listener.close();
    const timer = setTimeout(() => {
      for (const exchange of this.#exchanges) exchange.cut();
    }, STOP_DEADLINE_MS);
    if (this.#exchanges.size > 0) await new Promise<void>((resolve) => this.#onEmpty = resolve);
    clearTimeout(timer);
    await this.#accepting;
    await this.#answering;
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isStopped) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.#isStopped) return;
        // The peer was gone before it was accepted.
        if (error instanceof Deno.errors.ConnectionAborted) continue;
        const hint = "raise the limit (ulimit -n) or lower --max-connections";
        this.#options.log("server.accept_failed", {
          endpoint: this.#options.name,
          error: String(error),
          hint,
        });
        const isSoonOver = isOutOfDescriptors(error) && (this.#options.onLack?.() || this.#cutOldest());
        await pause(isSoonOver ? SOON_MS : RETRY_MS);
        continue;
      }
      if (this.#exchanges.size >= MAX_ADMINISTRATORS && !this.#cutOldest()) closeQuietly(conn);
      else void this.#serve(conn);
      // Otherwise all that wait would be accepted in one turn of the event loop.
      await pause(0);
      while (this.#waiting.size >= MAX_WAITING) await pause(ANSWER_PAUSE_MS);
    }
  }

  /**
   * One answer at a time, and a pause after each: however many requests there are, peers' messages wait for one at
   * most.
   */
  async #answerInTurn(exchange: HttpExchange, ...[request]: Parameters<Answer>): Promise<Response> {
    const turn = new Promise<void>((resolve) => this.#waiting.set(exchange, resolve));
    this.#answering ??= this.#giveTurns();
    await turn;
    return await this.#options.answer(request);
  }

  async #giveTurns(): Promise<void> {
    for (const [exchange, go] of this.#waiting) {
      this.#waiting.delete(exchange);
      go();
      await pause(ANSWER_PAUSE_MS);
    }
    this.#answering = undefined;
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    const exchange: HttpExchange = new HttpExchange(
      conn,
      (request) => this.#answerInTurn(exchange, request),
      this.#timeouts,
    );
    this.#exchanges.add(exchange);
    try {
      await exchange.run();
    } catch (error) {
      this.#options.onFault(error);
    } finally {
      this.#exchanges.delete(exchange);
      if (this.#exchanges.size === 0) this.#onEmpty?.();
    }
  }

  /**
   * Cuts the oldest connection of the address that has most, but none of an administrator and none about to be
   * answered. Returns whether there was one. So a peer that holds many connections cuts only its own, however slowly
   * somebody else's head comes.
   */
  #cutOldest(): boolean {
    const held = new Map<string, HttpExchange[]>();
    let most: HttpExchange[] = [];
    for (const exchange of this.#exchanges) {
      if (exchange.isTrusted || this.#waiting.has(exchange)) continue;
      const ofAddress = held.get(exchange.address) ?? [];
      held.set(exchange.address, ofAddress);
      if (ofAddress.push(exchange) > most.length) most = ofAddress;
    }
    const oldest = most[0];
    if (oldest === undefined) return false;
    this.#exchanges.delete(oldest);
    oldest.cut();
    return true;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function bind({ name, listen: address }: HttpListenerOptions): Deno.TcpListener {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  try {
    return Deno.listen({ hostname, port: Number(address.slice(colon + 1)) });
  } catch (cause) {
    const who = name === "admin" ? "administrators" : name;
    throw new StartError(
      `Cannot listen on "${address}" for ${who}: ${describeListenError(cause, address)}`,
      { cause },
    );
  }
}
