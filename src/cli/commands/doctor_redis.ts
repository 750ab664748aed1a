// Redis as the doctor sees it: whether it is there, lets us in, takes what is written, and keeps it.

import type { Settings } from "../../core/settings/declarations.ts";
import { parseRedisUrl, type RedisAddress } from "../../core/redis_text.ts";
import { RedisConnection, RedisLost } from "../../redis/connection.ts";
import { RedisError } from "../../redis/reply_reader.ts";
import type { Finding } from "./doctor_finding.ts";

/** Connects, and writes a key that ends at once; finds nothing where no Redis is used. */
export async function examineRedis(settings: Settings): Promise<readonly Finding[]> {
  return settings.redis === undefined ? [] : [await look(settings, parseRedisUrl(settings.redis)!)];
}

async function look(settings: Settings, address: RedisAddress): Promise<Finding> {
  const name = `Redis ${address.name}`;
  let connection: RedisConnection | undefined;
  try {
    connection = await RedisConnection.open({
      address,
      timeoutMs: settings.redisTimeout,
      caCerts: settings.redisCa === undefined ? [] : [Deno.readTextFileSync(settings.redisCa)],
      onPush: () => {},
      onLost: () => {},
      onAnswer: () => {},
    }, new AbortController().signal);
    const startMs = performance.now();
    const answer = await connection.send(["SET", `{${settings.redisPrefix}}:doctor`, "", "PX", 1]);
    const ms = Math.ceil(performance.now() - startMs);
    if (!(answer instanceof RedisError)) return { name, result: "ok", state: `it answers within ${ms} ms` };
    return {
      name,
      result: "warning",
      state: answer.message.slice(0, 200),
      remedy: "look at what its user may do",
    };
  } catch (error) {
    if (!(error instanceof RedisLost || isFileError(error))) throw error;
    const remedy = settings.onRedisLoss === "refuse"
      ? "start it, or look at --redis; until it is there no session is opened"
      : "start it, or look at --redis; until it is there this node decides alone";
    return { name, result: "warning", state: (error as Error).message, remedy };
  } finally {
    connection?.close();
  }
}

function isFileError(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotCapable;
}
