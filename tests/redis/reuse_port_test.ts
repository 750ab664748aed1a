// Several processes on the same ports.

import assert from "node:assert/strict";
import { Program } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { privatePort } from "./redis_server.ts";

const ignore = Deno.build.os !== "linux";

function start(
  port: number,
  flags: readonly string[] = ["--reuse-port"],
  env: Record<string, string> = {},
): Program {
  return new Program([
    "serve",
    "--no-secure",
    "--echo-port",
    String(port),
    "--max-connections-per-ip",
    "unlimited",
    "--handshake-rate",
    "unlimited",
    ...flags,
  ], { env });
}

async function echoes(client: RawClient): Promise<void> {
  await client.sendText("x");
  assert.equal(await client.nextText(), "Server received: x");
}

Deno.test({
  name:
    "Linux divides connections among two processes; one that stops leaves the other everything that comes",
  ignore,
  async fn() {
    const port = privatePort();
    await using one = start(port, ["--reuse-port", "--drain-timeout", "100ms"]);
    await using two = start(port);
    await one.port("echo");
    await two.port("echo");
    const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.connect({ port })));
    await Promise.all(clients.map(echoes));
    one.signal("SIGTERM");
    assert.equal((await one.result()).code, 0);
    const counts = { closed: 0, open: 0 };
    for (const client of clients) {
      await client.sendText("x").catch(() => {});
      const { opcode } = await client.nextFrame();
      if (opcode === 8) counts.closed++;
      else counts.open++;
      client.close();
    }
    // By chance, but that one gets less than a fifth is less likely than a machine that breaks.
    assert.ok(Math.min(counts.closed, counts.open) >= 40, JSON.stringify(counts));
    for (let i = 0; i < 20; i++) {
      using client = await RawClient.connect({ port });
      await echoes(client);
      client.close();
    }
  },
});

Deno.test({
  name: "without --reuse-port, a second process is refused",
  ignore,
  async fn() {
    const port = privatePort();
    await using one = start(port, []);
    await one.port("echo");
    await using two = start(port);
    const { code, stderr } = await two.result();
    assert.equal(code, 1);
    assert.match(stderr, /the address is in use/);
  },
});

Deno.test({
  name: "it warns where Linux resets the connections that wait for a process which ends",
  ignore,
  async fn() {
    for (const [value, isWarned] of [["0", true], ["1", false], ["unknown", false]] as const) {
      await using program = start(0, ["--reuse-port"], { WSWARD_TCP_MIGRATE_REQ: value });
      await program.port("echo");
      program.signal("SIGTERM");
      const { stderr } = await program.result();
      assert.equal(/tcp_migrate_req=1/.test(stderr), isWarned, value);
    }
    await using other = start(0, [], { WSWARD_TCP_MIGRATE_REQ: "0" });
    await other.port("echo");
    other.signal("SIGTERM");
    assert.doesNotMatch((await other.result()).stderr, /tcp_migrate_req/);
  },
});
