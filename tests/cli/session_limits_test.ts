// What a session of the whole program may send, and what it is sent, on the wire.
import assert from "node:assert/strict";
import { run, startServer } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

Deno.test("the limit of a session's messages, ids digit by digit, and a stranger's header that collides", async () => {
  await using program = startServer(["--no-echo", "--max-rpc-message-size", "16KiB"]);
  const port = await program.port("secure");
  const { stdout } = await run(["token", "create", "--user", "Zoe\u0308"], { folder: program.folder });
  const headers = { "Authorization": `Bearer ${stdout.trim()}`, "Sec-WebSocket-Protocol": "wsward.v1" };
  using client = await RawClient.connect({ port }, { headers });
  assert.equal(await client.nextText(), "Authenticated!");
  const request = '{"jsonrpc":"2.0","id":9007199254740993,"method":"whoami"}';
  await client.sendText(request.padEnd(16_384));
  const reply = await client.nextText();
  assert.match(reply, /"user":"Zoë".*,"id":9007199254740993\}$/);
  await client.sendText(request.padEnd(16_385));
  assert.match(await client.nextText(), /"code":-32600,.*at most 16384 bytes/);

  const strings = Array.from({ length: 440 }, (_, i) => String(7000 + i * 32_768));
  const header = btoa(JSON.stringify({ alg: "HS256", x: strings })).replaceAll("=", "");
  using stranger = await RawClient.connect({ port });
  await stranger.sendText(`${header}.e30.AAAA`);
  assert.equal(await stranger.nextText(), "Invalid Token");
  assert.deepEqual(await stranger.nextClose(), { code: 3000, reason: "invalid token" });
});

// So few that none becomes free while a slow machine answers.
for (const [rate, isTooMany] of [[1, true], [2, false], [3, false]] as const) {
  Deno.test(`a batch of two with --message-rate ${rate}/s is ${isTooMany ? "too many" : "answered"}`, async () => {
    const flags = ["--message-rate", `${rate}/s`, "--on-rate-limit", "close"];
    await using program = startServer(["--no-echo", ...flags]);
    const port = await program.port("secure");
    const { stdout } = await run(["token", "create", "--user", "zoe"], { folder: program.folder });
    const headers = { "Authorization": `Bearer ${stdout.trim()}`, "Sec-WebSocket-Protocol": "wsward.v1" };
    using client = await RawClient.connect({ port }, { headers });
    assert.equal(await client.nextText(), "Authenticated!");
    const requests = Array.from({ length: 2 }, (_, id) => ({ jsonrpc: "2.0", id, method: "whoami" }));
    await client.sendText(JSON.stringify(requests));
    if (isTooMany) {
      assert.deepEqual(await client.nextClose(), { code: 1008, reason: "more than 1 a second" });
    } else assert.equal(JSON.parse(await client.nextText()).length, 2);
  });
}
