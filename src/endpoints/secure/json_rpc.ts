// JSON-RPC 2.0 as data: reads requests, writes responses and notifications; knows no session and no method.
import {
  isJsonObject,
  isRawNumber,
  type JsonLimits,
  type JsonObject,
  type JsonValue,
  parseBoundedJson,
  type RawNumber,
} from "../../core/bounded_json.ts";

/** The id of a request and its response; a number comes back digit by digit as it was sent. */
export type RpcId = string | number | RawNumber | null;

/** The error of a response (§5.1). What is in it goes to the peer. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: {
    /** The wrong field, from the root of the request: `params.address`. */
    readonly path?: string;
    /** What would be right, in our own words. */
    readonly reason?: string;
  };
}

/** The outcome of a call. */
export type RpcOutcome = { readonly result: unknown } | { readonly error: RpcError };

/** The parameters of a request (§4.2). */
export type RpcParams = JsonObject | readonly JsonValue[];

/** One request object that is well formed. */
export interface RpcRequest {
  readonly method: string;
  /** By name or by position, undefined if left out. */
  readonly params: RpcParams | undefined;
  /** Undefined for a notification, which is never answered. */
  readonly id: RpcId | undefined;
}

/** One request object, or what is wrong with it and the id for the answer. */
export type RpcReading =
  | { readonly request: RpcRequest }
  | { readonly error: RpcError; readonly id: RpcId };

/** What a message holds: request objects, checked or not yet, or an error. */
export type RpcMessage =
  | { readonly requests: readonly JsonValue[]; readonly isBatch: boolean }
  | { readonly error: RpcError };

/** The most request objects in one batch. */
export const MAX_BATCH_LENGTH = 64;

/** The limits on one message; a batch of requests to our methods needs a tenth of that. */
export const MESSAGE_LIMITS: JsonLimits = { maxDepth: 32, maxValues: 4096, maxNames: 32 };

/** Names of fields, which are the peer's own words, are cut to this length in errors. */
const MAX_PATH_LENGTH = 128;

/** Error -32700: the message is not JSON. */
export function parseError(reason: string): RpcError {
  return { code: -32700, message: "Parse error", data: { reason } };
}

/** Error -32600: the JSON is not a request object. */
export function invalidRequest(data: NonNullable<RpcError["data"]>): RpcError {
  return { code: -32600, message: "Invalid Request", data };
}

/** Error -32601. */
export const METHOD_NOT_FOUND: RpcError = {
  code: -32601,
  message: "Method not found",
  data: { path: "method" },
};

/** Error -32602: the parameters are not what the method takes. */
export function invalidParams(path: string): RpcError {
  return { code: -32602, message: "Invalid params", data: { path: path.slice(0, MAX_PATH_LENGTH) } };
}

/** Error -32003: the reply would be larger than replies may be. In a batch, those after it are not carried out. */
export const REPLY_TOO_LARGE: RpcError = { code: -32003, message: "Reply Too Large" };

/** Error -32603: a failure on our side. The log has the details. */
export const INTERNAL_ERROR: RpcError = { code: -32603, message: "Internal error" };

/** What the fields of a request object must be, in the order of the checks. */
const FIELDS: readonly [name: string, isRight: (value: JsonValue | undefined) => boolean][] = [
  ["jsonrpc", (value) => value === "2.0"],
  ["method", (value) => typeof value === "string"],
  ["params", (value) => value === undefined || isJsonObject(value) || Array.isArray(value)],
  ["id", (value) => value === undefined || isId(value)],
];
const FIELD_NAMES: ReadonlySet<string> = new Set(FIELDS.map(([name]) => name));

/** Reads a text message; never throws. */
export function readMessage(text: string): RpcMessage {
  const json = parseBoundedJson(text, MESSAGE_LIMITS);
  if (!json.ok) {
    return { error: parseError(json.fault === "not JSON" ? "a message must be JSON" : json.fault) };
  }
  const { value } = json;
  if (!Array.isArray(value)) return { requests: [value], isBatch: false };
  if (value.length >= 1 && value.length <= MAX_BATCH_LENGTH) return { requests: value, isBatch: true };
  return { error: invalidRequest({ reason: `a batch must hold from 1 to ${MAX_BATCH_LENGTH} requests` }) };
}

/** Reads one request object; never throws. */
export function readRequest(value: JsonValue): RpcReading {
  if (!isJsonObject(value)) {
    return { error: invalidRequest({ reason: "a request must be an object" }), id: null };
  }
  const wrong = FIELDS.find(([name, isRight]) => !isRight(value.get(name)))?.[0] ??
    value.keys().find((name) => !FIELD_NAMES.has(name));
  const id = value.get("id");
  if (wrong !== undefined) {
    const path = wrong.slice(0, MAX_PATH_LENGTH);
    // Null if it can't be told (§5).
    return { error: invalidRequest({ path }), id: isId(id) ? id : null };
  }
  const method = value.get("method") as string;
  return {
    request: { method, params: value.get("params") as RpcParams | undefined, id: id as RpcId | undefined },
  };
}

function isId(value: JsonValue | undefined): value is RpcId {
  return value === null || typeof value === "string" || typeof value === "number" || isRawNumber(value);
}

/** Writes a response; throws only if the result can't be JSON. */
export function encodeResponse(id: RpcId, outcome: RpcOutcome): string {
  return JSON.stringify({ jsonrpc: "2.0", ...outcome, id });
}

/** Writes a notification of the server. */
export function encodeNotification(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}
