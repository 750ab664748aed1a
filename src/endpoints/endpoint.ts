// Serves one endpoint on a Unix socket: native upgrade, messages to a handler, failures contained.
import { StartError } from "../core/errors.ts";
import { ABNORMAL_CLOSURE } from "../protocol/close_code.ts";
import type { Log } from "../telemetry/log.ts";
import { describeFailure } from "./failure.ts";

/** The name of an endpoint, as in the log. */
export type EndpointName = "echo" | "secure";

/** A whole message: text as a string, binary as a buffer that the receiver owns. */
export type Message = string | ArrayBuffer;

/** Who is at the other end of one connection. No method throws. */
export interface Peer {
  /** The id that the firewall gave the connection, `"unknown"` without a firewall. */
  readonly connection: string;
  /** The client's IP address as the firewall saw it, `"unknown"` without a firewall. */
  readonly address: string;
  /** Whether messages can still be exchanged: false before `SocketHandler.open` and after either side closed. */
  readonly isOpen: boolean;
  /** Sends one message; does nothing when the peer is not open. */
  send(message: Message): void;
  /**
   * Starts the closing handshake with a code that may be on the wire (RFC 6455 §7.4) and a reason of at most 123 bytes of
   * UTF-8. Messages that arrive afterwards are dropped. Does nothing when the peer is not open.
   */
  close(code: number, reason: string): void;
}

/**
 * What an endpoint does with one connection. Whatever these methods throw (or reject with) becomes one `handler.error`
 * record, and the peer gets `Internal Error` and Close 1011.
 */
export interface SocketHandler {
  /** Called once, when the connection is ready; the peer may be used from here on. */
  open?(): void;
  /** Called for each message in order of arrival. The next one does not wait for the promise of the one before. */
  message(data: Message): void | Promise<void>;
  /** Called once for each opened connection. The code is 1006 if no Close frame came (RFC 6455 §7.1.5). */
  close?(code: number, reason: string): void;
}

/** What `startEndpoint` needs. */
export interface EndpointOptions {
  readonly name: EndpointName;
  /** Where to listen; the folder must be one that only this user can enter. */
  readonly socketPath: string;
  /** Makes the handler of one connection; called before the connection is open. */
  readonly createHandler: (peer: Peer) => SocketHandler;
  readonly log: Log;
}

/** A running endpoint. */
export interface Endpoint {
  /** How many connections are open. */
  readonly connections: number;
  /** Stops accepting, sends 1001 to who is still there, and resolves within a second whatever the peers do. */
  stop(): Promise<void>;
}

/** How long to wait before serving again: without file descriptors a listener dies as soon as it is opened. */
const RESTART_DELAY_MS = 100;
/** How long `stop` waits; one leaked connection would make the native shutdown wait for ever. */
const STOP_DEADLINE_MS = 1000;
const INTERNAL_ERROR = { text: "Internal Error", code: 1011, reason: "internal error" };

/**
 * Starts an endpoint; it accepts connections when this returns.
 *
 * @throws {StartError} when the socket path can't be listened on.
 */
export function startEndpoint(options: EndpointOptions): Endpoint {
  return new NativeEndpoint(options);
}

class NativeEndpoint implements Endpoint {
  readonly #options: EndpointOptions;
  #server: Deno.HttpServer<Deno.UnixAddr>;
  #connections = 0;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#server = this.#listen();
  }

  get connections(): number {
    return this.#connections;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  async #shutDown(): Promise<void> {
    clearTimeout(this.#restartTimer);
    let deadline: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<void>((resolve) => deadline = setTimeout(resolve, STOP_DEADLINE_MS));
    await Promise.race([this.#server.shutdown().catch(ignore), tooLate]);
    clearTimeout(deadline);
  }

  #listen(): Deno.HttpServer<Deno.UnixAddr> {
    const { socketPath: path } = this.#options;
    try {
      const server = Deno.serve({ path, onListen: ignore }, (request) => this.#accept(request));
      // A failed accept rejects `finished` and a broken handler resolves it: in both cases the listener is gone.
      server.finished.then(
        () => this.#ended("it ended"),
        (error) => this.#ended(describeFailure(error).message),
      );
      return server;
    } catch (cause) {
      throw new StartError(`Cannot listen on "${path}": ${describeFailure(cause).message}`, { cause });
    }
  }

  #ended(reason: string): void {
    if (this.#stopped !== undefined) return;
    this.#restartTimer = setTimeout(() => this.#restart(reason), RESTART_DELAY_MS);
  }

  #restart(reason: string): void {
    try {
      this.#server = this.#listen();
    } catch {
      return this.#ended(reason);
    }
    this.#options.log("endpoint.restarted", { endpoint: this.#options.name, reason });
  }

  #accept(request: Request): Response {
    // Afterwards the request can't be read any more.
    const connection = request.headers.get("X-Connection-Id") ?? "unknown";
    const address = request.headers.get("X-Forwarded-For") ?? "unknown";
    let upgrade: Deno.WebSocketUpgrade;
    try {
      // The firewall owns keepalive and idle limits.
      upgrade = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    } catch {
      return new Response("Not a WebSocket handshake\n", { status: 400 });
    }
    // From here on nothing may throw and only this response may be returned, or the whole listener closes.
    const socket = new ServedSocket(upgrade.socket, connection, address, this.#options);
    upgrade.socket.onopen = () => {
      this.#connections++;
      socket.open();
    };
    upgrade.socket.onclose = (event) => {
      if (socket.closed(event.code, event.reason)) this.#connections--;
    };
    return upgrade.response;
  }
}

/** One native socket and its handler; keeps the failures of the second from reaching anything else. */
class ServedSocket implements Peer {
  readonly connection: string;
  readonly address: string;
  readonly #socket: WebSocket;
  readonly #options: EndpointOptions;
  #handler: SocketHandler | undefined;
  #isOpen = false;

  constructor(socket: WebSocket, connection: string, address: string, options: EndpointOptions) {
    this.#socket = socket;
    this.connection = connection;
    this.address = address;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#socket.readyState === WebSocket.OPEN;
  }

  send(message: Message): void {
    if (this.isOpen) this.#socket.send(message);
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.#isOpen = false;
    this.#socket.close(code, reason);
  }

  open(): void {
    this.#isOpen = true;
    this.#socket.onmessage = (event) => this.#deliver(event.data);
    try {
      this.#handler = this.#options.createHandler(this);
      this.#handler.open?.();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns whether this was the first news of it: the native socket can tell twice. */
  closed(code: number, reason: string): boolean {
    this.#isOpen = false;
    if (this.#socket.onmessage === null) return false;
    this.#socket.onmessage = null;
    try {
      this.#handler?.close?.(code === 0 ? ABNORMAL_CLOSURE : code, reason);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  #deliver(data: Message): void {
    if (!this.#isOpen) return;
    try {
      // Optional only for the types: a connection whose handler could not be made is closed.
      this.#handler?.message(data)?.catch((error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const { connection, address: peer } = this;
    this.#options.log("handler.error", {
      connection,
      peer,
      endpoint: this.#options.name,
      ...describeFailure(error),
    });
    this.send(INTERNAL_ERROR.text);
    this.close(INTERNAL_ERROR.code, INTERNAL_ERROR.reason);
  }
}

function ignore(): void {}
