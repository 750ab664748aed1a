// Redis executes commands that were given up while it stood still once it goes on. None of them may have an effect.

import assert from "node:assert/strict";
import { NO_REDIS, RedisServer } from "./redis_server.ts";
import { Node, token, until } from "./nodes.ts";

Deno.test({
  name:
    "20 sessions that are refused while Redis stands still leave nothing behind, and their tokens are good",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const flags = ["--replay-check", "--on-redis-loss", "refuse", "--max-sessions-per-user", "5"];
    flags.push("--redis-timeout", "500ms");
    await using a = new Node(redis.url, flags);
    await a.joined();
    const before = String(await redis.call("INFO", "commandstats"));
    redis.signal("SIGSTOP");
    const tokens = Array.from({ length: 20 }, (_, i) => token({ jti: `ghost ${i}`, user_id: `u${i % 5}` }));
    const logins = await Promise.all(tokens.map((text) => a.login(text)));
    assert.deepEqual(new Set(logins.map(({ answer }) => answer)), new Set(["Try Again Later"]));
    for (const { client } of logins) client.close();
    redis.signal("SIGCONT");
    await a.program.logged(/Redis can be used[^]*Redis can be used/);
    // They were executed all the same.
    const calls = (text: unknown) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(String(text))?.[1]);
    await until(
      "Redis has seen them",
      () => redis.call("INFO", "commandstats"),
      (text) => calls(text) >= calls(before) + 20,
    );
    assert.equal(await redis.call("ZCARD", "{wsward}:all"), 0);
    assert.deepEqual(await redis.call("KEYS", "{wsward}:[juso]:*"), []);
    for (const text of tokens.slice(0, 5)) {
      const { client, answer } = await a.login(text);
      assert.equal(answer, "Authenticated!");
      client.close();
    }
  },
});
