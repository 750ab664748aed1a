// How sessions, revocations and bans are written in Redis. Times there are those of Redis, because nodes' clocks may
// differ.

import { hash } from "node:crypto";
import type { Place } from "../core/shared_state.ts";
import type { Revocation } from "../endpoints/sessions/revocation.ts";
import { USER_KEY_LENGTH } from "./scripts.ts";

/** Turns times of this machine into those of Redis and back, in milliseconds since the Unix epoch. */
export interface TimeShift {
  toRedis(ownMs: number): number;
  toOwn(redisMs: number): number;
}

/** A session that is on some node. */
export interface RemoteSession extends Omit<Place, "jtis"> {
  readonly jtis: readonly string[];
  /** Whether it has more tokens, which only its node knows. */
  readonly hasMoreJtis: boolean;
  /** The name of its node. */
  readonly node: string;
}

const DIGITS = 16;

/** Ten years: the end of a token may be beyond any clock. */
const MAX_AHEAD_MS = 10 * 365 * 86_400_000;

/** How much of the names of a session's tokens other nodes get, in characters; the latest ones. */
const MAX_JTIS_SIZE = 8192;

/** A name or a token as a part of a key: nobody can make it long, or equal to another. */
export function keyOf(text: string): string {
  return hash("sha256", text, "base64url").slice(0, USER_KEY_LENGTH);
}

/** How long it is until a time of this machine, in milliseconds, at least 1. */
export function remainingMs(endsAtMs: number): number {
  return Math.max(1, Math.min(MAX_AHEAD_MS, Math.ceil(endsAtMs - Date.now())));
}

/** The row of a session. */
export function writeRow(place: Place, shift: TimeShift): string {
  const { user, address, connection, startedAtMs, expiresAtMs, jtis } = place;
  const start = digits(shift.toRedis(startedAtMs));
  const end = digits(shift.toRedis(Math.min(expiresAtMs, Date.now() + MAX_AHEAD_MS)));
  let size = 0;
  const latest = jtis.toReversed().filter((jti) => (size += jti.length) <= MAX_JTIS_SIZE);
  const more = latest.length < jtis.length ? [true] : [];
  return start + end + keyOf(user) + JSON.stringify([user, address, connection, latest, ...more]);
}

/** Reads a row of some node; undefined if no node of this version wrote it. */
export function readRow(id: string, node: string, row: string, shift: TimeShift): RemoteSession | undefined {
  const startedAtMs = shift.toOwn(Number(row.slice(0, DIGITS)));
  const expiresAtMs = shift.toOwn(Number(row.slice(DIGITS, 2 * DIGITS)));
  const fields = parse(row.slice(2 * DIGITS + USER_KEY_LENGTH));
  if (!Array.isArray(fields) || !Number.isFinite(startedAtMs + expiresAtMs)) return undefined;
  const [user, address, connection, jtis, hasMore] = fields;
  if (![user, address, connection].every((text) => typeof text === "string") || !areTexts(jtis)) {
    return undefined;
  }
  const hasMoreJtis = hasMore === true;
  return { id, node: nameOf(node), user, address, connection, startedAtMs, expiresAtMs, jtis, hasMoreJtis };
}

/** The name of a node, without its random part. */
export function nameOf(node: string): string {
  return node.slice(0, node.lastIndexOf(":"));
}

/** An entry of a list that all nodes have. */
export interface Entry {
  readonly id: string;
  /** Of two entries with the same id, the one with the higher rank holds. */
  readonly rank: number;
  /** When it is forgotten, by the clock of this machine. */
  readonly endsAtMs: number;
  /** Empty if it was taken back. */
  readonly body: string;
}

/** Reads the value of an entry; undefined if it is not one. */
export function readEntry(id: string, value: string, shift: TimeShift): Entry | undefined {
  const rank = Number(value.slice(0, DIGITS));
  const endsAtMs = shift.toOwn(Number(value.slice(DIGITS, 2 * DIGITS)));
  if (!Number.isFinite(rank + endsAtMs)) return undefined;
  return { id, rank, endsAtMs, body: value.slice(2 * DIGITS) };
}

/** The content of a revocation's entry, besides its id and its end. */
export function writeRevocation(
  { kind, value, jtis, revokedAtMs, node }: Revocation,
  shift: TimeShift,
  ownName: string,
): string {
  return JSON.stringify([kind, value, shift.toRedis(revokedAtMs), jtis, node ?? ownName]);
}

/** Reads it; undefined if it is not a revocation. */
export function readRevocation({ id, endsAtMs, body }: Entry, shift: TimeShift): Revocation | undefined {
  const fields = parse(body);
  if (!Array.isArray(fields)) return undefined;
  const [kind, value, revokedAtMs, jtis, node] = fields;
  const isKind = kind === "jti" || kind === "user" || kind === "session";
  if (!isKind || typeof value !== "string" || !Number.isFinite(revokedAtMs) || !areTexts(jtis)) {
    return undefined;
  }
  return {
    id,
    kind,
    value,
    jtis,
    revokedAtMs: shift.toOwn(revokedAtMs),
    expiresAtMs: endsAtMs,
    node: String(node),
  };
}

/** A whole number with leading zeros, so that texts sort like numbers. */
function digits(ms: number): string {
  return String(Math.max(0, Math.round(ms))).padStart(DIGITS, "0");
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Parses JSON of another node; undefined if it is not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
