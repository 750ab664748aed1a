// The doctor checks an upstream server: there or not, with right or wrong TLS, and what it answers.

import assert from "node:assert/strict";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { examineUpstreams } from "../../src/cli/commands/doctor_upstream.ts";
import { run } from "../support/process.ts";
import { startForeign } from "./harness.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

async function look(url: string, given: Readonly<Partial<Record<SettingName, GivenValue>>> = {}) {
  const all = Object.entries({ upstream: [url], ...given }) as [SettingName, GivenValue][];
  const [finding] = await examineUpstreams(parseSettings(new Map(all), () => undefined));
  assert.equal(
    finding!.remedy === undefined,
    finding!.result === "ok",
    "a remedy where it is needed, and only there",
  );
  return finding!;
}

Deno.test("a server that accepts is well, is asked for the path that clients may ask for, and is told of the end", async () => {
  await using foreign = await startForeign();
  const finding = await look(foreign.url, { upstreamPath: ["/chat/*"], upstreamHost: "ws.example.com" });
  assert.deepEqual(finding, {
    name: `upstream ${foreign.url}`,
    result: "ok",
    state: "it accepts a handshake for /chat/",
  });
  const { url, headers } = foreign.requests[0]!;
  assert.deepEqual([url, headers.host, headers["x-forwarded-user"]], ["/chat/", "ws.example.com", undefined]);
  assert.equal((await foreign.closed()).code, 1001);
});

Deno.test("over a Unix socket, and one that is not there", async () => {
  const folder = Deno.makeTempDirSync();
  {
    await using foreign = await startForeign({ listen: `${folder}/ws.sock` });
    assert.equal((await look(foreign.url)).result, "ok");
  }
  const { result, remedy } = await look(`unix://${folder}/none.sock`);
  assert.deepEqual([result, remedy], [
    "warning",
    "start it, or check --upstream; until it is there clients get 502",
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what answers something else, nothing, or no WebSocket is a warning", async () => {
  let status = 401;
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response("x", { status }),
  );
  const url = `ws://127.0.0.1:${server.addr.port}`;
  assert.match((await look(url)).state, /^it answers with status 401 for \/$/);
  status = 200;
  assert.match((await look(url)).state, /^its answer is 200, and must be 101$/);
  await server.shutdown();
  assert.match((await look(url)).state, /refused/i);
  using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const asked = silent.accept();
  const finding = await look(`ws://127.0.0.1:${silent.addr.port}`, { upstreamTimeout: "200ms" });
  assert.deepEqual([finding.result, finding.state], [
    "warning",
    "it is there, but does not answer a handshake",
  ]);
  (await asked).close();
});

Deno.test("TLS: an unknown authority, the wrong name, a file that is not there, and all as it should be", async () => {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: Deno.readTextFileSync(`${FIXTURES}server.pem`),
    key: Deno.readTextFileSync(`${FIXTURES}server.key.pem`),
    onListen: () => {},
  }, (request) => Deno.upgradeWebSocket(request).response);
  const url = `wss://localhost:${server.addr.port}`;
  const upstreamCa = `${FIXTURES}server.pem`;
  const tls = "check its certificate, --upstream-ca and --upstream-server-name";
  assert.equal((await look(url)).remedy, tls);
  assert.equal((await look(url, { upstreamCa, upstreamServerName: "other.example" })).remedy, tls);
  assert.equal((await look(url, { upstreamCa: "/nowhere.pem" })).result, "failure");
  assert.equal((await look(url, { upstreamCa })).result, "ok");
  await server.shutdown();
});

Deno.test("the command shows it, and a server that is not there does not fail a start", async () => {
  const folder = Deno.makeTempDirSync();
  const { code, stdout } = await run(["doctor", "--secure-port", "0", "--upstream", "ws://127.0.0.1:1"], {
    folder,
    permissions: ["--allow-net=127.0.0.1"],
  });
  assert.equal(code, 0, stdout);
  assert.match(
    stdout,
    /^warning {2}upstream ws:\/\/127\.0\.0\.1:1: .*\n {9}start it, or check --upstream/m,
  );
  await Deno.remove(folder, { recursive: true });
});
