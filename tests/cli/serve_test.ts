// The whole program as a process: what a user sees, with clients that are not ours.
import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket as ForeignWebSocket } from "ws";
import { frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { EXECUTABLE, Program, run, startPermissions, startServer } from "../support/process.ts";

async function stop(program: Program, signal: Deno.Signal = "SIGTERM"): Promise<void> {
  program.signal(signal);
  assert.equal((await program.result()).code, 0);
}

async function mint(folder: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(["token", "create", "--user", "alice", ...args], { folder });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
}

Deno.test("serves both endpoints with no configuration and says so in exactly two lines", async () => {
  await using program = startServer();
  const echo = await program.port("echo");
  const secure = await program.port("secure");
  assert.equal(
    program.stdout.text,
    `Listening on ws://127.0.0.1:${echo}/ (echo)\nListening on ws://127.0.0.1:${secure}/ (secure)\n`,
  );
  assert.match(await program.logged(/.*key\.created.*/), /token/);
  assert.equal(Deno.statSync(`${program.folder}/wsward.key`).mode! & 0o777, 0o600);
  assert.equal(Deno.statSync(program.runtimeDir).mode! & 0o777, 0o700);
  await stop(program);
  assert.throws(() => Deno.statSync(program.runtimeDir), Deno.errors.NotFound);
});

Deno.test("the start task of the README serves from a copy of the tree (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const root = new URL("../../", import.meta.url).pathname;
  await new Deno.Command("cp", {
    args: ["-r", ...["deno.json", "deno.lock", "main.ts", "src"].map((n) => root + n), folder],
  })
    .output();
  await using program = new Program(["task", "start", "--echo-port", "0", "--secure-port", "0"], { folder });
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
  client.close();
  await stop(program, "SIGINT");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("echoes to npm ws and to Deno's own client", async () => {
  await using program = startServer(["--no-secure"]);
  const url = `ws://127.0.0.1:${await program.port("echo")}/`;

  const foreign = new ForeignWebSocket(url, { perMessageDeflate: true });
  await once(foreign, "open");
  foreign.send("h\u00e9llo");
  const [text, isBinary] = await once(foreign, "message");
  assert.deepEqual([String(text), isBinary], ["Server received: h\u00e9llo", false]);
  foreign.send(Uint8Array.of(0, 255));
  assert.deepEqual([...(await once(foreign, "message"))[0]], [0, 255]);
  foreign.close(1000, "bye");
  assert.equal((await once(foreign, "close"))[0], 1000);

  const own = new WebSocket(url);
  await new Promise((resolve) => own.onopen = resolve);
  const answer = new Promise<MessageEvent>((resolve) => own.onmessage = resolve);
  own.send("hello");
  assert.equal((await answer).data, "Server received: hello");
  const closed = new Promise<CloseEvent>((resolve) => own.onclose = resolve);
  own.close(3210, "bye");
  assert.deepEqual([(await closed).code, (await closed).wasClean], [3210, true]);
  assert.doesNotMatch(program.stdout.text, /secure/);
  await stop(program);
});

Deno.test("npm ws in the middle of a message that is much too large is told so, and not reset", async () => {
  await using program = startServer(["--no-secure"]);
  const client = new ForeignWebSocket(`ws://127.0.0.1:${await program.port("echo")}/`);
  await once(client, "open");
  client.send(new Uint8Array(32 * 1024 * 1024));
  const [code, reason] = await once(client, "close");
  assert.deepEqual([code, String(reason)], [1009, "a message may have at most 1048576 bytes"]);
  await stop(program);
});

Deno.test("the prefix can be changed and left out", async () => {
  for (const [prefix, expected] of [["> ", "> x"], ["", "x"]] as const) {
    await using program = startServer(["--echo-prefix", prefix, "--no-secure"]);
    using client = await RawClient.connect({ port: await program.port("echo") });
    await client.sendText("x");
    assert.equal(await client.nextText(), expected);
    client.close();
    await stop(program);
  }
});

Deno.test("a token made by the command line opens a session; an expired and a wrong one do not", async () => {
  await using program = startServer(["--no-echo", "--clock-tolerance", "0s"]);
  const port = await program.port("secure");
  assert.doesNotMatch(program.stdout.text, /echo/);

  const token = await mint(program.folder, "--claim", "role=editor");
  using client = await RawClient.connect({ port });
  await client.sendText(token);
  assert.equal(await client.nextText(), "Authenticated!");
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
  await client.sendBinary(Uint8Array.of(7));
  assert.deepEqual([...await client.nextBinary()], [7]);

  // Signed by another key.
  const other = Deno.makeTempDirSync();
  await Deno.writeTextFile(`${other}/wsward.key`, `${"A".repeat(43)}\n`, { mode: 0o600 });
  using stranger = await RawClient.connect({ port });
  await stranger.sendText(await mint(other));
  assert.equal(await stranger.nextText(), "Invalid Token");
  assert.deepEqual(await stranger.nextClose(), { code: 3000, reason: "invalid token" });
  await stranger.sendClose(3000);
  await stranger.eof();

  // This session ends while it is open. Where a token is made slowly it needs a longer life to be presented in.
  const briefTokens: string[] = [];
  for (let lifeS = 1, words = ""; words !== "Authenticated!"; lifeS *= 2) {
    using brief = await RawClient.connect({ port }, { timeoutMs: 20_000 });
    const briefToken = await mint(program.folder, "--expires-in", `${lifeS}s`);
    briefTokens.push(briefToken);
    await brief.sendText(briefToken);
    words = await brief.nextText();
    if (words === "Authenticated!") assert.equal(await brief.nextText(), "Token Expired");
    else assert.ok(words === "Token Expired" && lifeS < 16, `${words} for a life of ${lifeS} s`);
    assert.deepEqual(await brief.nextClose(), { code: 3000, reason: "token expired" });
  }

  const known = [token, ...briefTokens, program.read("wsward.key").trim()];
  client.close();
  stranger.close();
  await stop(program);
  for (const secret of known) {
    assert.ok(!program.stderr.text.includes(secret));
    assert.ok(!program.read("websocket_errors.log").includes(secret));
  }
  await Deno.remove(other, { recursive: true });
});

Deno.test("a connection is recorded before its session, also when the token came with the handshake", async () => {
  await using program = startServer(["--no-echo"]);
  const port = await program.port("secure");
  const token = await mint(program.folder);
  for (let i = 0; i < 5; i++) {
    using client = await RawClient.connect({ port }, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(await client.nextText(), "Authenticated!");
    await client.sendClose(1000);
    await client.eof();
  }
  await stop(program);
  const opened = program.stderr.text.match(/(connection|session)\.opened/g);
  assert.deepEqual(opened, Array.from({ length: 5 }, () => ["connection.opened", "session.opened"]).flat());
});

Deno.test("no token in time is told as text and as Close 3008", async () => {
  await using program = startServer(["--no-echo", "--auth-timeout", "100ms"]);
  using client = await RawClient.connect({ port: await program.port("secure") });
  assert.equal(await client.nextText(), "Authentication Timeout");
  assert.equal((await client.nextClose()).code, 3008);
  client.close();
  await stop(program);
});

Deno.test("protocol errors are in the log file when the process has ended, a lost peer is not, and nothing forges a line", async () => {
  await using program = startServer(["--no-secure"]);
  const port = await program.port("echo");
  for (let i = 0; i < 20; i++) {
    using client = await RawClient.connect({ port }, {
      headers: { Origin: "http://127.0.0.1", "User-Agent": "x\x1b[2J ERROR protocol.error forged" },
    }).catch(async () => await RawClient.connect({ port }));
    await client.sendFrame({ opcode: OPCODE.text, payload: "\n2026 ERROR forged\n\x1b[31m" });
    await client.nextText();
    await client.send(frame({ opcode: 3, payload: "\nforged" }));
    assert.equal((await client.nextClose()).code, 1002);
  }
  using lost = await RawClient.connect({ port });
  lost.close();
  await program.logged(/connection\.closed .*code=1006/);
  await stop(program);
  const lines = program.read("websocket_errors.log").trimEnd().split("\n");
  assert.ok(lines.every((line) => line.includes(" ERROR protocol.error ")));
  // A few, and how many more there were.
  assert.match(lines.pop()!, / count=15$/);
  assert.equal(lines.length, 5);
  assert.ok(!lines.some((line) => line.includes("forged") || line.includes("\x1b")));
});

Deno.test("a second start appends to the log file and keeps the key", async () => {
  const folder = Deno.makeTempDirSync();
  let key = "";
  for (const round of [1, 2]) {
    await using program = startServer(["--no-echo"], { folder });
    using client = await RawClient.connect({ port: await program.port("secure") });
    await client.sendFrame({ opcode: 3 });
    await client.nextClose();
    client.close();
    await stop(program);
    assert.equal(program.read("websocket_errors.log").trimEnd().split("\n").length, round);
    if (round === 2) assert.equal(program.read("wsward.key"), key);
    key = program.read("wsward.key");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a drain tells everyone, waits for who answers, cuts who does not, and exits with 0", async () => {
  await using program = startServer(["--no-secure", "--drain-timeout", "3s", "--close-timeout", "1s"]);
  const port = await program.port("echo");
  using polite = await RawClient.connect({ port });
  using silent = await RawClient.connect({ port });
  program.signal("SIGINT");
  assert.equal((await polite.nextClose()).code, 1001);
  await polite.sendClose(1001);
  await polite.eof();
  assert.equal((await silent.nextClose()).code, 1001);
  await silent.eof();
  assert.equal((await program.result()).code, 0);
});

Deno.test("a signal that comes again within a second changes nothing, a later one ends at once", async () => {
  await using program = startServer(["--no-secure", "--drain-timeout", "1h", "--close-timeout", "1m"]);
  using silent = await RawClient.connect({ port: await program.port("echo") });
  const sentMs = performance.now();
  for (let i = 0; i < 3; i++) program.signal("SIGTERM");
  assert.equal((await silent.nextClose()).code, 1001);
  // Nothing but the end tells when a second is over for the program.
  const again = setInterval(() => program.signal("SIGTERM"), 100);
  const ended = program.result().finally(() => clearInterval(again));
  assert.equal((await ended).code, 143);
  assert.ok(performance.now() - sentMs > 1000);
});

Deno.test("what can't be used at start is said in one line, with exit code 1, and nothing is left behind", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const folder = Deno.makeTempDirSync();
  await Deno.writeTextFile(`${folder}/open.key`, "A".repeat(43), { mode: 0o644 });
  await Deno.writeTextFile(`${folder}/short.key`, "A".repeat(40), { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/text.key`, "this is not a key ".repeat(4), { mode: 0o600 });
  await Deno.chmod(`${folder}/open.key`, 0o644);
  Deno.mkdirSync(`${folder}/logs`);
  const cases: [string[], RegExp][] = [
    [["--echo-port", String(taken.addr.port)], /in use/],
    [["--host", "127.0.0.1.example"], /Cannot listen on/],
    [["--host", "203.0.113.7"], /Cannot listen on/],
    [["--key-file", "open.key"], /chmod 600/],
    [["--key-file", "short.key"], /32/],
    [["--key-file", "text.key"], /key/],
    [["--log-file", "logs"], /logs/],
    [["--log-file", "missing/errors.log"], /missing/],
  ];
  for (const [args, expected] of cases) {
    // The last one of a repeated flag would be refused, so the case's own port replaces the free one.
    const ports = args.includes("--echo-port")
      ? ["--secure-port", "0"]
      : ["--secure-port", "0", "--echo-port", "0"];
    await using program = new Program(["serve", ...ports, ...args], { folder });
    const { code, stdout, stderr } = await program.result();
    const lines = stderr.trimEnd().split("\n").filter((line) => !line.includes(" INFO "));
    assert.deepEqual([code, stdout, lines.length], [1, "", 1], stderr);
    assert.match(lines[0]!, expected);
    assert.throws(() => Deno.statSync(program.runtimeDir), Deno.errors.NotFound);
  }
  taken.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("starts again in the runtime folder of a server that was killed", async () => {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const env = { WSWARD_RUNTIME_DIR: runtimeDir };
  const options = { folder, env, onlyPermissions: startPermissions(runtimeDir) };
  {
    await using killed = startServer([], options);
    using client = await RawClient.connect({ port: await killed.port("echo") });
    await client.sendText("once");
    await client.nextText();
    killed.signal("SIGKILL");
    await killed.result();
  }
  assert.ok(Deno.statSync(`${runtimeDir}/echo.sock`).isSocket);
  await using program = startServer([], options);
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendText("again");
  assert.equal(await client.nextText(), "Server received: again");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("does not say that it listens when its private sockets can't be made", async () => {
  const folder = Deno.makeTempDirSync();
  // Longer than the name of a Unix socket may be.
  const runtimeDir = `${folder}/${"x".repeat(120)}`;
  const options = {
    folder,
    env: { WSWARD_RUNTIME_DIR: runtimeDir },
    onlyPermissions: startPermissions(runtimeDir),
  };
  await using program = startServer([], options);
  const { code, stdout, stderr } = await program.result();
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^Cannot listen on ".*echo\.sock": /m);
  assert.throws(() => Deno.statSync(runtimeDir), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});
