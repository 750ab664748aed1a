// How a session speaks with the subprotocol wsward.v1: JSON-RPC 2.0.
import { Buffer } from "node:buffer";
import type { JsonValue } from "../../core/bounded_json.ts";
import { BatchTurns } from "./batch_turns.ts";
import type { Clock } from "../sessions/clock.ts";
import type { Message } from "../endpoint.ts";
import { type Ending, ENDINGS } from "../sessions/ending.ts";
import { describeFailure } from "../failure.ts";
import {
  encodeNotification,
  encodeResponse,
  INTERNAL_ERROR,
  invalidRequest,
  METHOD_NOT_FOUND,
  parseError,
  readMessage,
  readRequest,
  REPLY_TOO_LARGE,
  type RpcError,
  type RpcId,
  type RpcOutcome,
  type RpcRequest,
} from "./json_rpc.ts";
import { METHODS } from "./methods/list.ts";
import type { Method, MethodContext } from "./methods/method.ts";
import { formatTime } from "../../core/shown.ts";
import type { Conversation, Session } from "../sessions/session.ts";

/** What a JSON-RPC conversation needs besides its session. */
export interface RpcOptions extends Omit<MethodContext, "session" | "endAfterReply"> {
  readonly clock: Clock;
  /** All methods if left out. */
  readonly methods?: readonly Method[];
  /** The largest message in bytes, {@linkcode DEFAULT_MAX_MESSAGE_SIZE} if left out; a reply may be twice as large. */
  readonly maxMessageSize?: number;
}

/** The largest message in bytes, by default. */
export const DEFAULT_MAX_MESSAGE_SIZE = 64 * 1024;

/** How many errors of a peer within `ERROR_WINDOW_MS` are answered; with one more the session ends with 1008. */
export const MAX_ERRORS = 100;
/** The window in milliseconds, from the first error that is counted. */
export const ERROR_WINDOW_MS = 10_000;

/**
 * JSON-RPC 2.0. Every message of the session is JSON, also the warning before its end (`token_expiring`) and the last
 * one (`session_ended`). What can't be read, such as binary messages, is answered with an error.
 */
export function createRpcConversation(session: Session, options: RpcOptions): Conversation {
  return new RpcConversation(session, options);
}

/** The turns of all sessions. */
const batchTurns = new BatchTurns();

class RpcConversation implements Conversation {
  readonly #session: Session;
  readonly #options: RpcOptions;
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #context: MethodContext;
  #ending: Ending | undefined;
  #errors = 0;
  #windowEndMs = 0;

  constructor(session: Session, options: RpcOptions) {
    this.#session = session;
    this.#options = options;
    this.#methods = options.methods === undefined
      ? METHODS_BY_NAME
      : new Map(options.methods.map((method) => [method.name, method]));
    const endAfterReply = (ending: Ending) => {
      this.#ending ??= ending;
    };
    this.#context = { ...options, session, endAfterReply };
  }

  async message(data: Message): Promise<void> {
    const reply = await this.#answer(data);
    if (reply !== undefined) this.#session.send(reply);
    if (this.#ending !== undefined) this.#session.end(this.#ending);
  }

  expiring(): void {
    const { expiresAtMs } = this.#session.identity;
    this.#session.send(encodeNotification("token_expiring", {
      expires_at: formatTime(expiresAtMs),
      expires_in: Math.max(0, Math.ceil((expiresAtMs - this.#options.clock.now()) / 1000)),
    }));
  }

  farewell(text: string): string {
    return encodeNotification("session_ended", { reason: text });
  }

  async #answer(data: Message): Promise<string | undefined> {
    // After our Close messages are ignored.
    if (!this.#session.isOpen) return undefined;
    if (typeof data !== "string") return this.#refuse(null, parseError("a message must be text"));
    const { maxMessageSize = DEFAULT_MAX_MESSAGE_SIZE } = this.#options;
    // Before it is parsed: the work on a message is bounded by its size.
    if (Buffer.byteLength(data) > maxMessageSize) {
      const reason = `a message may have at most ${maxMessageSize} bytes`;
      return this.#refuse(null, invalidRequest({ reason }));
    }
    const message = readMessage(data);
    if ("error" in message) return this.#refuse(null, message.error);
    if (message.isBatch) {
      // Before they are carried out: each costs as much as a message of its own.
      this.#session.charge(message.requests.length - 1);
      await batchTurns.next();
    }
    const replies: string[] = [];
    let left = 2 * maxMessageSize;
    for (const value of message.requests) {
      // The session may have ended while a request before this one was under way.
      if (!this.#session.isOpen) return undefined;
      const reply = await this.#reply(value, left);
      if (reply === undefined) continue;
      replies.push(reply.text);
      left = reply.left;
    }
    if (replies.length === 0) return undefined;
    return message.isBatch ? `[${replies.join(",")}]` : replies[0];
  }

  /** Answers one request in at most `left` bytes, and returns how many are left; undefined for a notification. */
  async #reply(value: JsonValue, left: number): Promise<{ text: string; left: number } | undefined> {
    const reading = readRequest(value);
    const id = "error" in reading ? reading.id : reading.request.id;
    // A request that can't be answered is not carried out.
    if (left === 0 && id !== undefined) return { text: encodeResponse(id, { error: REPLY_TOO_LARGE }), left };
    const text = "error" in reading
      ? this.#refuse(reading.id, reading.error)
      : await this.#call(reading.request);
    if (text === undefined || id === undefined) return undefined;
    const size = Buffer.byteLength(text);
    return size <= left ? { text, left: left - size } : { text: this.#refuse(id, REPLY_TOO_LARGE), left: 0 };
  }

  async #call({ method: name, params, id }: RpcRequest): Promise<string | undefined> {
    const method = this.#methods.get(name);
    let outcome: RpcOutcome;
    try {
      outcome = method === undefined ? { error: METHOD_NOT_FOUND } : await method.call(params, this.#context);
      if ("error" in outcome) this.#count();
      return id === undefined ? undefined : encodeResponse(id, outcome);
    } catch (error) {
      this.#options.log("handler.error", {
        ...this.#session.logFields(),
        method: method?.name,
        ...describeFailure(error),
      });
      return id === undefined ? undefined : encodeResponse(id, { error: INTERNAL_ERROR });
    }
  }

  #refuse(id: RpcId, error: RpcError): string {
    this.#count();
    return encodeResponse(id, { error });
  }

  /** Counts an error of the peer; our own failures don't count. */
  #count(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + ERROR_WINDOW_MS;
      this.#errors = 0;
    }
    if (++this.#errors > MAX_ERRORS) this.#ending = ENDINGS.tooManyErrors;
  }
}

const METHODS_BY_NAME: ReadonlyMap<string, Method> = new Map(METHODS.map((method) => [method.name, method]));
