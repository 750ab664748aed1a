// One connection to Redis: commands of one turn go out together, answers come in order, and a late one ends it.

import { isOwnFault } from "../core/own_fault.ts";
import type { RedisAddress } from "../core/redis_text.ts";
import { afterAwake } from "../core/standstill.ts";
import { type Command, encodeCommands } from "./command.ts";
import { RedisError, type Reply, ReplyFormatError, ReplyReader } from "./reply_reader.ts";

/** Redis can't be used now; commands that waited may have been executed. */
export class RedisLost extends Error {
  override readonly name = "RedisLost";
  readonly code = "REDIS_LOST";
}

/** How a connection is opened. */
export interface ConnectionOptions {
  readonly address: RedisAddress;
  /** How long each command may take until its answer is there, in milliseconds. */
  readonly timeoutMs: number;
  /** Certificate authorities in PEM to trust besides the usual ones. */
  readonly caCerts: string[];
  /** Called with what Redis sends by itself, such as messages of a channel. */
  readonly onPush: (items: readonly Reply[]) => void;
  /** Called once, with the reason, when the connection is over; not after `close`. */
  readonly onLost: (reason: string) => void;
  /** Called with how long each answer took, in seconds. */
  readonly onAnswer: (seconds: number) => void;
}

/** A command whose answer is awaited. */
interface Waiting {
  readonly sentMs: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: RedisLost) => void;
}

/** How long it may take until there is a connection, TLS included, as a multiple of the time for a command. */
const CONNECT_FACTOR = 4;

/** The most commands that wait for an answer; each connection of a client that waits for one makes at most one. */
const MAX_WAITING = 20_000;

const READ_SIZE = 64 * 1024;

/**
 * Errors that end the connection: this Redis is read-only, loads its data, does not let us in, or the key is elsewhere.
 * All others are about one command.
 */
const FATAL_CODES: ReadonlySet<string> = new Set([
  ...["READONLY", "LOADING", "OOM", "BUSY", "MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN"],
  ...["TRYAGAIN", "ASK", "MOVED", "NOAUTH", "WRONGPASS", "NOPERM", "NOPROTO", "UNKILLABLE"],
]);

/** An open connection, until it is lost or closed. */
export class RedisConnection {
  readonly #conn: Deno.Conn;
  readonly #options: ConnectionOptions;
  readonly #reader: ReplyReader;
  readonly #waiting: Waiting[] = [];
  /** The index of the first: shifting an array of thousands would move them all. */
  #first = 0;
  #unsent: Command[] = [];
  #isWriting = false;
  #cancelDeadline: (() => void) | undefined;
  #isOver = false;
  #isGreeted = false;
  /** Where a cluster said that the keys are: `host:port`. */
  movedTo: string | undefined;

  private constructor(conn: Deno.Conn, options: ConnectionOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#reader = new ReplyReader((reply) => this.#answered(reply), (items) => {
      // The answer to SUBSCRIBE comes in this form.
      if (items[0] === "subscribe") this.#answered(items);
      else options.onPush(items);
    });
    void this.#read();
  }

  /**
   * Connects and logs in.
   *
   * @throws {RedisLost} when there is no connection in time, or Redis does not let us in
   */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<RedisConnection> {
    const { user = "default", password } = options.address;
    const conn = await dial(options, signal);
    const connection = new RedisConnection(conn, options);
    const hello = await connection.send(
      password === undefined ? ["HELLO", 3] : ["HELLO", 3, "AUTH", user, password],
    );
    if (hello instanceof RedisError) {
      connection.close();
      throw new RedisLost(describeRefusal(hello));
    }
    connection.#isGreeted = true;
    return connection;
  }

  /**
   * Sends a command with what else is sent in this turn.
   *
   * @returns The answer, which may be an error that is about this command.
   * @throws {RedisLost} when the connection is over before it comes; the command was executed or not
   */
  send(command: Command): Promise<Reply> {
    if (this.#isOver) return Promise.reject(new RedisLost("there is no connection"));
    if (this.#waiting.length - this.#first >= MAX_WAITING) {
      return Promise.reject(new RedisLost("too many commands wait for an answer"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#waiting.push({ sentMs: performance.now(), resolve, reject });
    this.#unsent.push(command);
    if (!this.#isWriting) void this.#write();
    if (this.#cancelDeadline === undefined) this.#watch(this.#options.timeoutMs);
    return promise;
  }

  /** Ends it as if it were lost, for a reason of the owner's. */
  giveUp(reason: string): void {
    this.#lose(reason);
  }

  /** Ends it without a word to the owner; harmless when it is over. */
  close(): void {
    this.#end("it was closed");
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      // What the rest of this turn sends goes along.
      await undefined;
      while (this.#unsent.length > 0 && !this.#isOver) {
        const bytes = encodeCommands(this.#unsent);
        this.#unsent = [];
        for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
      }
    } catch (error) {
      this.#broke(error);
    } finally {
      this.#isWriting = false;
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_SIZE);
    try {
      for (;;) {
        const size = await this.#conn.read(buffer);
        if (size === null) return this.#lose("it closed the connection");
        this.#reader.feed(buffer.subarray(0, size));
      }
    } catch (error) {
      if (!(error instanceof ReplyFormatError)) return this.#broke(error);
      this.#lose(`it does not speak RESP3: ${error.message}`);
    }
  }

  #answered(reply: Reply): void {
    if (this.#isOver) return;
    const waiting = this.#waiting[this.#first];
    if (waiting === undefined) throw new ReplyFormatError("an answer to nothing");
    // Before it is taken out: what fails in that ends the wait too.
    this.#options.onAnswer((performance.now() - waiting.sentMs) / 1000);
    this.#first++;
    if (this.#first > 1024 || this.#first === this.#waiting.length) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    if (reply instanceof RedisError && FATAL_CODES.has(reply.code)) {
      if (reply.code === "MOVED") this.movedTo = reply.message.split(" ")[2];
      const reason = this.#isGreeted ? describeError(reply) : describeRefusal(reply);
      waiting.reject(new RedisLost(reason));
      return this.#lose(reason);
    }
    waiting.resolve(reply);
  }

  /** Checks later whether the oldest command still waits: one timer for all commands. */
  #watch(delayMs: number): void {
    this.#cancelDeadline = afterAwake(delayMs, () => {
      this.#cancelDeadline = undefined;
      const oldest = this.#waiting[this.#first];
      if (oldest === undefined || this.#isOver) return;
      const leftMs = oldest.sentMs + this.#options.timeoutMs - performance.now();
      if (leftMs > 0) return this.#watch(leftMs);
      this.#lose(`no answer within ${this.#options.timeoutMs} ms`);
    });
  }

  #broke(error: unknown): void {
    if (!isOwnFault(error)) return this.#lose(describeLoss(error));
    this.#lose("a fault on this side");
    throw error;
  }

  #lose(reason: string): void {
    if (this.#isOver) return;
    this.#end(reason);
    this.#options.onLost(reason);
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelDeadline?.();
    this.#unsent = [];
    closeQuietly(this.#conn);
    for (const { reject } of this.#waiting.splice(0).slice(this.#first)) reject(new RedisLost(reason));
  }
}

/** Connects, TLS included. */
async function dial(
  { address, caCerts, timeoutMs }: ConnectionOptions,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  const abortion = new AbortController();
  let socket: Deno.Conn | undefined;
  const late = Promise.withResolvers<never>();
  const giveUp = () => {
    abortion.abort();
    if (socket !== undefined) closeQuietly(socket);
    late.reject(new RedisLost(`no connection within ${CONNECT_FACTOR * timeoutMs} ms`));
  };
  const timer = setTimeout(giveUp, CONNECT_FACTOR * timeoutMs);
  signal.addEventListener("abort", giveUp);
  const attempt = (async () => {
    if (address.kind === "unix") {
      socket = await Deno.connect({ transport: "unix", path: address.path });
    } else {
      const { hostname, port } = address;
      const conn = await Deno.connect({ hostname, port, signal: abortion.signal });
      socket = conn;
      conn.setNoDelay(true);
      if (address.kind === "tls") {
        const secure = await Deno.startTls(conn, { hostname, caCerts });
        socket = secure;
        await secure.handshake();
      }
    }
    if (abortion.signal.aborted) closeQuietly(socket);
    return socket;
  })();
  try {
    return await Promise.race([attempt, late.promise]);
  } catch (error) {
    // The other one ends too, for the same reason or because its socket is closed.
    attempt.catch(() => {});
    if (socket !== undefined) closeQuietly(socket);
    throw error instanceof RedisLost || isOwnFault(error) ? error : new RedisLost(describeLoss(error));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    late.promise.catch(() => {});
  }
}

/** Frees the descriptor. `startTls` takes over that of the connection it is given. */
function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** The beginning of an error of Redis, which may quote an argument. */
function describeError({ message }: RedisError): string {
  return message.length > 200 ? `${message.slice(0, 200)}...` : message;
}

/** Why Redis refuses us, without its words: some versions quote the password that they do not understand. */
function describeRefusal({ code }: RedisError): string {
  return code === "ERR" || code === "NOPROTO"
    ? "it does not speak RESP3: Redis 6.2 or Valkey is needed"
    : `it refuses us: ${code}`;
}

/**
 * The system's words for a loss. Errors of the network and of TLS have one of the runtime's classes or are plain
 * `Error`s.
 */
function describeLoss(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) {
    return "permission was not granted; run with the flags that serve --print-permissions prints";
  }
  if (error instanceof Deno.errors.ConnectionRefused) return "connection refused";
  if (error instanceof Deno.errors.NotFound) return "there is no such socket";
  const { message } = error as Error;
  if (message.includes("UnknownIssuer")) {
    return "its certificate is not from a trusted authority: see --redis-ca";
  }
  if (message.includes("CertificateRequired")) {
    return "it wants a certificate of its clients: set its tls-auth-clients to no";
  }
  return message.replace(/ \(os error \d+\)$/, "");
}
