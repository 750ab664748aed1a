// Checks Redis: whether it is there, lets us in, can be written to, and keeps what is written.

import { POLICY } from "../../cluster/scripts.ts";
import { readCaCerts } from "../../core/ca_file.ts";
import { StartError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { parseRedisUrl, type RedisAddress } from "../../core/redis_text.ts";
import { RedisConnection, RedisLost } from "../../redis/connection.ts";
import { RedisError } from "../../redis/reply_reader.ts";
import type { Finding } from "./doctor_finding.ts";

/** Connects, and writes a key that expires at once; has no findings without Redis. */
export async function examineRedis(settings: Settings): Promise<readonly Finding[]> {
  return settings.redis === undefined ? [] : [await look(settings, parseRedisUrl(settings.redis)!)];
}

async function look(settings: Settings, address: RedisAddress): Promise<Finding> {
  const name = `Redis ${address.name}`;
  const { redisCa, redisPrefix, redisTimeout } = settings;
  let caCerts: string[];
  try {
    caCerts = redisCa === undefined ? [] : readCaCerts("--redis-ca", redisCa);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return { name, result: "failure", state: error.message, remedy: "a start would end with this" };
  }
  let connection: RedisConnection | undefined;
  try {
    connection = await RedisConnection.open({
      address,
      timeoutMs: redisTimeout,
      caCerts,
      onPush: () => {},
      onLost: () => {},
      onAnswer: () => {},
    }, new AbortController().signal);
    const startMs = performance.now();
    const key = `{${redisPrefix}}:doctor`;
    const answer = await connection.send(["SET", key, "", "PX", 1]);
    const ms = Math.ceil(performance.now() - startMs);
    if (answer instanceof RedisError) {
      const remedy = "look at what its user may do";
      return { name, result: "warning", state: answer.message.slice(0, 200), remedy };
    }
    const state = `it answers within ${ms} ms`;
    // Whether its user may know that or not, this is answered.
    const policy = await connection.send(["EVAL", POLICY.source, 1, key, Number.MAX_SAFE_INTEGER]);
    const evicts = Array.isArray(policy) ? policy[2] : "";
    if (typeof evicts !== "string" || evicts === "") return { name, result: "ok", state };
    return {
      name,
      result: "warning",
      state: `${state}, and evicts keys when its memory is full (maxmemory-policy ${evicts})`,
      remedy: "set its maxmemory-policy to noeviction",
    };
  } catch (error) {
    if (!(error instanceof RedisLost)) throw error;
    const remedy = settings.onRedisLoss === "refuse"
      ? "start it, or check --redis; until it is there no session is opened"
      : "start it, or check --redis; until it is there this node decides alone";
    return { name, result: "warning", state: (error as Error).message, remedy };
  } finally {
    connection?.close();
  }
}
