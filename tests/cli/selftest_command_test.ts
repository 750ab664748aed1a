// The command `selftest` as a user runs it: against our own server, which passes all cases, and against bad ones.

import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { findProgram } from "../support/deploy.ts";
import { acceptUpgrade, runTool, TcpServer, Terminal } from "../support/tool_process.ts";
import { misbehave, startBad } from "../support/bad_servers.ts";
import { startPermissions, startServer } from "../support/process.ts";

/** What is used of a socket of npm `ws`, which brings no types. */
interface ForeignSocket {
  on(event: "error", listener: () => void): void;
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): void;
  send(data: unknown, options: { readonly binary: boolean }): void;
}

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

async function answer(conn: Deno.TcpConn, text: string): Promise<void> {
  await conn.read(new Uint8Array(4096));
  await conn.write(new TextEncoder().encode(text));
}

/** Runs it with the permissions of its task. */
async function selftest(args: readonly string[], more: readonly string[] = []) {
  const folder = await Deno.makeTempDir();
  const runtimeDir = `${await Deno.makeTempDir()}/run`;
  const permissions = startPermissions(runtimeDir, more);
  const env = { WSWARD_RUNTIME_DIR: runtimeDir };
  const result = await runTool(["selftest", ...args], { folder, permissions, env });
  return { ...result, folder };
}

interface Json {
  readonly summary: Readonly<Record<string, number>>;
  readonly cases: readonly { readonly id: string; readonly result: string; readonly observed: string }[];
  readonly controlConnection: string;
}

/** A server whose limits of time come soon, and that is in no hurry otherwise: how long is another matter. */
const SOON = [
  ...["--handshake-timeout", "5s", "--auth-timeout", "5s", "--ping-interval", "5s"],
  ...["--clock-tolerance", "0s", "--handshake-rate", "unlimited"],
];
/** Findings, and those only, on however slow a machine. */
const PATIENT = ["--json", "--timeout", "10s", "--connection-rate", "1000"];

/** All that is not as it should be. */
function findings({ cases }: Json): string[] {
  return cases.filter(({ result }) => ["fail", "warn", "error"].includes(result)).map((
    { id, result, observed },
  ) => `${id}: ${result}, ${observed}`);
}

for (
  const [name, flags] of Object.entries({
    "ws": [],
    "wss": ["--tls-cert", `${FIXTURES}server.pem`, "--tls-key", `${FIXTURES}server.key.pem`],
  })
) {
  Deno.test(`our own server passes every case, and every limit is there (${name})`, async () => {
    const args = [...PATIENT, "--class", "limit", ...SOON, ...flags];
    const { code, stdout, stderr } = await selftest(args, [`--allow-read=${FIXTURES}`]);
    assert.equal(stderr, "");
    const json: Json = JSON.parse(stdout);
    assert.deepEqual(findings(json), []);
    assert.equal(code, 0);
    assert.equal(json.controlConnection, "open throughout");
    assert.ok(json.summary["pass"]! > 120, JSON.stringify(json.summary));
    const isTls = name === "wss";
    assert.equal(json.cases.find(({ id }) => id === "tls-plain")?.result, isTls ? "pass" : "skip");
  });
}

Deno.test("our own server passes every case in front of somebody else's (npm ws)", async () => {
  const upstream = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => false });
  upstream.on("connection", (socket: ForeignSocket) => {
    // It has limits of its own, which are not what this is about.
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise((resolve) => upstream.once("listening", resolve));
  const target = `ws://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  await using server = startServer([
    "--upstream",
    target,
    "--upstream-auth",
    "none",
    "--upstream-path",
    "/",
    "--ban-after",
    "off",
    "--upstream-timeout",
    "2s",
    ...SOON,
  ]);
  const url = `ws://127.0.0.1:${await server.port("upstream")}/`;
  const args = ["selftest", url, ...PATIENT, "--class", "limit"];
  const { code, stdout, stderr } = await runTool(args, { folder: server.folder });
  assert.equal(stderr, "");
  const json: Json = JSON.parse(stdout);
  assert.deepEqual(findings(json), []);
  assert.equal(code, 0);
  assert.ok(json.summary["pass"]! > 100, JSON.stringify(json.summary));
  server.signal("SIGTERM");
  await server.result();
  await new Promise((resolve) => upstream.close(resolve));
});

Deno.test("our own server passes every case with a session, of a secure endpoint that is named, with a key", async () => {
  // All three have one user, and those that nobody closed are there for a while.
  await using server = startServer([...SOON, "--max-sessions-per-user", "unlimited"]);
  const url = `ws://127.0.0.1:${await server.port("secure")}/`;
  const common = ["selftest", url, ...PATIENT, "--key-file", "wsward.key"];
  const results = await Promise.all(
    ["first", "header", "subprotocol"].map((present) =>
      runTool([...common, "--present", present], { folder: server.folder })
    ),
  );
  for (const { code, stdout, stderr } of results) {
    assert.equal(stderr, "");
    assert.deepEqual(findings(JSON.parse(stdout)), []);
    assert.equal(code, 0);
  }
});

Deno.test("tells the findings, how to repeat one, and the bytes on the wire", async () => {
  await using server = startBad("lenient");
  const url = `ws://127.0.0.1:${server.port}/`;
  const run = (...args: readonly string[]) => runTool(["selftest", url, "--timeout", "3s", ...args]);
  const all = await run("--only", "framing");
  assert.equal(all.code, 1);
  assert.match(
    all.stdout,
    /^ws:\/\/127\.0\.0\.1:\d+\/: an echo\n\nframing\n {2}pass {3}fr-echo +both are answered\n/,
  );
  assert.match(all.stdout, /\nfail fr-rsv1 \(RFC 6455 §5\.2, MUST\)\n {2}sends: {4}a text with RSV1\n/);
  const repeat = `  repeat:   wsward selftest ${url} --only fr-rsv1 --trace`;
  assert.ok(all.stdout.includes(repeat), all.stdout);
  const one = await run("--only", "fr-rsv1", "--trace");
  assert.match(one.stdout, / 1 > GET \/ HTTP\/1\.1 \| .*User-Agent: wsward-selftest/);
  assert.match(one.stdout, / 1 > c1 84 37 fa 21 3d /);
  assert.match(one.stdout, / 1 < 81 04 72 73 76 31/);
});

Deno.test("ends with the code that --fail-on asks for, and --strict takes a warning for a fail", async () => {
  await using server = startBad("lenient");
  const url = `ws://127.0.0.1:${server.port}/`;
  const code = async (...args: readonly string[]) =>
    (await runTool(["selftest", url, "--timeout", "5s", ...args])).code;
  assert.equal(await code("--only", "fr-rsv1"), 1);
  assert.equal(await code("--only", "fr-rsv1", "--fail-on", "never"), 0);
  assert.equal(await code("--only", "hs-path-unknown"), 0);
  assert.equal(await code("--only", "hs-path-unknown", "--fail-on", "warn"), 1);
  assert.equal(await code("--only", "hs-path-unknown", "--strict"), 1);
});

Deno.test("writes files for machines", async () => {
  await using server = startBad("lenient");
  const folder = await Deno.makeTempDir();
  const args = ["--only", "fr-rsv*", "--timeout", "5s", "--junit", "junit.xml", "--sarif", "found.sarif"];
  const { code } = await runTool(["selftest", `ws://127.0.0.1:${server.port}/`, ...args], {
    folder,
    permissions: [
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-read=.",
      "--allow-write=.",
      "--allow-env=WSWARD_*",
    ],
  });
  assert.equal(code, 1);
  assert.match(
    await Deno.readTextFile(`${folder}/junit.xml`),
    /<testsuites name="wsward selftest ws:.*tests="4" failures="4"/,
  );
  const sarif = JSON.parse(await Deno.readTextFile(`${folder}/found.sarif`));
  assert.equal(sarif.runs[0].results.length, 4);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("tests a server that is no echo by what it answers", async () => {
  // It says the same to every message, and answers Pings.
  await using server = new TcpServer(async (conn) => {
    await acceptUpgrade(conn);
    const buffer = new Uint8Array(1024);
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      const isText = (buffer[0]! & 15) === 1;
      await conn.write(isText ? Uint8Array.of(0x81, 2, 0x68, 0x69) : Uint8Array.of(0x8a, 0));
    }
  });
  const url = `ws://127.0.0.1:${server.port}/`;
  const run = (...args: readonly string[]) => runTool(["selftest", url, "--only", "fr-echo", ...args]);
  const seen = await run();
  assert.deepEqual([seen.code, /: answers "hi"\n/.test(seen.stdout)], [0, true]);
  assert.equal((await run("--send", "hello", "--expect", "hi")).code, 0);
  const wrong = await run("--expect", "ho");
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /is answered with "hi", not with what --expect says/);
});

Deno.test("ends with 3 where there is nothing to test, and says why", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const refused = await runTool(["selftest", `ws://127.0.0.1:${port}/`]);
  assert.deepEqual([refused.code, refused.stdout], [3, ""]);
  assert.match(refused.stderr, /^Cannot test ws:.*connection refused/);
  await using silent = new TcpServer(async (conn) => {
    while (await conn.read(new Uint8Array(1024)) !== null);
  });
  assert.equal((await runTool(["selftest", `ws://127.0.0.1:${silent.port}/`, "--timeout", "100ms"])).code, 3);
  await using error = startBad("error");
  const answered = await runTool(["selftest", `ws://127.0.0.1:${error.port}/`]);
  assert.equal(answered.code, 3);
  assert.match(answered.stderr, /a handshake is answered with 500/);
  await using server = startServer();
  const secure = await runTool(["selftest", `ws://127.0.0.1:${await server.port("secure")}/`]);
  assert.equal(secure.code, 3, "a server that wants a token, without one");
});

Deno.test("asks again where a server says that it can't now, and does not take that for an answer", async () => {
  let count = 0;
  await using server = new TcpServer(async (conn) => {
    // Each second handshake is one too many.
    if (++count % 2 === 0) {
      return await answer(conn, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\n\r\n");
    }
    await misbehave(conn, "lenient");
  }, { isAbandoned: true });
  const args = [
    "selftest",
    `ws://127.0.0.1:${server.port}/`,
    "--only",
    "hs-accept",
    "--only",
    "ctl-ping-5",
    "--json",
  ];
  const { code, stdout } = await runTool(args);
  assert.deepEqual(JSON.parse(stdout).cases.map(({ result }: { result: string }) => result), [
    "pass",
    "pass",
  ]);
  assert.equal(code, 0);
  await using busy = new TcpServer((conn) => answer(conn, "HTTP/1.1 503 Service Unavailable\r\n\r\n"));
  const refused = await runTool(["selftest", `ws://127.0.0.1:${busy.port}/`]);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /503/);
});

Deno.test("tells a connection that was open throughout and did not last", async () => {
  const open: Deno.TcpConn[] = [];
  await using server = new TcpServer(async (conn) => {
    open.push(conn);
    // The first one is the innocent one; the third costs it its connection.
    if (open.length === 3) open[0]!.close();
    await misbehave(conn, "lenient");
  }, { isAbandoned: true });
  const args = ["selftest", `ws://127.0.0.1:${server.port}/`, "--only", "ctl-ping-0", "--only", "ctl-ping-5"];
  const warned = await runTool(args);
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /The connection that was open throughout was lost: a (FIN|RST)/);
});

Deno.test("tells which case is running on a terminal, and paints it unless told otherwise", {
  ignore: findProgram("script") === undefined,
}, async () => {
  await using server = startBad("lenient");
  const args = ["selftest", `ws://127.0.0.1:${server.port}/`, "--only", "ctl-ping-5"];
  await using plain = new Terminal([...args, "--no-color"]);
  assert.equal(await plain.code(), 0);
  assert.ok(plain.text.includes("\r\x1b[K1 of 1: ctl-ping-5\r\x1b[K"), JSON.stringify(plain.text));
  assert.ok(!plain.text.includes("\x1b[3"));
  await using painted = new Terminal(args, { NO_COLOR: "" });
  await painted.code();
  assert.ok(painted.text.includes("\x1b[32mpass "));
  await using quiet = new Terminal(args, { NO_COLOR: "1" });
  await quiet.code();
  assert.ok(!quiet.text.includes("\x1b[3"));
});

Deno.test("tests a server on a Unix socket", async () => {
  const path = `${await Deno.makeTempDir()}/ws.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const open: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      open.push(conn);
      void misbehave(conn, "lenient").catch(() => {});
    }
  })();
  const permissions = [
    "--no-prompt",
    `--allow-read=${path}`,
    `--allow-write=${path}`,
    `--allow-net=unix:${path}`,
  ];
  const args = ["selftest", `unix://${path}:/`, "--only", "fr-echo"];
  const { code, stdout } = await runTool(args, { permissions: [...permissions, "--allow-env=WSWARD_*"] });
  assert.equal(code, 0, stdout);
  listener.close();
  await accepting;
  for (const conn of open) conn.close();
});

Deno.test("ends with 3 where the time is over before the end, and sends no more than it may", async () => {
  await using server = startBad("lenient");
  const url = `ws://127.0.0.1:${server.port}/`;
  const late = await runTool([
    "selftest",
    url,
    "--only",
    "ctl-ping-*",
    "--max-time",
    "100ms",
    "--connection-rate",
    "2",
  ]);
  assert.equal(late.code, 3);
  assert.match(late.stdout, /The time is over \(--max-time\): the rest was not run/);
  const spent = await runTool([
    "selftest",
    url,
    "--class",
    "limit",
    "--only",
    "limit-frame",
    "--max-bytes",
    "1MiB",
  ]);
  assert.match(spent.stdout, /error +limit-frame +all that may be sent was sent: raise --max-bytes/);
});

Deno.test("ends with 4 when the server has stopped answering", async () => {
  // It dies of the first frame that it does not know.
  const server: TcpServer = new TcpServer(async (conn): Promise<void> => {
    await acceptUpgrade(conn);
    const buffer = new Uint8Array(1024);
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      if ((buffer[0]! & 15) === 1) {
        const key = buffer.slice(2, 6);
        await conn.write(
          Uint8Array.of(0x81, count - 6, ...buffer.slice(6, count).map((byte, i) => byte ^ key[i & 3]!)),
        );
      } else if ((buffer[0]! & 15) === 9) await conn.write(Uint8Array.of(0x8a, 0));
      else return await server[Symbol.asyncDispose]();
    }
  }, { isAbandoned: true });
  const { code, stdout } = await runTool([
    "selftest",
    `ws://127.0.0.1:${server.port}/`,
    "--only",
    "fr-opcode-3",
  ]);
  assert.equal(code, 4);
  assert.match(stdout, /and after it the server takes no connection any more/);
  assert.match(stdout, /The server stopped answering: the rest was not run/);
});

Deno.test("ends with 130 at Ctrl-C, with what was found", async () => {
  await using server = startBad("lenient");
  const args = ["selftest", `ws://127.0.0.1:${server.port}/`, "--class", "limit", "--timeout", "5s"];
  const { code, stdout } = await runTool(args, { signal: "SIGINT" });
  assert.equal(code, 130);
  assert.match(stdout, /Interrupted: the rest was not run/);
});

Deno.test("attacks no other machine unless its host is repeated", async () => {
  const url = "ws://192.0.2.1/";
  const refused = await runTool(["selftest", url]);
  assert.deepEqual([refused.code, refused.stdout], [2, ""]);
  assert.match(refused.stderr, /"192\.0\.2\.1": it is not this machine.*--i-am-authorised 192\.0\.2\.1/);
  const other = await runTool(["selftest", url, "--i-am-authorised", "192.0.2.2"]);
  assert.deepEqual([other.code, other.stdout], [2, ""]);
  // With it, the missing permission is what stops it here.
  const allowed = await runTool(["selftest", url, "--i-am-authorised", "192.0.2.1", "--timeout", "100ms"]);
  assert.equal(allowed.code, 3);
});

Deno.test("lists the cases, a line each", async () => {
  const { code, stdout } = await runTool(["selftest", "--list"]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^handshake\n {2}hs-accept +harmless +RFC 6455 §4\.2\.2, MUST: a valid handshake: 101 /,
  );
  assert.doesNotMatch(stdout, /never-read/);
  const all = await runTool(["selftest", "--list", "--class", "limit", "--class", "exhaustion"]);
  assert.match(all.stdout, /\n {2}never-read +exhaustion /);
});

Deno.test("says what is wrong with a command line, and what would be right", async () => {
  const cases = [
    [["--only", "hs-acept"], /--only "hs-acept": there is no such case, the nearest one is hs-accept/],
    [["--only", "never-read"], /--only "never-read": it needs --class exhaustion/],
    [["--class", "all"], /--class "all": it must be limit or exhaustion/],
    [["http://localhost/"], /URL "http:\/\/localhost\/": it must be ws:/],
    [["--timeout", "0s"], /--timeout "0s": it must be from 50ms to 1m/],
    [["--fail-on", "x"], /--fail-on "x"/],
    [["--send", "\u{1f600}\u{1f600}"], /--send ".*": it must be 2 to 100 characters of printable ASCII/],
    [["--pid", "x", "ws://127.0.0.1:1/"], /--pid "x": it must be the number of a process/],
    [["--token", "a", "--token-file", "b", "ws://127.0.0.1:1/"], /there is one token/],
    [["--i-am-authorised", "localhost"], /--i-am-authorised without a URL/],
  ] as const;
  for (const [args, said] of cases) {
    const { code, stdout, stderr } = await runTool(["selftest", ...args]);
    assert.match(stderr, said);
    assert.deepEqual([code, stdout], [2, ""]);
  }
});
