// The command `connect`: in a pipe, on a terminal, against our own server and against servers that answer badly.

import assert from "node:assert/strict";
import { acceptFor, KEY } from "../../src/tools/client_handshake.ts";
import { findProgram } from "../support/deploy.ts";
import { run, startServer } from "../support/process.ts";
import { acceptUpgrade, runTool, TcpServer, Terminal, TOOL_PERMISSIONS } from "../support/tool_process.ts";
import { closePayload, frame, OPCODE } from "../support/raw_client.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
const CLOSED = /^Closed by this client: 1000 Normal Closure\n$/;

/** A server that opens each WebSocket, sends `bytes` and then does nothing but read. */
function sender(...bytes: readonly Uint8Array[]): TcpServer {
  return new TcpServer(async (conn) => {
    await acceptUpgrade(conn);
    for (const part of bytes) await conn.write(part);
    // Nobody has to wait for the end.
    if (bytes.length > 0) await conn.closeWrite();
    const buffer = new Uint8Array(1024);
    while (await conn.read(buffer) !== null);
  });
}

function unmasked(opcode: number, payload: string | Uint8Array = ""): Uint8Array {
  return frame({ opcode, payload, mask: false });
}

Deno.test("sends each line of stdin and writes the answers, and nothing else, to stdout", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  const { code, stdout, stderr } = await runTool(["connect", url], { stdin: "hello\n\u{1f600}\r\n\nlast" });
  assert.equal(code, 0);
  assert.equal(
    stdout,
    ["hello", "\u{1f600}", "", "last"].map((line) => `Server received: ${line}\n`).join(""),
  );
  assert.match(stderr, CLOSED);
});

Deno.test("sends what -x says, and ends after one message with -1", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  const two = await runTool(["connect", url, "-x", "a", "-x", "b"]);
  assert.deepEqual([two.code, two.stdout], [0, "Server received: a\nServer received: b\n"]);
  const one = await runTool(["connect", url, "-x", "a", "-1"]);
  assert.deepEqual([one.code, one.stdout], [0, "Server received: a\n"]);
});

Deno.test("sends and writes binary messages as they are with --binary, and everything as JSON with --json", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  const binary = await runTool(["connect", url, "--binary"], { stdin: "a\x00b\n" });
  assert.deepEqual([binary.code, binary.stdout], [0, "a\x00b"]);
  const json = await runTool(["connect", url, "--json", "-x", "a\u202eb"]);
  // What could reorder a line is escaped in JSON too.
  assert.ok(!json.stdout.includes("\u202e"));
  const events = json.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ time: _, ...event }) => event), [
    { type: "open", url },
    { type: "message", text: "Server received: a\u202eb" },
    { type: "close", code: 1000, name: "Normal Closure", reason: "", by: "client" },
  ]);
});

Deno.test("makes a token for a user and presents it in each way that the server knows", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("secure")}/`;
  for (const present of ["first", "header", "subprotocol"]) {
    const args = ["connect", url, "--user", "alice", "--present", present, "-x", "hello", "-v"];
    const { code, stdout, stderr } = await runTool(args, { folder: server.folder });
    assert.deepEqual([present, code, stdout], [present, 0, "Authenticated!\nServer received: hello\n"]);
    assert.doesNotMatch(stderr, /eyJ/, `a token is never shown: ${present}`);
  }
  const cookie = await runTool([
    "connect",
    url,
    "--user",
    "alice",
    "--present",
    "cookie",
    "-x",
    "a",
    "-w",
    "1s",
  ], {
    folder: server.folder,
  });
  assert.match(cookie.stderr, /3000 Unauthorized: invalid token\n {2}meaning: the token is expired/);
});

Deno.test("finds our own endpoints by the settings of the server", async () => {
  await using server = startServer();
  const env = {
    WSWARD_ECHO_PORT: String(await server.port("echo")),
    WSWARD_SECURE_PORT: String(await server.port("secure")),
  };
  const echo = await runTool(["connect", "-x", "a"], { env });
  assert.deepEqual([echo.code, echo.stdout], [0, "Server received: a\n"]);
  const secure = await runTool(["connect", "-x", "a", "--user", "bob"], { env, folder: server.folder });
  assert.deepEqual([secure.code, secure.stdout], [0, "Authenticated!\nServer received: a\n"]);
});

Deno.test("lets no token leave this machine unless the host is repeated", async () => {
  const mint = ["connect", "wss://192.0.2.1/", "--user", "alice"];
  const refused = await runTool(mint);
  assert.deepEqual([refused.code, refused.stdout], [2, ""]);
  assert.match(refused.stderr, /Cannot send a token to "192\.0\.2\.1".*--send-token-to 192\.0\.2\.1/);
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/token`, "a.b.c");
  const plain = await runTool(["connect", "ws://192.0.2.1/", "--token-file", "token"], { folder });
  assert.equal(plain.code, 2);
  // The permission is what stops the one that may go.
  const allowed = await runTool([
    "connect",
    "ws://192.0.2.1/",
    "--token-file",
    "token",
    "--send-token-to",
    "192.0.2.1",
    "--timeout",
    "100ms",
  ], { folder });
  assert.equal(allowed.code, 3);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("speaks TLS, to a server that it can verify or, if asked to, to any", async () => {
  const tls = ["--tls-cert", `${FIXTURES}server.pem`, "--tls-key", `${FIXTURES}server.key.pem`];
  await using server = startServer(tls, { permissions: [`--allow-read=${FIXTURES}`] });
  const url = `wss://localhost:${await server.port("echo")}/`;
  const permissions = [...TOOL_PERMISSIONS, `--allow-read=${FIXTURES}`];
  const connect = (...args: readonly string[]) =>
    runTool(["connect", url, "-x", "a", ...args], { permissions });
  const verified = await connect("--ca", `${FIXTURES}server.pem`);
  assert.deepEqual([verified.code, verified.stdout], [0, "Server received: a\n"], verified.stderr);
  const unknown = await connect();
  assert.deepEqual([unknown.code, unknown.stdout], [3, ""]);
  assert.match(unknown.stderr, /TLS failed: .*UnknownIssuer/);
  const any = await connect("-k");
  assert.deepEqual([any.code, any.stdout], [0, "Server received: a\n"], any.stderr);
});

Deno.test("shows its certificate to a server that asks for one", async () => {
  const read = `--allow-read=${FIXTURES}`;
  const file = (name: string) => `${FIXTURES}${name}`;
  const tls = ["--tls-cert", file("server.pem"), "--tls-key", file("server.key.pem")];
  await using server = startServer([...tls, "--tls-client-ca", file("client_ca.pem")], {
    permissions: [read],
  });
  const url = `wss://localhost:${await server.port("echo")}/`;
  const identity = [
    "--ca",
    file("server.pem"),
    "--cert",
    file("client.pem"),
    "--key",
    file("client.key.pem"),
  ];
  const shown = await runTool(["connect", url, "-x", "a", ...identity], {
    permissions: [...TOOL_PERMISSIONS, read],
  });
  assert.deepEqual([shown.code, shown.stdout], [0, "Server received: a\n"], shown.stderr);
});

Deno.test("connects to a Unix socket", async () => {
  const path = `${await Deno.makeTempDir()}/ws.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const accepting = (async () => {
    using conn = await listener.accept();
    await acceptUpgrade(conn as unknown as Deno.TcpConn);
    await conn.write(unmasked(OPCODE.text, "from a socket"));
    while (await conn.read(new Uint8Array(64)) !== null);
  })();
  const permissions = [
    ...TOOL_PERMISSIONS,
    `--allow-read=${path}`,
    `--allow-write=${path}`,
    `--allow-net=unix:${path}`,
  ];
  const { code, stdout, stderr } = await runTool([
    "connect",
    `unix://${path}:/chat`,
    "-1",
    "--timeout",
    "1s",
  ], {
    permissions,
  });
  assert.deepEqual([code, stdout], [5, "from a socket\n"], stderr);
  listener.close();
  await accepting;
});

Deno.test("waits at the end of the input: for silence with -w, for the server with --no-close", async () => {
  // Two answers to one message, the second after the first has been read.
  await using server = new TcpServer(async (conn) => {
    await acceptUpgrade(conn);
    const buffer = new Uint8Array(1024);
    await conn.read(buffer);
    for (const word of ["one", "two"]) await conn.write(unmasked(OPCODE.text, word));
    await conn.write(unmasked(OPCODE.close, closePayload(4000, "enough")));
    while (await conn.read(buffer) !== null);
  });
  const url = `ws://127.0.0.1:${server.port}/`;
  for (const wait of [["-w", "30s"], ["--no-close"]]) {
    const { code, stdout, stderr } = await runTool(["connect", url, "-x", "a", ...wait]);
    assert.deepEqual([code, stdout], [1, "one\ntwo\n"]);
    assert.match(stderr, /^Closed by the server: 4000 private use: enough\n$/);
  }
});

Deno.test("does not take Pings for answers, nor lets them put off the end", async () => {
  await using server = new TcpServer(async (conn) => {
    await acceptUpgrade(conn);
    for (;;) {
      await conn.write(unmasked(OPCODE.ping));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  const args = ["connect", `ws://127.0.0.1:${server.port}/`, "-x", "a", "-w", "300ms", "--timeout", "2s"];
  const { code, stdout } = await runTool(args);
  assert.deepEqual([code, stdout], [5, ""]);
});

const ENDINGS:
  readonly (readonly [name: string, code: number, said: RegExp, bytes: readonly Uint8Array[]])[] = [
    ["1001", 0, /by the server: 1001 Going Away: bye/, [unmasked(OPCODE.close, closePayload(1001, "bye"))]],
    ["no code", 0, /by the server: 1005 No Status Rcvd\n/, [unmasked(OPCODE.close)]],
    ["another code", 1, /3008 Timeout\n {2}meaning: something did not come in time/, [
      unmasked(OPCODE.close, closePayload(3008)),
    ]],
    ["a code that must not be sent", 1, /by this client: 1002 .*the code 1005/, [
      unmasked(OPCODE.close, closePayload(1005)),
    ]],
    ["a Close of one byte", 1, /by this client: 1002 .*one byte/, [unmasked(OPCODE.close, "a")]],
    ["a reason that is not UTF-8", 1, /by this client: 1007/, [
      unmasked(OPCODE.close, Uint8Array.of(3, 0xe8, 0xff)),
    ]],
    ["a masked frame", 1, /1002 .*masked/, [frame({ opcode: OPCODE.text, payload: "a" })]],
    ["a reserved bit", 1, /1002 .*reserved bit/, [frame({ opcode: OPCODE.text, rsv: 4, mask: false })]],
    ["a reserved opcode", 1, /1002 .*opcode 3/, [unmasked(3)]],
    ["a long Ping", 1, /1002 .*too long/, [unmasked(OPCODE.ping, new Uint8Array(126))]],
    ["a fragmented Ping", 1, /1002 .*fragmented/, [frame({ opcode: OPCODE.ping, fin: false, mask: false })]],
    ["a continuation of nothing", 1, /1002 .*no beginning/, [unmasked(OPCODE.continuation)]],
    ["a message inside another", 1, /1002 .*inside another/, [
      frame({ opcode: OPCODE.text, fin: false, mask: false }),
      unmasked(OPCODE.text),
    ]],
    ["bad UTF-8", 1, /1007 .*not UTF-8/, [unmasked(OPCODE.text, Uint8Array.of(0xc0, 0x80))]],
    ["a frame over the limit", 1, /1009 .*too large/, [
      frame({ opcode: OPCODE.binary, mask: false, claimedLength: 16 * 1024 * 1024 + 1 }),
    ]],
    ["a frame of 2^63 bytes", 1, /1009 .*too large/, [
      frame({ opcode: OPCODE.binary, mask: false, claimedLength: 2n ** 63n, lengthForm: 64 }),
    ]],
  ];

for (const [name, expected, said, bytes] of ENDINGS) {
  Deno.test(`ends with ${expected} after ${name}`, async () => {
    await using server = sender(...bytes);
    const { code, stderr } = await runTool([
      "connect",
      `ws://127.0.0.1:${server.port}/`,
      "-n",
    ]);
    assert.match(stderr, said);
    assert.equal(code, expected);
  });
}

Deno.test("takes a message that is as large as the limit, in fragments too, and not one byte more", async () => {
  for (const [size, expected] of [[99, 0], [100, 0], [101, 1]] as const) {
    const half = size >> 1;
    const parts = [
      frame({ opcode: OPCODE.text, fin: false, payload: "a".repeat(half), mask: false }),
      unmasked(OPCODE.ping),
      unmasked(OPCODE.continuation, "a".repeat(size - half)),
      unmasked(OPCODE.close),
    ];
    await using server = sender(...parts);
    const args = [
      "connect",
      `ws://127.0.0.1:${server.port}/`,
      "-n",
      "--max-message-size",
      "100B",
    ];
    const { code, stdout } = await runTool(args);
    assert.deepEqual([size, code, stdout], [size, expected, expected === 0 ? `${"a".repeat(size)}\n` : ""]);
  }
});

Deno.test("ends with 3 where nothing listens, nothing answers, or what answers is no WebSocket", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = listener.addr.port;
  listener.close();
  const refused = await runTool(["connect", `ws://127.0.0.1:${port}/`, "-x", "a"]);
  assert.deepEqual([refused.code, refused.stdout], [3, ""]);
  assert.match(refused.stderr, /^Cannot connect to ws:\/\/127\.0\.0\.1:\d+\/: connection refused/);

  const answer = (text: string) =>
    new TcpServer(async (conn) => {
      await conn.read(new Uint8Array(1024));
      await conn.write(new TextEncoder().encode(text));
      while (await conn.read(new Uint8Array(1024)) !== null);
    });
  const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  const right = `${head}Sec-WebSocket-Accept: ${await acceptFor(KEY)}\r\n`;
  for (
    const [text, why] of [
      ["", /no answer to the handshake/],
      ["SSH-2.0-x\r\n", /does not speak HTTP/],
      ["HTTP/1.1 101 x\r\n\r\n", /Upgrade must be websocket/],
      [`${head}Sec-WebSocket-Accept: AAAA\r\n\r\n`, /does not answer the key/],
      [
        `${right}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
        /an extension was chosen that was not/,
      ],
      [`${right}Sec-WebSocket-Protocol: chat\r\n\r\n`, /a subprotocol was chosen that was not/],
      [`HTTP/1.1 200 OK\r\nx: ${"a".repeat(70_000)}`, /does not speak HTTP/],
    ] as const
  ) {
    await using server = answer(text);
    const bad = await runTool([
      "connect",
      `ws://127.0.0.1:${server.port}/`,
      "-x",
      "a",
      ...text === "" ? ["--timeout", "300ms"] : [],
    ]);
    assert.match(bad.stderr, why);
    assert.equal(bad.code, 3);
  }
});

Deno.test("shows a refusal with its status, headers and body, and ends with 4", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/nothing`;
  const { code, stdout, stderr } = await runTool(["connect", url, "-x", "a"]);
  assert.deepEqual([code, stdout], [4, ""]);
  assert.match(stderr, /^Refused: 404 Not Found\n.*Connection: close\n.*the endpoint is at the path \/\n$/s);
});

Deno.test("ends with 5 when the connection is lost without a Close frame", async () => {
  await using server = new TcpServer((conn) => acceptUpgrade(conn));
  const { code, stderr } = await runTool(["connect", `ws://127.0.0.1:${server.port}/`, "-n"]);
  assert.equal(code, 5);
  assert.match(stderr, /^Closed lost: 1006 Abnormal Closure: the server ended the connection with a FIN/);
});

Deno.test("shows nothing of what a server sends that could paint a terminal", async () => {
  const paint = "\x1b[31mred\x07\u202eabc\u009b2J";
  await using server = sender(unmasked(OPCODE.close, closePayload(4000, paint)));
  const closed = await runTool(["connect", `ws://127.0.0.1:${server.port}/`, "-n", "-v"]);
  await using refusing = new TcpServer(async (conn) => {
    await conn.read(new Uint8Array(1024));
    const text = `HTTP/1.1 503 ${paint}\r\nX: ${paint}\r\nRetry-After: 0\r\n\r\n${paint}\n${
      "a".repeat(10_000)
    }`;
    await conn.write(new TextEncoder().encode(text));
    conn.close();
  });
  const refused = await runTool(["connect", `ws://127.0.0.1:${refusing.port}/`, "-v"]);
  assert.deepEqual([closed.code, refused.code], [1, 4]);
  for (const { stdout, stderr } of [closed, refused]) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(stdout + stderr, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    assert.ok(stderr.includes("\\u{1b}[31mred"), stderr);
  }
  assert.ok(refused.stderr.length < 6000, "at most 4 KiB of a body");
});

Deno.test("connects again when the connection ends, if asked to", async () => {
  let count = 0;
  await using server = new TcpServer(async (conn) => {
    await acceptUpgrade(conn);
    const reply = ++count < 2 ? closePayload(1012, "restart") : closePayload(1000);
    await conn.write(unmasked(OPCODE.close, reply));
    while (await conn.read(new Uint8Array(64)) !== null);
  });
  const { code, stderr } = await runTool(["connect", `ws://127.0.0.1:${server.port}/`, "-n", "--reconnect"]);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /1012 Service Restart: restart\nConnecting again in [\d.]+ s\n.*1000 Normal Closure\n$/s,
  );
});

Deno.test("closes at SIGINT and ends with 130", async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  const { code, stderr } = await runTool(["connect", url, "--json", "-n"], { signal: "SIGINT" });
  assert.deepEqual([code, stderr], [130, ""]);
});

Deno.test("says what is wrong with a command line, and what would be right", async () => {
  const cases = [
    [["http://localhost/"], /"http:\/\/localhost\/": it must be ws:\/\//],
    [["ws://a:b@localhost/"], /URL "ws:\/\/\.\.\.@localhost/],
    [["ws://localhost/", "-H", "Host: x"], /--header "Host: x"/],
    [["ws://localhost/", "-H", "a: b\r\nc: d"], /--header/],
    [["ws://localhost/", "-s", "a b"], /--subprotocol "a b"/],
    [["ws://localhost/", "--present", "first"], /--present without a token/],
    [["ws://localhost/", "--cert", "x"], /only one of --cert and --key/],
    [["ws://localhost/", "--user", "a", "--token-file", "b"], /one token/],
  ] as const;
  for (const [args, said] of cases) {
    const { code, stdout, stderr } = await runTool(["connect", ...args]);
    assert.match(stderr, said);
    assert.deepEqual([code, stdout], [2, ""]);
  }
});

Deno.test("has a help with examples", async () => {
  const { code, stdout } = await run(["connect", "--help"], { onlyPermissions: ["--no-prompt"] });
  assert.equal(code, 0);
  assert.match(stdout, /\nExamples:\n(.*\n)* {2}(deno task )?wsward connect/);
});

const hasScript = findProgram("script") !== undefined;

Deno.test("has a prompt on a terminal, with commands and history", { ignore: !hasScript }, async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  await using terminal = new Terminal(["connect", url, "--no-color"]);
  await terminal.shows(/Connected to .*\/help.*> /s);
  await terminal.type("hello\n");
  await terminal.shows(/< Server received: hello\r?\n/);
  // The arrow brings the line back.
  await terminal.type("\x1b[A\n");
  await terminal.shows(/(< Server received: hello\r?\n.*){2}/s);
  await terminal.type("//slash\n");
  await terminal.shows(/< Server received: \/slash\r?\n/);
  await terminal.type("/binary 00 ff\n");
  await terminal.shows(/< binary, 2 bytes: 00 ff\r?\n/);
  await terminal.type("/stats\n");
  await terminal.shows(/4 sent, 4 received/);
  await terminal.type("/clsoe\n");
  await terminal.shows(/the nearest one is \/close/);
  await terminal.type("/close 4999 bye\n");
  await terminal.shows(/Closed by this client: 4999 private use/);
  assert.equal(await terminal.code(), 1);
});

Deno.test("closes at Ctrl-D with 0, at Ctrl-C with 130", { ignore: !hasScript }, async () => {
  await using server = startServer();
  const url = `ws://127.0.0.1:${await server.port("echo")}/`;
  for (const [key, expected] of [["\x04", 0], ["\x03", 130]] as const) {
    await using terminal = new Terminal(["connect", url, "--no-color"]);
    await terminal.shows(/> /);
    await terminal.type(key);
    await terminal.shows(/Closed by this client: 1000 Normal Closure/);
    assert.equal(await terminal.code(), expected);
  }
});

Deno.test("ends at a second Ctrl-C though the server does not answer", { ignore: !hasScript }, async () => {
  await using server = sender();
  await using terminal = new Terminal([
    "connect",
    `ws://127.0.0.1:${server.port}/`,
    "--timeout",
    "10m",
    "--no-color",
  ]);
  await terminal.shows(/> /);
  // Each one that is typed counts once it is read; what comes at once counts as one.
  const typing = setInterval(() => void terminal.type("\x03"), 150);
  try {
    await terminal.shows(/Closed lost/);
    assert.equal(await terminal.code(), 130);
  } finally {
    clearInterval(typing);
  }
});

Deno.test("shows on a terminal nothing that could paint it", { ignore: !hasScript }, async () => {
  await using server = sender(unmasked(OPCODE.text, "a\x1b[31mred\x07\u202e\nb"));
  await using terminal = new Terminal(["connect", `ws://127.0.0.1:${server.port}/`, "--no-color"]);
  await terminal.shows(/< a\\u\{1b\}\[31mred\\u\{7\}\\u\{202e\}\\u\{a\}b\r?\n/);
  assert.ok(!terminal.text.includes("\x1b[31m"));
});
