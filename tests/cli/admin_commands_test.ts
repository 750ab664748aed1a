// The admin listener and its commands as processes: what an operator does to a running server, and what peers see of it.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import type { Status } from "../../src/admin/status.ts";
import { formatTop } from "../../src/cli/commands/top_command.ts";
import {
  type Program,
  type ProgramCommand,
  programCommand,
  type Result,
  run,
  startServer,
} from "../support/process.ts";
import { frame, OPCODE, RawClient } from "../support/raw_client.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

function startAdministered(args: readonly string[] = [], folder?: string): Program {
  const options = folder === undefined ? {} : { folder };
  return startServer(["--admin-listen", "127.0.0.1:0", ...args], options);
}

async function urlOf(program: Program): Promise<string> {
  return (await program.stdout.until(/Admin on (http:\/\/\S+\/)\n/))[1]!;
}

/** How the task `wsward` runs a command against a server. */
async function adminCommand(program: Program, args: readonly string[]): Promise<ProgramCommand> {
  const flags = config.tasks.wsward.split(" ").filter((word) => word.startsWith("--"));
  const readable = flags.map((flag) => flag.replace("--allow-read=.", `--allow-read=.,${ROOT}`));
  return programCommand(args, readable, {
    WSWARD_ADMIN_URL: await urlOf(program),
    // A proxy must never see a token.
    HTTP_PROXY: "http://127.0.0.1:9",
    NO_COLOR: "1",
  });
}

/** Runs a command against a server, in its folder. */
async function admin(program: Program, ...args: string[]): Promise<Result> {
  const command = await adminCommand(program, args);
  const { code, stdout, stderr } = await new Deno.Command(command.path, {
    ...command,
    cwd: program.folder,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const result = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  assert.doesNotMatch(result.stdout + result.stderr, /eyJ/, "a token was printed");
  return result;
}

async function succeed(program: Program, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await admin(program, ...args);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

async function fail(program: Program, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await admin(program, ...args);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^[^\n]+\n$/);
  return stderr;
}

async function mint(program: Program, ...args: string[]): Promise<string> {
  const { stdout } = await run(["token", "create", ...args], { folder: program.folder });
  return stdout.trim();
}

async function openSession(program: Program, user: string): Promise<RawClient> {
  const client = await RawClient.connect({ port: await program.port("secure") });
  await client.sendText(await mint(program, "--user", user));
  assert.equal(await client.nextText(), "Authenticated!");
  return client;
}

async function metrics(program: Program): Promise<string> {
  return await (await fetch(`${await urlOf(program)}metrics`)).text();
}

async function stop(program: Program): Promise<void> {
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
}

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

const STATUS: Status = {
  version: "0.1.0",
  uptime_seconds: 3725.9,
  ready: false,
  problems: ["the endpoint echo is down"],
  endpoints: [{
    name: "echo",
    url: "ws://127.0.0.1:8765/",
    connections_open: 9999,
    send_queue_bytes: 0,
    totals: totals(1e9),
    rates: totals(123456.789),
  }],
  connections_open: 9999,
  totals: totals(1e9),
  rates: totals(123456.789),
  rates_window_seconds: 1.04,
  upstreams: [],
  refusals: { forbidden: 12, too_many: 40 },
  closes: { "1000": 5 },
  violations: {},
  authentications: { ok: 1 },
  sessions_open: 2,
  bans_active: 1,
  throttled_seconds: 2.5,
  buffered_bytes: 2048,
  resident_bytes: 100 * 2 ** 20,
  lag_seconds: 0.0012,
};

function totals(value: number): Status["totals"] {
  return {
    connections: value,
    refusals: value,
    closes: value,
    violations: value,
    messages_in: value,
    messages_out: value,
    bytes_in: value,
    bytes_out: value,
  };
}

Deno.test("the picture of top fits the terminal, and nothing in a record can paint it", () => {
  const events = Array.from({ length: 200 }, (_, i) => ({
    time: "2030-01-02T03:04:05.678Z",
    level: "info",
    event: "session.opened",
    message: "Session opened",
    number: i,
    user: `\x1b[31m\u202e${"long".repeat(50)}`,
  }));
  const lines = formatTop(STATUS, events, { columns: 80, rows: 24 }).split("\n");
  assert.ok(lines.length <= 24, String(lines.length));
  for (const line of lines) assert.ok(line.length <= 80, line);
  const text = lines.join("\n");
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{C}]/u);
  assert.match(lines[0]!, /^wsward 0\.1\.0 {2}up 1h2m5s {2}NOT READY: the endpoint echo is down$/);
  assert.match(text, /^echo +10\.0k +123k +123k +123k +123k +121k +121k$/m);
  assert.match(text, /^Refused +too_many 40, forbidden 12$/m);
  assert.match(text, /^Lag +1\.2 ms$/m);
  assert.match(lines.at(-1)!, /^03:04:05 info session\.opened number=199 user=/);
  assert.equal(formatTop(STATUS, events, { columns: 80, rows: 5 }).split("\n").at(-1), lines.at(-1));
});

Deno.test("the picture of top shows all that it has at any width: lists go on in the next line", () => {
  const status: Status = {
    ...STATUS,
    problems: ["the endpoint echo is down", "all upstreams are down"],
    upstreams: [
      {
        name: "ws://192.0.2.1:9000/",
        up: true,
        connections_open: 5,
        connects: { ok: 1500 },
        connect_seconds_mean: 0.0124,
      },
      {
        name: "ws://192.0.2.2:9000/",
        up: false,
        connections_open: 0,
        connects: { timeout: 3, tls: 0 },
        connect_seconds_mean: 0,
      },
    ],
    refusals: { handshake_rate: 33_333, max_connections_per_ip: 1200, origin: 120, host: 7 },
  };
  const record = {
    time: "2030-01-02T03:04:05Z",
    level: "info",
    event: "e",
    connection: "c",
    peer: "192.0.2.1",
  };
  for (const columns of [60, 80, 120, 0]) {
    const lines = formatTop(status, [record], { columns, rows: 40 }).split("\n");
    for (const line of lines) assert.ok(line.length <= (columns || 40), line);
    const text = lines.join(" ").replaceAll(/ +/g, " ");
    for (
      const shown of [
        "the endpoint echo is down, all upstreams are down",
        "Refused handshake_rate 33333, max_connections_per_ip 1200, origin 120, host 7",
      ]
    ) assert.ok(text.includes(shown), `${columns}: ${text}`);
    if (columns === 0) continue;
    assert.match(text, /ws:\/\/192\.0\.2\.1:9000\/ up 5 1\.5k 12\.4 ms none/);
    assert.match(text, /ws:\/\/192\.0\.2\.2:9000\/ DOWN 0 0 - timeout 3 /);
    assert.equal(lines.at(-1), "03:04:05 info e peer=192.0.2.1 connection=c");
  }
});

Deno.test("top prints one picture where the output is no terminal", async () => {
  await using program = startAdministered();
  await program.port("echo");
  for (const args of [["top"], ["top", "--once"]]) {
    const text = await succeed(program, ...args);
    assert.match(text, /^wsward \d.* ready\n/);
    assert.match(text, /\necho +0 +0 /);
    assert.ok(!text.includes("\x1b"));
  }
  await stop(program);
});

/** Runs `top` in a pseudo-terminal, types `keys` after its second picture, and returns all that it wrote. */
async function runTop(program: Program, keys: string): Promise<{ code: number; text: string }> {
  const command = await adminCommand(program, ["top"]);
  const quoted = [command.path, ...command.args].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    ...command,
    args: ["-qec", `stty rows 24 cols 80; ${quoted}; code=$?; stty -a; exit $code`, "/dev/null"],
    cwd: program.folder,
    env: { ...command.env, TERM: "xterm" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  let isTyped = false;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (isTyped || text.split("\x1b[H").length < 3) continue;
    isTyped = true;
    await writer.write(new TextEncoder().encode(keys));
  }
  await writer.close().catch(() => {});
  return { code: (await child.status).code, text };
}

const hasPseudoTerminal = Deno.build.os === "linux" &&
  await new Deno.Command("script", { args: ["-V"], stdout: "null", stderr: "null" }).output().then(
    ({ success }) => success,
    () => false,
  );

for (const [name, keys] of [["q", "q"], ["Ctrl-C", "\x03"]] as const) {
  Deno.test({
    name: `top redraws in a terminal until ${name}, and leaves it as it was`,
    ignore: !hasPseudoTerminal,
    async fn() {
      await using program = startAdministered();
      await program.port("echo");
      const { code, text } = await runTop(program, keys);
      assert.equal(code, 0, text);
      assert.ok(text.includes("\x1b[?1049h\x1b[?25l"));
      const [picture = "", after = ""] = text.split("\x1b[?25h\x1b[?1049l");
      assert.match(picture, /wsward \d/);
      assert.match(after, /[^-]icanon/);
      assert.match(after, /[^-]echo\b/);
      await stop(program);
    },
  });
}
