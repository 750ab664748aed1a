// The admin listener and its commands as processes: what an operator does to a running server, and what peers notice.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { run } from "../support/process.ts";
import { frame, OPCODE, RawClient } from "../support/raw_client.ts";
import {
  admin,
  fail,
  metrics,
  mint,
  openSession,
  startAdministered,
  stop,
  succeed,
  urlOf,
} from "./admin_harness.ts";

Deno.test("health succeeds while the server is alive, and with --ready while it takes connections", async () => {
  await using program = startAdministered(["--drain-timeout", "1m"]);
  using client = await RawClient.connect({ port: await program.port("echo") });
  assert.equal(await succeed(program, "health"), "Alive\n");
  assert.equal(await succeed(program, "health", "--ready"), "Ready\n");
  program.signal("SIGTERM");
  await program.logged(/server\.draining/);
  assert.equal(await succeed(program, "health"), "Alive\n");
  assert.equal(await fail(program, "health", "--ready"), "Cannot call the server ready: draining\n");
  await client.nextClose();
  await client.sendClose(1001);
  assert.equal((await program.result()).code, 0);
  assert.match(await fail(program, "health"), /^Cannot reach the server at .*: nothing listens there/);
});

Deno.test("health fails where somebody else answers, and at an address that is not this machine's", async () => {
  await using program = startAdministered();
  await program.port("secure");
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("", { status: 404 }),
  );
  const url = `http://127.0.0.1:${other.addr.port}`;
  assert.equal(
    await fail(program, "health", "--url", url),
    "Cannot call the server alive: the answer was 404\n",
  );
  assert.equal((await admin(program, "health", "--url", "http://192.0.2.1:9090")).code, 2);
  await other.shutdown();
  await stop(program);
});

for (
  const address of [
    "0.0.0.0:9090",
    "192.0.2.1:9090",
    "[::]:9090",
    "localhost:9090",
    "127.0.0.1",
    "127.0.0.1:65536",
    "127.0.0.256:1",
  ]
) {
  Deno.test(`does not administer on ${address}, and says why`, async () => {
    const { code, stderr } = await run(["serve", "--admin-listen", address]);
    assert.equal(code, 2);
    assert.match(stderr, /--admin-listen .* a loopback address and a port, .* because it speaks no TLS/);
  });
}

Deno.test("says where it administers, after the endpoints, and is ready", async () => {
  await using program = startAdministered();
  const url = await urlOf(program);
  assert.match(program.stdout.text, /^(Listening on .*\n){2}Admin on http:\/\/127\.0\.0\.1:\d+\/\n$/);
  const ready = await fetch(`${url}readyz`);
  assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, problems: [] }]);
  await stop(program);
});

Deno.test("a handshake with a bad token makes one record, and is counted", async () => {
  await using program = startAdministered();
  using client = await RawClient.open({ port: await program.port("secure") });
  const { status } = await client.handshake({ headers: { Authorization: "Bearer nonsense" } });
  assert.equal(status, 401);
  const token = await mint(program, "--user", "op", "--claim", "scope=wsward:admin");
  const headers = { authorization: `Bearer ${token}` };
  const { events } = await (await fetch(`${await urlOf(program)}events`, { headers })).json();
  const refusals = events.filter(({ status }: { status?: number }) => status === 401);
  assert.deepEqual(refusals.map(({ event }: { event: string }) => event), ["session.refused"]);
  assert.match(await metrics(program), /refused",reason="endpoint"\} 1$/m);
  await stop(program);
});

Deno.test("lets in who has the word of --admin-scope, and not who has the usual one", async () => {
  await using program = startAdministered(["--admin-scope", "operate"]);
  const url = await urlOf(program);
  const statusOf = async (scope: string) => {
    const token = await mint(program, "--user", "op", "--claim", `scope=${scope}`);
    const response = await fetch(`${url}sessions`, { headers: { authorization: `Bearer ${token}` } });
    await response.body?.cancel();
    return response.status;
  };
  assert.deepEqual([await statusOf("operate"), await statusOf("wsward:admin")], [200, 403]);
  await stop(program);
});

Deno.test("an address that is taken ends the start with one line", async () => {
  await using program = startAdministered();
  const { host } = new URL(await urlOf(program));
  const { code, stderr } = await run([
    "serve",
    "--echo-port",
    "0",
    "--secure-port",
    "0",
    "--admin-listen",
    host,
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot listen on "127\.0\.0\.1:\d+" for administrators: the address is in use\n$/);
  await stop(program);
});

Deno.test("counts exactly what has happened", async () => {
  await using program = startAdministered();
  const port = await program.port("echo");
  using client = await RawClient.connect({ port });
  for (const size of [1, 5, 300]) {
    await client.sendText("x".repeat(size));
    assert.equal((await client.nextText()).length, size + "Server received: ".length);
  }
  using violator = await RawClient.connect({ port });
  await violator.send(frame({ opcode: OPCODE.text, payload: "x", mask: false }));
  assert.equal((await violator.nextClose()).code, 1002);
  await violator.sendClose(1002);
  await violator.eof();
  violator.close();
  using stranger = await RawClient.open({ port });
  assert.equal((await stranger.handshake({ headers: { Origin: "http://evil.example" } })).status, 403);
  await program.logged(/connection\.closed .*code=1002/);
  using wrong = await RawClient.connect({ port: await program.port("secure") });
  await wrong.sendText("x");
  assert.equal(await wrong.nextText(), "Invalid Token");

  const text = await metrics(program);
  for (
    const line of [
      'wsward_connections_open{endpoint="echo"} 1',
      'wsward_connections_total{endpoint="echo"} 2',
      'wsward_sockets_accepted_total{endpoint="echo"} 3',
      'wsward_handshakes_total{endpoint="echo",result="accepted",reason=""} 2',
      'wsward_handshakes_total{endpoint="echo",result="refused",reason="origin"} 1',
      'wsward_messages_total{endpoint="echo",direction="in"} 3',
      'wsward_messages_total{endpoint="echo",direction="out"} 3',
      'wsward_message_size_bytes_bucket{endpoint="echo",direction="in",le="1"} 1',
      'wsward_message_size_bytes_bucket{endpoint="echo",direction="in",le="16"} 2',
      'wsward_message_size_bytes_bucket{endpoint="echo",direction="in",le="1024"} 3',
      'wsward_message_size_bytes_sum{endpoint="echo",direction="in"} 306',
      `wsward_message_size_bytes_sum{endpoint="echo",direction="out"} ${306 + 3 * 17}`,
      'wsward_closes_total{endpoint="echo",code="1002"} 1',
      'wsward_violations_total{endpoint="echo",rule="masking"} 1',
      'wsward_connection_duration_seconds_count{endpoint="echo"} 1',
      'wsward_authentications_total{result="invalid"} 1',
      "wsward_token_verification_seconds_count 1",
      "wsward_bans_total 0",
      "wsward_sessions_open 0",
      "wsward_ready 1",
      `wsward_build_info{version="${config.version}",deno="${Deno.version.deno}"} 1`,
    ]
  ) {
    assert.ok(text.includes(`\n${line}\n`), `${line} is missing in ${text}`);
  }
  // Three masked frames of 1, 5 and 300 bytes, and the violation; what follows that is thrown away unread.
  const bytesIn = Number(/wsward_bytes_total\{endpoint="echo",direction="in"\} (\d+)/.exec(text)?.[1]);
  assert.equal(bytesIn, 7 + 11 + 308 + 3);
  assert.match(text, /^wsward_event_loop_lag_seconds \d/m);
  assert.match(text, /^process_resident_memory_bytes [1-9]\d{6,}$/m);
  assert.match(text, /^wsward_log_records_total\{level="warning"\} [1-9]/m);
  client.close();
  wrong.close();
  await stop(program);
});

Deno.test("shows sessions, closes one, and revokes a user: each peer sees it", async () => {
  await using program = startAdministered();
  assert.equal(await succeed(program, "sessions"), "No session is open\n");
  assert.equal(await succeed(program, "sessions", "list"), "No session is open\n");
  using alice = await openSession(program, "alice");
  using bob = await openSession(program, "bob");
  const table = await succeed(program, "sessions");
  assert.match(table, /^ID +USER +ADDRESS +SINCE +UNTIL +IN +OUT\n/);
  assert.match(table, /\n[\w-]{36} +alice +127\.0\.0\.1 /);
  const { sessions } = JSON.parse(await succeed(program, "sessions", "--json"));
  assert.deepEqual(sessions.map(({ user }: { user: string }) => user), ["alice", "bob"]);

  assert.equal(await succeed(program, "sessions", "close", sessions[0].id), "Closed\n");
  assert.deepEqual(await alice.nextClose(), { code: 1008, reason: "closed by an administrator" });
  assert.match(await fail(program, "sessions", "close", sessions[0].id), /\(404\): no open session/);

  assert.match(await succeed(program, "revoke", "--user", "bob", "--for", "1h"), /^Revoked user bob until 2/);
  assert.equal(await bob.nextText(), "Token Revoked");
  assert.deepEqual(await bob.nextClose(), { code: 3000, reason: "token revoked" });
  assert.equal(await succeed(program, "sessions"), "No session is open\n");
  assert.match(await metrics(program), /^wsward_authentications_total\{result="ok"\} 2$/m);
  assert.match(await program.logged(/admin\.changed .*/), /user=wsward-command/);
  alice.close();
  bob.close();
  await stop(program);
});

Deno.test("an administrator whose own token is revoked is out at once", async () => {
  await using program = startAdministered();
  await program.port("secure");
  const token = await mint(program, "--user", "root", "--claim", "scope=read wsward:admin");
  const file = `${program.folder}/admin.token`;
  await Deno.writeTextFile(file, `${token}\n`);
  assert.equal(await succeed(program, "bans", "--token-file", "admin.token"), "No address is banned\n");
  await succeed(program, "revoke", "--user", "root", "--token-file", "admin.token");
  assert.match(await fail(program, "bans", "--token-file", "admin.token"), /\(401\): .* it is revoked/);
  await Deno.writeTextFile(file, await mint(program, "--user", "eve", "--claim", "scope=read"));
  assert.match(await fail(program, "bans", "--token-file", "admin.token"), /\(403\): .*scope wsward:admin/);
  await Deno.writeTextFile(file, "no token\n");
  assert.match(await fail(program, "bans", "--token-file", "admin.token"), /it is not a JWT/);
  assert.match(await fail(program, "bans", "--token-file", "missing"), /does not exist/);
  assert.match(await fail(program, "bans", "--key-file", "missing.key"), /no such file/);
  await stop(program);
});

Deno.test("shows revocations, of any number of pages, and takes one back", async () => {
  await using program = startAdministered();
  await urlOf(program);
  assert.equal(await succeed(program, "revocations"), "Nothing is revoked\n");
  await succeed(program, "revoke", "--user", "alice", "--for", "1h");
  const table = await succeed(program, "revocations", "list");
  assert.match(table, /^ID +KIND +VALUE +SINCE +UNTIL\n[-0-9a-f]{36} +user +alice +2.*Z +2.*Z\n$/);
  const [{ id }] = JSON.parse(await succeed(program, "revocations", "list", "--json")).revocations;
  assert.equal(await succeed(program, "revocations", "remove", id), "Removed\n");
  assert.match(await fail(program, "revocations", "remove", id), /\(404\): no revocation/);
  const token = await mint(program, "--user", "op", "--claim", "scope=wsward:admin");
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const count = 1001;
  for (let i = 0; i < count; i++) {
    const body = JSON.stringify({ kind: "jti", value: `token-${i}` });
    const response = await fetch(`${await urlOf(program)}revocations`, { method: "POST", headers, body });
    await response.body?.cancel();
  }
  const { revocations } = JSON.parse(await succeed(program, "revocations", "--json"));
  assert.equal(new Set(revocations.map(({ value }: { value: string }) => value)).size, count);
  await stop(program);
});

Deno.test("lists connections, with a session or without, and closes one", async () => {
  await using program = startAdministered();
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendText("hello");
  await client.nextText();
  assert.match(
    await succeed(program, "connections"),
    /^ID +ENDPOINT +USER +ADDRESS +SINCE +IN +OUT +HELD +THROTTLED\n\S+ +echo +127\.0\.0\.1 +2\S+Z +11B +24B +0B +0s\n$/,
  );
  const { connections, ...rest } = JSON.parse(await succeed(program, "connections", "list", "--json"));
  assert.deepEqual(rest, {});
  assert.equal(await succeed(program, "connections", "close", connections[0].id), "Closed\n");
  assert.deepEqual(await client.nextClose(), { code: 1008, reason: "closed by an administrator" });
  assert.match(await fail(program, "connections", "close", "none"), /\(404\): no open connection/);
  await stop(program);
});

Deno.test("bans an address until it is taken back, and closes its connections", async () => {
  await using program = startAdministered(["--ban-loopback"]);
  const port = await program.port("echo");
  using client = await RawClient.connect({ port });
  assert.equal(await succeed(program, "bans"), "No address is banned\n");
  assert.match(
    await succeed(program, "bans", "add", "127.0.0.1", "--for", "5m"),
    /^Banned 127\.0\.0\.1 until 2/,
  );
  assert.equal((await client.nextClose()).code, 1008);
  using banned = await RawClient.open({ port });
  assert.equal((await banned.handshake()).status, 403);
  assert.match(await succeed(program, "bans"), /^CLIENT +UNTIL\n127\.0\.0\.1 +2.*Z\n$/);
  assert.match(await metrics(program), /^wsward_bans_active 1$/m);
  const [ban] = JSON.parse(await succeed(program, "bans", "--json")).bans;
  assert.equal(ban.client, "127.0.0.1");
  assert.equal(await succeed(program, "bans", "remove", "127.0.0.1"), "Removed\n");
  assert.match(await fail(program, "bans", "remove", "127.0.0.1"), /\(404\)/);
  assert.match(await fail(program, "bans", "add", "example.com"), /\(400\).*address/);
  assert.match(await succeed(program, "bans", "add", "192.0.2.9/24"), /^Banned 192\.0\.2\.0\/24 until 2/);
  assert.match(await succeed(program, "bans", "list"), /^192\.0\.2\.0\/24 +2/m);
  assert.equal(await succeed(program, "bans", "remove", "192.0.2.0/24"), "Removed\n");
  using again = await RawClient.connect({ port });
  again.close();
  client.close();
  await stop(program);
});

Deno.test("loopback is not banned unless the server was told to", async () => {
  await using program = startAdministered();
  assert.match(await fail(program, "bans", "add", "127.0.0.1"), /\(409\): .*--ban-loopback/);
  await stop(program);
});

Deno.test("what was acknowledged as revoked outlives a kill", async () => {
  const folder = Deno.makeTempDirSync();
  const flags = ["--state-file", "state.sqlite"];
  let token: string;
  const values: string[] = [];
  {
    await using program = startAdministered(flags, folder);
    await program.port("secure");
    token = await mint(program, "--user", "mallory");
    const headers = {
      authorization: `Bearer ${await mint(program, "--user", "root", "--claim", "scope=wsward:admin")}`,
      "content-type": "application/json",
    };
    const url = `${await urlOf(program)}revocations`;
    for (const value of ["mallory", "eve", "trent"]) {
      const body = JSON.stringify({ kind: "user", value });
      const response = await fetch(url, { method: "POST", headers, body });
      assert.equal(response.status, 201);
      // The status is the acknowledgement; the kill does not wait for the rest.
      if (value === "trent") program.signal("SIGKILL");
      await response.body?.cancel().catch(() => {});
      values.push(value);
    }
    await program.result();
  }
  await using program = startAdministered(flags, folder);
  using client = await RawClient.connect({ port: await program.port("secure") });
  await client.sendText(token);
  assert.equal(await client.nextText(), "Token Revoked");
  const headers = {
    authorization: `Bearer ${await mint(program, "--user", "root", "--claim", "scope=wsward:admin")}`,
  };
  const { revocations } = await (await fetch(`${await urlOf(program)}revocations`, { headers })).json();
  assert.deepEqual(revocations.map(({ value }: { value: string }) => value), values);
  client.close();
  await stop(program);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("is not ready while it drains, but alive, and says so", async () => {
  await using program = startAdministered(["--no-secure", "--drain-timeout", "1h"]);
  using client = await RawClient.connect({ port: await program.port("echo") });
  const url = await urlOf(program);
  program.signal("SIGTERM");
  await client.nextClose();
  const ready = await fetch(`${url}readyz`);
  assert.deepEqual([ready.status, await ready.json()], [503, { ready: false, problems: ["draining"] }]);
  const alive = await fetch(`${url}healthz`);
  assert.deepEqual([alive.status, await alive.text()], [200, "ok\n"]);
  await client.sendClose(1001);
  client.close();
  assert.equal((await program.result()).code, 0);
});

Deno.test("an event stream does not keep the server from stopping", async () => {
  await using program = startAdministered();
  const url = await urlOf(program);
  const headers = {
    authorization: `Bearer ${await mint(program, "--user", "root", "--claim", "scope=wsward:admin")}`,
    accept: "text/event-stream",
  };
  const response = await fetch(`${url}events`, { headers });
  const text = response.text();
  await stop(program);
  assert.match(await text, /"event":"server\.draining"/);
});

Deno.test("a server that can't be reached is exit code 1, a wrong command line 2, each in one line", async () => {
  const codes = async (...args: string[]) => {
    const { code, stderr } = await run(args);
    assert.match(stderr, /^[^\n]+\n$/);
    return [code, stderr] as const;
  };
  const folder = Deno.makeTempDirSync();
  await Deno.writeTextFile(`${folder}/token`, "a.b.c");
  for (const command of [["sessions"], ["bans"], ["revoke", "--user", "x"], ["top", "--once"]]) {
    const { code, stderr } = await run([...command, "--url", "http://127.0.0.1:1", "--token-file", "token"], {
      folder,
    });
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot reach the server at http:\/\/127\.0\.0\.1:1: nothing listens there/);
  }
  await Deno.remove(folder, { recursive: true });
  for (
    const args of [
      ["sessions", "--url", "https://127.0.0.1:1"],
      ["sessions", "--url", "http://example.com:80"],
      ["sessions", "--url", "http://127.0.0.1:1/path"],
      ["sessions", "close"],
      ["sessions", "foo"],
      ["revocations", "remove"],
      ["revocations", "foo"],
      ["revoke"],
      ["revoke", "--user", "a", "--jti", "b"],
      ["revoke", "--user", "a", "--for", "0s"],
      ["revoke", "--user", "a", "--for", "3651d"],
      ["bans", "add"],
      ["bans", "add", "192.0.2.1", "--for", "31d"],
      ["bans", "remove"],
    ]
  ) {
    assert.equal((await codes(...args))[0], 2, args.join(" "));
  }
});
