// The program with an issuer that is not there, and one that comes back.

import assert from "node:assert/strict";
import { makeKey, makeToken, toJwk } from "../auth/foreign.ts";
import { startServer } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

const KEY = makeKey("EdDSA");

/** An address that nobody listens on. */
function freeAddress(): Deno.NetAddr {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr as Deno.NetAddr;
}

Deno.test("without the issuer's keys nobody is invalid, nobody is banned, and nothing is ready", async () => {
  const { port: issuerPort } = freeAddress();
  await using program = startServer([
    "--no-echo",
    ...["--jwks-url", `http://127.0.0.1:${issuerPort}/keys`],
    ...["--admin-listen", "127.0.0.1:0", "--ban-after", "1", "--ban-loopback"],
  ]);
  const port = await program.port("secure");
  const [, admin] = await program.stdout.until(/Admin on (\S+)/);
  const ready = await fetch(new URL("/readyz", admin));
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /no key to judge tokens by/);

  const token = makeToken(KEY, undefined, { kid: "any" });
  for (let i = 0; i < 3; i++) {
    using client = await RawClient.connect({ port });
    await client.sendText(`${token}\n`);
    assert.equal(await client.nextText(), "Try Again Later");
    assert.equal((await client.nextClose()).code, 1013);
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: upgrade(token) });
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
    await response.body?.cancel();
  }

  const published = { keys: [toJwk(KEY.publicKey, { kid: "any" })] };
  await using _issuer = Deno.serve(
    { hostname: "127.0.0.1", port: issuerPort, onListen: () => {} },
    () => Response.json(published),
  );
  program.signal("SIGHUP");
  await program.logged(/keys\.reloaded/);
  const readyAgain = await fetch(new URL("/readyz", admin));
  await readyAgain.body?.cancel();
  assert.equal(readyAgain.status, 200);
  using client = await RawClient.connect({ port });
  await client.sendText(`${token}\r\n`);
  assert.equal(await client.nextText(), "Authenticated!");
  client.close();
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
});

function upgrade(token: string): Record<string, string> {
  return {
    authorization: `Bearer ${token}`,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
}
