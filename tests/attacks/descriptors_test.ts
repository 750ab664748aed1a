// File descriptors run out: peers that hold sockets without a request lose them, and nobody else notices.

import assert from "node:assert/strict";
import { openFrom } from "../support/bound_socket.ts";
import { type Program, startServer } from "../support/process.ts";
import { RawClient, requestHead } from "../support/raw_client.ts";

/** What a server without administrators needs for itself, and a connection. */
const OWN = 64;
const EACH = 3;
/** More than there are descriptors. */
const HALF_HEADS = 150;

const FLAGS = ["--no-secure", "--host=::", "--allow-host=localhost", "--handshake-rate=unlimited"];

/** Starts a server that may have so many descriptors and, if `isTold`, knows it. */
function startWith(maxDescriptors: number, isTold: boolean, flags: readonly string[] = []): Program {
  const env = { WSWARD_OPEN_FILES: isTold ? String(maxDescriptors) : "" };
  return startServer([...FLAGS, ...flags], { maxDescriptors, env });
}

async function statusOf(hostname: string, port: number): Promise<number> {
  using client = await RawClient.open({ hostname, port });
  return (await client.handshake()).status;
}

async function stop(program: Program): Promise<string> {
  program.signal("SIGTERM");
  const { code, stderr } = await program.result();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /process\.unhandled|connection\.fault|endpoint\./);
  return stderr;
}

for (const spare of [EACH - 1, 0]) {
  const places = spare === 0 ? 4 : 3;
  Deno.test(`${OWN + 4 * EACH - spare} descriptors are ${places} places: the last is given, the next is refused`, async () => {
    await using program = startWith(OWN + 4 * EACH - spare, true);
    const port = await program.port("echo");
    await program.atRest("echo");
    const clients: RawClient[] = [];
    const most = places - 1;
    for (const address of ["127.0.0.2", "127.0.0.3"]) {
      for (let i = 0; i < most && clients.length < places; i++) {
        const client = await openFrom(address, port);
        assert.equal((await client.handshake()).status, 101);
        clients.push(client);
      }
      if (clients.length === places) break;
      // No client has all of them.
      using another = await openFrom(address, port);
      assert.equal((await another.handshake()).status, 429);
    }
    assert.equal(await statusOf("::1", port), 503);
    for (const client of clients) {
      await client.sendText("still here");
      assert.equal(await client.nextText(), "Server received: still here");
    }
    clients.pop()!.close();
    await program.logged(/connection\.closed/);
    while (await statusOf("::1", port) !== 101);
    for (const client of clients) client.close();
    const log = await stop(program);
    assert.match(log, /rule=max_connections .*limit=\d/);
    assert.doesNotMatch(log, /accept_failed/);
  });
}

for (const isTold of [true, false]) {
  Deno.test(`half heads take no place of anybody, with a limit that is ${isTold ? "" : "not "}known`, async () => {
    const limit = OWN + 8 * EACH;
    await using program = startWith(limit, isTold, isTold ? [] : ["--max-connections-per-ip=unlimited"]);
    const port = await program.port("echo");
    await program.atRest("echo");
    using before = await RawClient.connect({ hostname: "::1", port });
    const halves: RawClient[] = [];
    for (let i = 0; i < HALF_HEADS; i++) {
      const half = await RawClient.open({ port });
      halves.push(half);
      await half.send(requestHead().slice(0, 40)).catch(() => {});
      // From another address and from the same.
      if (i % 10 === 9) {
        assert.equal(await statusOf("::1", port), 101, `after ${i + 1}`);
        assert.equal(await statusOf("127.0.0.1", port), 101, `after ${i + 1}`);
      }
    }
    // Who was let go knows why.
    assert.equal((await halves[0]!.readHead()).status, 503);
    await before.sendText("and now");
    assert.equal(await before.nextText(), "Server received: and now");
    for (const half of halves) half.close();
    before.close();
    const log = await stop(program);
    assert.match(log, /rule=max_connections/);
    if (isTold) assert.doesNotMatch(log, /accept_failed/);
  });
}

Deno.test("who is refused and does not leave has no place that another needs", async () => {
  await using program = startWith(OWN + 4 * EACH, true);
  const port = await program.port("echo");
  await program.atRest("echo");
  const lingering: RawClient[] = [];
  for (let i = 0; i < 40; i++) {
    const client = await RawClient.open({ port });
    lingering.push(client);
    await client.handshake({ target: "/nowhere" });
    if (i % 4 === 3) assert.equal(await statusOf("::1", port), 101, `after ${i + 1}`);
  }
  for (const client of lingering) client.close();
  assert.doesNotMatch(await stop(program), /accept_failed/);
});
