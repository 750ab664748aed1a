// A Redis client that reconnects by itself, and fails at once while there is no connection.

import { StartError } from "../core/errors.ts";
import { type RedisAddress, redisPermission } from "../core/redis_text.ts";
import { type ConnectionOptions, RedisConnection, RedisLost } from "./connection.ts";
import { RedisClock } from "./redis_clock.ts";
import { RedisError, type Reply } from "./reply_reader.ts";
import type { Script } from "./script.ts";

/** Redis can't carry out a command: a fault of ours, or of its arguments. */
export class RedisRefusal extends Error {
  override readonly name = "RedisRefusal";
  readonly code = "REDIS_REFUSAL";
}

/** What a client is made of. */
export interface RedisClientOptions extends Pick<ConnectionOptions, "address" | "timeoutMs" | "onAnswer"> {
  /** Certificate authorities in PEM, asked for at each connection. */
  readonly caCerts: () => string[];
  /** The key that each script is given: where it belongs in a cluster. */
  readonly key: string;
  /** The channel to subscribe to. */
  readonly channel: string;
  readonly onMessage: (text: string) => void;
  /**
   * Called for each new connection: others may use it once this resolves; if it rejects, the connection is given up.
   */
  readonly join: () => Promise<void>;
  /** Called when others may use it. */
  readonly onUp: () => void;
  /** Called before a connection is given up because the clock of Redis was set ahead: keys may have ended too early. */
  readonly onSetAhead: () => void;
  /** Called when it can't be used any more, and at the start when it can't be used at first. */
  readonly onDown: (reason: string) => void;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;

/** A connection must last this long, in milliseconds, to make the next attempts quick again. */
const STABLE_MS = 5000;

/** When the clock of Redis is set ahead by more than this, in milliseconds, keys have ended before their time. */
const SET_AHEAD_MS = 1000;

/** How often in a row a cluster may send us elsewhere. */
const MAX_MOVES = 5;

/** Speaks to one Redis. */
export class RedisClient {
  readonly #options: RedisClientOptions;
  readonly #clock = new RedisClock();
  readonly #stopping = new AbortController();
  #address: RedisAddress;
  #connection: RedisConnection | undefined;
  /** Counts the attempts, so that calls about an earlier one are ignored. */
  #attempt = 0;
  #isUp = false;
  #isToldDown = false;
  #upSinceMs = 0;
  #failures = 0;
  #moves = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RedisClientOptions) {
    this.#options = options;
    this.#address = options.address;
  }

  /** Whether commands are taken now. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** The earliest that it can be at Redis now, in milliseconds since the Unix epoch; valid while it is up. */
  now(): number {
    return this.#clock.earliest(performance.now());
  }

  /**
   * Checks the permission to connect to Redis, so that a start fails without it.
   *
   * @throws {StartError} when it may not
   */
  checkPermission(): void {
    const address = this.#options.address;
    const isGranted = address.kind === "unix"
      ? (["read", "write"] as const).every((name) =>
        Deno.permissions.querySync({ name, path: address.path }).state === "granted"
      )
      : Deno.permissions.querySync({ name: "net", host: redisPermission(address) }).state === "granted";
    if (isGranted) return;
    throw new StartError(
      `Cannot use Redis at "${address.name}": permission was not granted; run with the flags that serve --print-permissions prints`,
    );
  }

  /** Begins to connect. Resolves when the first attempt has succeeded or failed. */
  async start(): Promise<void> {
    await this.#connect();
  }

  /** Ends for good: nothing is called any more. */
  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#isUp = false;
    this.#connection?.close();
    this.#connection = undefined;
  }

  /**
   * Runs a script. Its first argument is a deadline in the time of Redis, after which it must do nothing, because
   * nobody waits for it.
   *
   * @returns Its answer after the first two items, which are its status and the time.
   * @throws {RedisLost} when there is no answer in time, or no connection; it was executed or not
   * @throws {RedisRefusal} when Redis can't do it
   */
  async run(script: Script, args: readonly (string | number)[]): Promise<readonly [string, ...Reply[]]> {
    const { key, timeoutMs } = this.#options;
    const startMs = performance.now();
    for (;;) {
      const connection = this.#connection;
      if (connection === undefined) throw new RedisLost("there is no connection");
      const sentMs = performance.now();
      const rest = [1, key, Math.floor(this.#clock.earliest(sentMs) + timeoutMs), ...args];
      let reply = await connection.send(["EVALSHA", script.sha1, ...rest]);
      if (reply instanceof RedisError && reply.code === "NOSCRIPT") {
        reply = await connection.send(["EVAL", script.source, ...rest]);
      }
      if (reply instanceof RedisError) {
        throw new RedisRefusal(`Cannot run the script ${script.name}: ${reply.message.slice(0, 300)}`);
      }
      const answeredMs = performance.now();
      if (!Array.isArray(reply) || typeof reply[0] !== "string" || typeof reply[1] !== "number") {
        throw new RedisRefusal(`Cannot run the script ${script.name}: its answer is not one of ours`);
      }
      const [status, redisMs, ...answer] = reply;
      const aheadMs = this.#clock.observe(redisMs, sentMs, answeredMs);
      if (aheadMs > SET_AHEAD_MS) {
        this.#options.onSetAhead();
        connection.giveUp(`its clock was set ahead by ${Math.round(aheadMs / 1000)} s`);
      }
      if (status !== "LATE") return [status, ...answer];
      // A clock was set, and is known again now.
      if (answeredMs - startMs > timeoutMs / 2) throw new RedisLost("the command came too late");
    }
  }

  /** Sends one command that is no script, and only reads. */
  async read(...command: readonly (string | number)[]): Promise<Reply> {
    const reply = await this.#connection?.send(command);
    if (reply === undefined) throw new RedisLost("there is no connection");
    if (reply instanceof RedisError) {
      throw new RedisRefusal(`Cannot run ${command[0]}: ${reply.message.slice(0, 300)}`);
    }
    return reply;
  }

  async #connect(): Promise<void> {
    const { caCerts, channel, join, onUp } = this.#options;
    const attempt = ++this.#attempt;
    let connection: RedisConnection | undefined;
    try {
      connection = await RedisConnection.open({
        ...this.#options,
        address: this.#address,
        caCerts: caCerts(),
        onPush: (items) => this.#pushed(items),
        onLost: (reason) => this.#lost(reason, attempt, connection),
      }, this.#stopping.signal);
      if (attempt !== this.#attempt || this.#stopping.signal.aborted) return connection.close();
      this.#connection = connection;
      const askedMs = performance.now();
      const time = await this.read("TIME");
      const [seconds, microseconds] = Array.isArray(time) ? time.map(Number) : [];
      this.#clock.observe(seconds! * 1000 + Math.floor(microseconds! / 1000), askedMs, performance.now());
      await this.read("SUBSCRIBE", channel);
      await join();
      if (attempt !== this.#attempt || this.#stopping.signal.aborted) return;
      this.#moves = 0;
      this.#isUp = true;
      this.#isToldDown = false;
      this.#upSinceMs = performance.now();
      onUp();
    } catch (error) {
      this.#lost((error as Error).message, attempt, connection);
      if (!(error instanceof RedisLost || error instanceof RedisRefusal)) throw error;
    }
  }

  /** A connection was lost, or could not be made. */
  #lost(reason: string, attempt: number, connection: RedisConnection | undefined): void {
    if (attempt !== this.#attempt || this.#stopping.signal.aborted) return;
    this.#attempt++;
    connection?.close();
    this.#connection = undefined;
    if (this.#isUp && performance.now() - this.#upSinceMs >= STABLE_MS) this.#failures = 0;
    this.#isUp = false;
    const target = this.#moved(connection?.movedTo);
    if (target !== undefined) this.#address = target;
    else {
      this.#address = this.#options.address;
      if (!this.#isToldDown) {
        this.#isToldDown = true;
        this.#options.onDown(reason);
      }
    }
    const delayMs = target !== undefined ? 0 : this.#nextDelayMs();
    this.#timer = setTimeout(() => void this.#connect(), delayMs);
  }

  #nextDelayMs(): number {
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    // Random, so that nodes that lost it together do not come back together.
    return delayMs * (0.5 + Math.random() / 2);
  }

  /** Follows a cluster to the server with our keys, which are all on one. */
  #moved(to: string | undefined): RedisAddress | undefined {
    const address = this.#options.address;
    const [, host, port] = /^(.*):(\d{1,5})$/.exec(to ?? "") ?? [];
    if (host === undefined || address.kind === "unix" || ++this.#moves > MAX_MOVES) {
      if (to === undefined) this.#moves = 0;
      return undefined;
    }
    // An empty host is the one that said so.
    const hostname = host === "" ? (this.#address as typeof address).hostname : host;
    return { ...address, hostname, port: Number(port) };
  }

  #pushed(items: readonly Reply[]): void {
    const [kind, channel, text] = items;
    if (kind === "message" && channel === this.#options.channel && typeof text === "string") {
      this.#options.onMessage(text);
    }
  }
}
