// Sessions on connections to an upstream server: how they end, which count, and a drain that ends them bit by bit.

import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { Front, makeUserToken, startForeign } from "./harness.ts";

const ADMIN = ["--admin-listen", "127.0.0.1:0"];

/** Asks the admin listener. */
async function admin(front: Front, method: string, path: string, body?: unknown): Promise<Response> {
  const [, url] = await front.program.printed(/Admin on (http:\S+?)\/?\n/);
  return await fetch(url + path, {
    method,
    headers: {
      Authorization: `Bearer ${makeUserToken({ user_id: "root", scope: "wsward:admin" })}`,
      "Content-Type": "application/json",
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function sessionsOf(front: Front): Promise<Record<string, unknown>[]> {
  const listed = await (await admin(front, "GET", "/sessions")).json();
  return Array.isArray(listed) ? listed : listed.sessions;
}

Deno.test("a session ends with its token: 3000 for the client, 1008 for the server, and no word between", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ["--clock-tolerance", "0s"]);
  // The time of the token begins when the program is there.
  await front.port();
  using client = await front.connect({}, makeUserToken({ exp: Math.ceil(Date.now() / 1000) + 2 }));
  assert.deepEqual(await client.nextClose(), { code: 3000, reason: "token expired" });
  await client.sendClose(3000);
  await client.eof();
  assert.deepEqual(await foreign.closed(), { code: 1008, reason: "token expired" });
  await front.program.logged(/session\.closed/);
});

Deno.test("sessions are listed with their messages, closed and revoked", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ADMIN);
  using client = await front.connect({}, makeUserToken({ jti: "one" }));
  await client.sendText("x");
  await client.nextText();
  const [session] = await sessionsOf(front);
  assert.equal(session!.user, "alice");
  assert.deepEqual([session!.messages_in, session!.messages_out], [1, 1]);
  assert.equal((await admin(front, "DELETE", `/sessions/${session!.id}`)).ok, true);
  assert.equal((await client.nextClose()).code, 1008);
  await client.sendClose(1008);
  assert.equal((await foreign.closed()).code, 1008);

  using other = await front.connect({}, makeUserToken({ jti: "two" }));
  const revoked = await admin(front, "POST", "/revocations", {
    kind: "user",
    value: "alice",
    ttl_seconds: 60,
  });
  assert.equal(revoked.ok, true, await revoked.text());
  assert.deepEqual(await other.nextClose(), { code: 3000, reason: "token revoked" });
  await other.sendClose(3000);
  assert.equal((await foreign.closed()).code, 1008);
  assert.equal((await front.ask({}, makeUserToken({ jti: "three" }))).status, 401);
  assert.equal(foreign.requests.length, 2, "and nothing is dialled for it");
  assert.deepEqual(await sessionsOf(front), []);
});

Deno.test("the limit of sessions comes before the dial, and a failed dial gives the place back", async () => {
  const foreign = await startForeign();
  await using front = new Front([foreign.url], ["--max-sessions-per-user", "1"]);
  using client = await front.connect();
  assert.equal((await front.ask()).status, 403);
  assert.equal(foreign.requests.length, 1);
  await client.sendClose(1000);
  await foreign.closed();
  await client.eof();
  await front.program.logged(/session\.closed/);
  await foreign[Symbol.asyncDispose]();
  for (let i = 0; i < 3; i++) assert.equal((await front.ask()).status, 502);
});

/** A server that refuses whoever asks for /no. */
const CHOOSY = { options: { verifyClient: ({ req }: { req: { url: string } }) => req.url !== "/no" } };

Deno.test("a dial that fails sends no older session away, and one that does not does", async () => {
  await using foreign = await startForeign(CHOOSY);
  await using front = new Front([foreign.url], [
    "--max-sessions-per-user",
    "2",
    "--on-session-limit",
    "close-oldest",
  ]);
  using first = await front.connect();
  using second = await front.connect();
  for (let i = 0; i < 3; i++) assert.equal((await front.ask({ target: "/no" })).status, 401);
  for (const client of [first, second]) {
    await client.sendText("still here");
    assert.equal(await client.nextText(), "still here");
  }
  using third = await front.connect();
  assert.deepEqual(await first.nextClose(), { code: 3003, reason: "too many sessions" });
  for (const client of [second, third]) {
    await client.sendText("still here");
    assert.equal(await client.nextText(), "still here");
    client.close();
  }
  first.close();
});

Deno.test("with close-oldest no user waits for more servers at once than it may have sessions", async () => {
  const asked = Promise.withResolvers<(is: boolean) => void>();
  await using foreign = await startForeign({
    options: { verifyClient: (_: unknown, decide: (is: boolean) => void) => asked.resolve(decide) },
  });
  await using front = new Front([foreign.url], [
    "--max-sessions-per-user",
    "1",
    "--on-session-limit",
    "close-oldest",
  ]);
  const waiting = front.connect();
  const decide = await asked.promise;
  assert.equal((await front.ask()).status, 403);
  decide(true);
  using client = await waiting;
  client.close();
});

Deno.test("a dial that fails leaves the token as it was, also in the state file", async () => {
  await using foreign = await startForeign(CHOOSY);
  await using front = new Front([foreign.url], ["--replay-check", "--state-file", "state.db"]);
  const token = makeUserToken({ jti: "once" });
  // Again as soon as there is an answer, while the connection of the first attempt is still there.
  using first = await RawClient.open({ port: await front.port() });
  using second = await RawClient.open({ port: await front.port() });
  for (const client of [first, second]) {
    const handshake = { target: "/no", headers: { Authorization: `Bearer ${token}` } };
    const { headers } = await client.handshake(handshake);
    assert.equal(headers.get("content-length"), String("Unauthorized".length), "what the server said");
    client.close();
  }
  front.program.signal("SIGTERM");
  assert.equal((await front.program.result()).code, 0);

  await using again = new Front(
    [foreign.url],
    ["--replay-check", "--state-file", `${front.folder}/state.db`],
    {
      permissions: [`--allow-read=${front.folder}`, `--allow-write=${front.folder}`],
    },
  );
  using client = await again.connect({}, token);
  client.close();
  const { status, body } = await again.ask({}, token);
  assert.deepEqual([status, body], [401, "Token Already Used\n"]);
});

Deno.test("nor is a token spent that came as the first message", async () => {
  await using foreign = await startForeign(CHOOSY);
  await using front = new Front([foreign.url], ["--replay-check"]);
  const port = await front.port();
  const token = makeUserToken({ jti: "once" });
  const present = async (target: string) => {
    const client = await RawClient.connect({ port }, { target });
    await client.sendText(token);
    return client;
  };
  using failed = await present("/no");
  assert.deepEqual(await failed.nextClose(), { code: 1011, reason: "the upstream refused" });
  // The first connection is still there.
  using client = await present("/");
  assert.equal(await client.nextText(), "Authenticated!");
  using again = await present("/");
  assert.equal(await again.nextText(), "Token Already Used");
  for (const one of [failed, client, again]) one.close();
});

Deno.test("who is gone while the server is asked is gone for the server too", async () => {
  const asked = Promise.withResolvers<() => void>();
  await using foreign = await startForeign({
    options: {
      verifyClient: (_: unknown, decide: (is: boolean) => void) => asked.resolve(() => decide(true)),
    },
  });
  await using front = new Front([foreign.url], [
    ...ADMIN,
    ...["--upstream-timeout", "50s", "--handshake-timeout", "1m"],
  ]);
  const client = await RawClient.open({ port: await front.port() });
  await client.send(
    `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${makeUserToken()}\r\n\r\n`,
  );
  const decide = await asked.promise;
  const [session] = await sessionsOf(front);
  assert.ok(
    (await admin(front, "DELETE", `/sessions/${session!.id}`)).ok,
    "it is there before the answer is",
  );
  assert.equal((await client.readHead()).status, 403, "at once, and not when the server has answered");
  decide();
  client.close();
  assert.deepEqual(await sessionsOf(front), []);
});

Deno.test("a drain tells one after the other", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], [
    ...["--drain-timeout", "2s", "--max-sessions-per-user", "unlimited", "--handshake-rate", "unlimited"],
  ]);
  const clients = await Promise.all(Array.from({ length: 50 }, () => front.connect()));
  const startedMs = performance.now();
  front.program.signal("SIGTERM");
  const times = await Promise.all(clients.map(async (client) => {
    assert.equal((await client.nextClose()).code, 1001);
    const atMs = performance.now() - startedMs;
    await client.sendClose(1001);
    client.close();
    return atMs;
  }));
  const spreadMs = Math.max(...times) - Math.min(...times);
  assert.ok(spreadMs >= 350, `all within ${spreadMs} ms`);
  assert.equal((await front.program.result()).code, 0);
  assert.ok(foreign.closes.every(({ code }) => code === 1001));
});

Deno.test("a drain does not wait for a server that does not answer", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using front = new Front([`ws://127.0.0.1:${silent.addr.port}`], [
    ...["--drain-timeout", "300ms", "--upstream-timeout", "50s", "--handshake-timeout", "1m"],
  ]);
  using client = await RawClient.open({ port: await front.port() });
  const answer = client.handshake({ headers: { Authorization: `Bearer ${makeUserToken()}` } }).catch(() =>
    undefined
  );
  const conn = await silent.accept();
  const startedMs = performance.now();
  front.program.signal("SIGTERM");
  assert.equal((await front.program.result()).code, 0);
  assert.ok(performance.now() - startedMs < 5000);
  await answer;
  conn.close();
});
