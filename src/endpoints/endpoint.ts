// Serves one endpoint on a Unix socket: native upgrade, messages to a handler, failures contained.

import { StartError } from "../core/errors.ts";
import type { EndpointName } from "../core/settings/endpoints.ts";
import { ABNORMAL_CLOSURE, type CloseReason } from "../protocol/close_code.ts";
import type { Log } from "../telemetry/log.ts";
import { describeFailure } from "./failure.ts";

/** A whole message: text as a string, binary as a buffer that the receiver owns. */
export type Message = string | ArrayBuffer;

/** The other end of one connection. No method throws. */
export interface Peer {
  /** The id that the firewall gave the connection, `"unknown"` without a firewall. */
  readonly connection: string;
  /** The client's IP address as the firewall saw it, `"unknown"` without a firewall. */
  readonly address: string;
  /** Whether messages are exchanged: false before `SocketHandler.open` and from when either side closes. */
  readonly isOpen: boolean;
  /** Sends one message, and takes ownership of a buffer; dropped once a Close was sent. */
  send(message: Message): void;
  /** Counts `more` messages besides the one that they came in; too many at once end the connection. */
  charge(more: number): void;
  /**
   * Starts the closing handshake with a code that may be on the wire (RFC 6455 §7.4) and a reason of at most 123 bytes of
   * UTF-8. Messages that arrive afterwards are dropped. Does nothing when the peer is not open.
   */
  close(code: number, reason: string): void;
}

/**
 * What an endpoint does with one connection. If a method throws or rejects, there is one `handler.error` record, and
 * the peer gets `Internal Error` and Close 1011.
 */
export interface SocketHandler {
  /**
   * Called once, when the connection is ready and the peer can be used. No message comes before its promise is settled.
   */
  open?(): void | Promise<void>;
  /** Called for each message in order, each after the promise of the one before is settled. */
  message(data: Message): void | Promise<void>;
  /** Called once for each opened connection, with the peer's Close, or else ours, or else 1006 (RFC 6455 §7.1.5). */
  close?(code: number, reason: string): void;
}

/** Makes the handler of one connection. */
export type CreateHandler = (peer: Peer) => SocketHandler;

/** Takes the messages of a connection, each after the promise of the one before is settled. */
export interface Receiver {
  /** Never throws or rejects. */
  message(data: Message): void | Promise<void>;
}

/** Links a connection in the firewall to its endpoint: messages go directly, in the turn in which they come. */
export interface Link {
  /** Whether messages are exchanged; false from when either side closes. */
  readonly isOpen: boolean;
  /** Calls `open` as soon as the firewall has started the connection; never if it does not. */
  whenStarted(open: () => void): void;
  /** From now on the receiver gets the messages. */
  attach(receiver: Receiver): void;
  /** Sends one message; dropped once a Close has been sent. A buffer stays with the caller, who may reuse it. */
  send(message: Message): void;
  /** Counts `more` messages besides the one that they came in. */
  charge(more: number): void;
  /** Starts the closing handshake. */
  end(close: CloseReason): void;
  /** The native socket has ended. */
  endpointEnded(): void;
}

/** An accepted handshake. */
export interface Accepted {
  /** One of the subprotocols that the client offered (RFC 6455 §4.2.2); none is selected if left out. */
  readonly subprotocol?: string | undefined;
  readonly createHandler: CreateHandler;
}

/**
 * Accepts a handshake, or refuses it with a response. The request has no body. If it throws, there is a `handler.error`
 * record and the status 500.
 */
export type Admit = (request: Request) => Accepted | Response | Promise<Accepted | Response>;

/** What `startEndpoint` needs. */
export interface EndpointOptions {
  readonly name: EndpointName;
  /** Where to listen, in a folder that only this user can enter. */
  readonly socketPath: string;
  /** Makes the handler of each connection when it is open, unless there is `admit`. */
  readonly createHandler: CreateHandler;
  /** Decides about each handshake in place of `createHandler`; all are accepted if left out. */
  readonly admit?: Admit;
  /**
   * The link of a connection: messages go through it, while the native socket only accepts the handshake and learns of
   * the end.
   */
  readonly linkOf: (connection: string) => Link | undefined;
  readonly log: Log;
}

/** A running endpoint. */
export interface Endpoint {
  /** How many connections are open. */
  readonly connections: number;
  /** Whether it accepts connections: not while it is started again after a failure, nor once it is stopped. */
  readonly isListening: boolean;
  /** Stops accepting, sends 1001 on open connections, and resolves within a second whatever the peers do. */
  stop(): Promise<void>;
}

/**
 * How long to wait before serving again, in milliseconds: without file descriptors a listener dies as soon as it is
 * opened.
 */
const RESTART_DELAY_MS = 100;
/** How long `stop` waits, in milliseconds; one leaked connection would make the native shutdown wait for ever. */
const STOP_DEADLINE_MS = 1000;
const GOING_AWAY = { code: 1001, reason: "the server is stopping" };
const INTERNAL_ERROR = { text: "Internal Error", code: 1011, reason: "internal error" };

/**
 * Checks that an endpoint could listen at `socketPath`, which costs far less than starting it, and leaves nothing
 * there.
 *
 * @throws {StartError} when it could not.
 */
export function checkSocketPath(socketPath: string): void {
  try {
    Deno.listen({ transport: "unix", path: socketPath }).close();
  } catch (cause) {
    throw cannotListen(socketPath, cause);
  }
}

function cannotListen(socketPath: string, cause: unknown): StartError {
  return new StartError(`Cannot listen on "${socketPath}": ${describeFailure(cause).detail}`, { cause });
}

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
  readonly #sockets = new Set<ServedSocket>();
  #isListening = true;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#server = this.#listen();
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  async #shutDown(): Promise<void> {
    this.#isListening = false;
    clearTimeout(this.#restartTimer);
    for (const socket of this.#sockets) socket.close(GOING_AWAY.code, GOING_AWAY.reason);
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
        (error) => this.#ended(describeFailure(error).detail),
      );
      return server;
    } catch (cause) {
      throw cannotListen(path, cause);
    }
  }

  #ended(reason: string): void {
    this.#isListening = false;
    if (this.#stopped !== undefined) return;
    this.#restartTimer = setTimeout(() => this.#restart(reason), RESTART_DELAY_MS);
  }

  #restart(reason: string): void {
    try {
      this.#server = this.#listen();
    } catch {
      return this.#ended(reason);
    }
    this.#isListening = true;
    this.#options.log("endpoint.restarted", { endpoint: this.#options.name, reason });
  }

  #accept(request: Request): Response | Promise<Response> {
    const { admit, createHandler } = this.#options;
    return admit === undefined ? this.#upgrade(request, { createHandler }) : this.#decide(request, admit);
  }

  async #decide(request: Request, admit: Admit): Promise<Response> {
    let decision: Accepted | Response;
    try {
      decision = await admit(request);
    } catch (error) {
      const { log, name } = this.#options;
      const { connection, address: peer } = readOrigin(request);
      log("handler.error", { connection, peer, endpoint: name, ...describeFailure(error) });
      return new Response(`${INTERNAL_ERROR.text}\n`, { status: 500 });
    }
    return decision instanceof Response ? decision : this.#upgrade(request, decision);
  }

  #upgrade(request: Request, { subprotocol, createHandler }: Accepted): Response {
    // After the upgrade the request can't be read any more.
    const origin = readOrigin(request);
    const link = this.#options.linkOf(origin.connection);
    if (link === undefined) return new Response("Not a connection of the firewall\n", { status: 400 });
    let upgrade: Deno.WebSocketUpgrade;
    try {
      // Keepalive and idle limits are the firewall's.
      upgrade = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    } catch {
      return new Response("Not a WebSocket handshake\n", { status: 400 });
    }
    // From here on nothing may throw, and only this response may be returned: otherwise the whole listener closes.
    const socket = new ServedSocket(link, origin, createHandler, this.#options);
    upgrade.socket.onopen = () => {
      this.#sockets.add(socket);
      link.whenStarted(() => socket.open());
    };
    upgrade.socket.onclose = (event) => {
      // The runtime can call it twice, and keeps the socket, with all that these functions hold, for a long time.
      upgrade.socket.onopen = upgrade.socket.onclose = null;
      this.#sockets.delete(socket);
      socket.closed(event.code, event.reason);
    };
    // The runtime's own option splits the client's offer wrongly, and throws.
    if (subprotocol !== undefined) upgrade.response.headers.set("sec-websocket-protocol", subprotocol);
    return upgrade.response;
  }
}

/** Where a connection comes from, by the firewall's headers, which a stranger can't set. */
export function readOrigin(request: Request): Pick<Peer, "connection" | "address"> {
  return {
    connection: request.headers.get("X-Connection-Id") ?? "unknown",
    address: request.headers.get("X-Forwarded-For") ?? "unknown",
  };
}

/** One connection and its handler; contains the handler's failures. */
class ServedSocket implements Peer, Receiver {
  readonly connection: string;
  readonly address: string;
  readonly #link: Link;
  readonly #createHandler: CreateHandler;
  readonly #options: EndpointOptions;
  #handler: SocketHandler | undefined;
  #isOpen = false;
  #isOver = false;
  #ownClose: CloseReason | undefined;

  constructor(
    link: Link,
    { connection, address }: Pick<Peer, "connection" | "address">,
    createHandler: CreateHandler,
    options: EndpointOptions,
  ) {
    this.#link = link;
    this.connection = connection;
    this.address = address;
    this.#createHandler = createHandler;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#link.isOpen;
  }

  send(message: Message): void {
    if (!this.#isOpen) return;
    this.#link.send(message);
    // It was copied. Left to the garbage collector, the buffers of a flood would add up to a gigabyte.
    if (typeof message !== "string") message.transfer(0);
  }

  charge(more: number): void {
    this.#link.charge(more);
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.#isOpen = false;
    this.#ownClose = { code, reason };
    this.#link.end(this.#ownClose);
  }

  open(): void {
    // The native socket may have ended before the firewall has started.
    if (this.#isOver) return;
    this.#isOpen = true;
    try {
      this.#handler = this.#createHandler(this);
      const opening = this.#handler.open?.();
      if (opening === undefined) this.#link.attach(this);
      else void opening.catch((error) => this.#fail(error)).then(() => this.#link.attach(this));
    } catch (error) {
      this.#fail(error);
    }
  }

  closed(code: number, reason: string): void {
    this.#isOpen = false;
    this.#isOver = true;
    const received = code === 0 ? undefined : { code, reason };
    const known = received ?? this.#ownClose ?? { code: ABNORMAL_CLOSURE, reason: "" };
    try {
      this.#handler?.close?.(known.code, known.reason);
    } catch (error) {
      this.#fail(error);
    }
    this.#link.endpointEnded();
  }

  message(data: Message): void | Promise<void> {
    try {
      // Optional only for the types: a connection without a handler is closed.
      return this.#handler?.message(data)?.catch((error) => this.#fail(error));
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
