// Races between nodes as processes: the limit of sessions, and a token that may be used once.

import assert from "node:assert/strict";
import { NO_REDIS, RedisServer } from "./redis_server.ts";
import { Node, token } from "./nodes.ts";

Deno.test({
  name: "300 racers from three nodes at a limit of 10 are exactly 10",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    await using a = new Node(redis.url);
    await using b = new Node(redis.url);
    await using c = new Node(redis.url);
    const nodes = [a, b, c];
    for (const node of nodes) await node.joined();
    const logins = await Promise.all(Array.from({ length: 300 }, (_, i) => nodes[i % 3]!.login(token())));
    const answers = logins.map(({ answer }) => answer);
    assert.equal(answers.filter((answer) => answer === "Authenticated!").length, 10);
    assert.equal(answers.filter((answer) => answer === "Too Many Sessions").length, 290);
    for (const { client } of logins) client.close();
  },
});

Deno.test({
  name: "a token that is used on three nodes in the same instant opens exactly one session",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    await using a = new Node(redis.url, ["--replay-check", "--max-sessions-per-user", "unlimited"]);
    await using b = new Node(redis.url, ["--replay-check", "--max-sessions-per-user", "unlimited"]);
    const nodes = [a, b];
    for (const node of nodes) await node.joined();
    for (let round = 0; round < 20; round++) {
      const text = token({ jti: `once-${round}` });
      const logins = await Promise.all(Array.from({ length: 6 }, (_, i) => nodes[i % 2]!.login(text)));
      assert.deepEqual(
        logins.map(({ answer }) => answer).filter((answer) => answer === "Authenticated!").length,
        1,
      );
      for (const { client } of logins) client.close();
    }
  },
});
