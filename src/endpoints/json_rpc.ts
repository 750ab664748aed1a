// JSON-RPC 2.0 as data: reads requests, writes responses and notifications; knows no session and no method.
import * as v from "valibot";

/** What ties a response to its request. */
export type RpcId = string | number | null;

/** The error of a response (§5.1). What is in it goes to the peer. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: {
    /** The field that is wrong, from the root of the request: `params.address`. */
    readonly path?: string;
    /** What is asked for, in our own words. */
    readonly reason?: string;
  };
}

/** What a call came to. */
export type RpcOutcome = { readonly result: unknown } | { readonly error: RpcError };

/** One request object that is well formed. */
export interface RpcRequest {
  readonly method: string;
  /** An object or an array, undefined if left out. */
  readonly params: object | undefined;
  /** Undefined for a notification, which is never answered. */
  readonly id: RpcId | undefined;
}

/** One request object, or what is wrong with it and the id to say so to. */
export type RpcReading =
  | { readonly request: RpcRequest }
  | { readonly error: RpcError; readonly id: RpcId };

/** What a message holds: request objects, read or not yet, or nothing that can be read. */
export type RpcMessage =
  | { readonly requests: readonly unknown[]; readonly isBatch: boolean }
  | { readonly error: RpcError };

/** The most request objects in one batch. */
export const MAX_BATCH_LENGTH = 64;

/** Longer names of fields, which are the peer's own words, are cut in errors. */
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

/** Error -32603: a failure on our side. The log has the details. */
export const INTERNAL_ERROR: RpcError = { code: -32603, message: "Internal error" };

const REQUEST = v.strictObject({
  jsonrpc: v.literal("2.0"),
  method: v.string(),
  params: v.optional(v.custom<object>((value) => typeof value === "object" && value !== null)),
  id: v.optional(v.union([v.string(), v.pipe(v.number(), v.finite()), v.null()])),
});

/** Reads a text message; never throws. */
export function readMessage(text: string): RpcMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { error: parseError("a message must be JSON") };
  }
  if (!Array.isArray(value)) return { requests: [value], isBatch: false };
  if (value.length >= 1 && value.length <= MAX_BATCH_LENGTH) return { requests: value, isBatch: true };
  return { error: invalidRequest({ reason: `a batch must hold from 1 to ${MAX_BATCH_LENGTH} requests` }) };
}

/** Reads one request object; never throws. */
export function readRequest(value: unknown): RpcReading {
  const parsed = v.safeParse(REQUEST, Array.isArray(value) ? undefined : value, { abortEarly: true });
  if (parsed.success) {
    const { method, params, id } = parsed.output;
    return { request: { method, params, id } };
  }
  const path = issuePath(parsed.issues[0]);
  const data = path === "" ? { reason: "a request must be an object" } : { path };
  return { error: invalidRequest(data), id: readId(value) };
}

/** The dotted path to the field that an issue is about; the issue's own text would repeat what was sent. */
export function issuePath(issue: v.BaseIssue<unknown>): string {
  return (v.getDotPath(issue) ?? "").slice(0, MAX_PATH_LENGTH);
}

/** Writes a response; throws only if the result can't be JSON. */
export function encodeResponse(id: RpcId, outcome: RpcOutcome): string {
  return JSON.stringify({ jsonrpc: "2.0", ...outcome, id });
}

/** Writes a notification of the server. */
export function encodeNotification(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

/** The id of a request that is wrong otherwise, null if it can't be told (§5). */
function readId(value: unknown): RpcId {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "id")) return null;
  const { id } = value as { id: unknown };
  return typeof id === "string" || (typeof id === "number" && Number.isFinite(id)) ? id : null;
}
