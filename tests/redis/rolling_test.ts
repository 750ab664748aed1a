// A rolling update: a new version on one node after the other, while users are connected through HAProxy.

import assert from "node:assert/strict";
import { findProgram } from "../support/deploy.ts";
import { OPCODE, RawClient } from "../support/raw_client.ts";
import { Node, token, until } from "./nodes.ts";
import { NO_REDIS, privatePort, RedisServer } from "./redis_server.ts";

const haproxy = findProgram("haproxy");
const where = haproxy === undefined ? " (skipped: HAProxy is not installed)" : "";

const USERS = 30;

/** One who is connected all the time, and sends without a pause. */
class User {
  readonly refusals: string[] = [];
  messages = 0;
  logins = 0;
  /** The longest time without a session, in milliseconds. */
  longestGapMs = 0;
  isOver = false;
  readonly #token: string;
  readonly ended: Promise<void>;

  constructor(index: number, port: number) {
    this.#token = token({ user_id: `user ${index}` });
    this.ended = this.#run(port);
  }

  async #run(port: number): Promise<void> {
    let lostMs = performance.now();
    while (!this.isOver) {
      try {
        using client = await RawClient.connect({ port });
        await client.sendText(this.#token);
        const answer = await client.nextText();
        if (answer !== "Authenticated!") {
          this.refusals.push(answer);
          continue;
        }
        if (this.logins++ > 0) this.longestGapMs = Math.max(this.longestGapMs, performance.now() - lostMs);
        await this.#talk(client);
        lostMs = performance.now();
      } catch (error) {
        // Whatever is wrong with a connection, it is made again.
        if (!(error instanceof Error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  async #talk(client: RawClient): Promise<void> {
    while (!this.isOver) {
      await client.sendText(`message ${this.messages}`);
      const { opcode } = await client.nextFrame();
      if (opcode === OPCODE.close) return client.close();
      this.messages++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    client.close();
  }
}

async function startHaproxy(
  folder: string,
  ports: readonly number[],
): Promise<{ port: number; child: Deno.ChildProcess }> {
  const port = privatePort();
  const servers = ports.map((one, i) => `  server node${i} 127.0.0.1:${one} check inter 100ms fall 1 rise 1`)
    .join("\n");
  await Deno.writeTextFile(
    `${folder}/haproxy.cfg`,
    `defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
  retries 5
  option redispatch 1
frontend public
  bind 127.0.0.1:${port}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /healthz
${servers}
`,
  );
  const child = new Deno.Command(haproxy!, {
    args: ["-f", `${folder}/haproxy.cfg`, "-db"],
    stdout: "null",
    stderr: "null",
  })
    .spawn();
  await until("HAProxy listens", async () => {
    try {
      (await Deno.connect({ port })).close();
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      return false;
    }
  }, Boolean);
  return { port, child };
}

Deno.test({
  name:
    `every node is replaced while all users are at work: nobody is refused for his own old session${where}`,
  ignore: NO_REDIS || haproxy === undefined,
  async fn() {
    await using redis = await RedisServer.start();
    const folder = await Deno.makeTempDir();
    const ports = [privatePort(), privatePort()];
    const start = (i: number) =>
      new Node(redis.url, [
        ...["--no-admin", "--secure-port", String(ports[i]), "--max-sessions-per-user", "1"],
        ...["--health-path", "/healthz", "--node-name", `node${i}`, "--ban-after", "off"],
      ]).joined();
    const nodes = [await start(0), await start(1)];
    const { port, child } = await startHaproxy(folder, ports);
    const users = Array.from({ length: USERS }, (_, i) => new User(i, port));
    await until("all are there", () => redis.call("ZCARD", "{wsward}:all"), (count) => count === USERS);
    for (const i of [0, 1, 0]) {
      nodes[i]!.program.signal("SIGTERM");
      assert.equal((await nodes[i]!.program.result()).code, 0);
      await nodes[i]![Symbol.asyncDispose]();
      await until(
        "all are on the other node",
        () => redis.call("ZCARD", "{wsward}:all"),
        (count) => count === USERS,
      );
      nodes[i] = await start(i);
      // As long as HAProxy needs to see that it is back.
      await until("it is used again", async () => {
        const before = users.reduce((sum, { messages }) => sum + messages, 0);
        await new Promise((resolve) => setTimeout(resolve, 300));
        return users.reduce((sum, { messages }) => sum + messages, 0) - before;
      }, (messages) => messages > 0);
    }
    for (const user of users) user.isOver = true;
    await Promise.all(users.map(({ ended }) => ended));
    const refusals = users.flatMap((user) => user.refusals);
    assert.deepEqual(refusals.filter((text) => text === "Too Many Sessions"), []);
    assert.ok(users.every(({ messages, logins }) => messages > 0 && logins <= 10));
    assert.ok(Math.max(...users.map(({ longestGapMs }) => longestGapMs)) < 10_000);
    child.kill("SIGKILL");
    await child.status;
    for (const node of nodes) await node[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  },
});
