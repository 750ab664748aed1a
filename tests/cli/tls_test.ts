// The program with TLS: wss from the command line, certificates changed while it runs, client certificates.
import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { Program, startServer } from "../support/process.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

function read(name: string): string {
  return Deno.readTextFileSync(FIXTURES + name);
}

/** A folder with a certificate and its key, as a user would have them. */
function createFolder(): string {
  const folder = Deno.makeTempDirSync();
  use(folder, "server");
  return folder;
}

function use(folder: string, name: string): void {
  Deno.writeTextFileSync(`${folder}/tls.crt`, read(`${name}.pem`));
  Deno.writeTextFileSync(`${folder}/tls.key`, read(`${name}.key.pem`), { mode: 0o600 });
}

async function connect(
  port: number,
  ca: string,
  client: { cert: string; key: string } | object = {},
): Promise<RawClient> {
  const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts: [read(ca)], ...client });
  const raw = new RawClient(conn);
  try {
    assert.equal((await raw.handshake()).status, 101);
    return raw;
  } catch (error) {
    raw.close();
    throw error;
  }
}

const TLS_FLAGS = ["--no-secure", "--tls-cert", "tls.crt", "--tls-key", "tls.key"];

async function stop(program: Program, folder: string): Promise<void> {
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("serves wss, and says so to plain HTTP", async () => {
  const folder = createFolder();
  await using program = startServer(TLS_FLAGS, { folder });
  const port = await program.port("echo");
  assert.equal(program.stdout.text, `Listening on wss://127.0.0.1:${port}/ (echo)\n`);
  using client = await connect(port, "server.pem");
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
  await client.sendFrame({ opcode: 3 });
  assert.equal((await client.nextClose()).code, 1002);
  client.close();
  using plain = await RawClient.open({ port });
  await plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(new TextDecoder().decode(await plain.eof()), /^HTTP\/1\.1 400 .*wss:/s);
  await stop(program, folder);
});

Deno.test("a health path answers behind TLS, on each endpoint, also a request of HTTP/1.0", async () => {
  const folder = createFolder();
  await using program = startServer(["--health-path", "/up", ...TLS_FLAGS.slice(1)], { folder });
  for (const endpoint of ["echo", "secure"] as const) {
    for (const head of ["GET /up HTTP/1.1\r\nHost: any\r\n\r\n", "GET /up HTTP/1.0\r\n\r\n"]) {
      const port = await program.port(endpoint);
      using client = new RawClient(
        await Deno.connectTls({ hostname: "localhost", port, caCerts: [read("server.pem")] }),
      );
      await client.send(head);
      assert.match(new TextDecoder().decode(await client.eof()), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok\n$/s);
    }
  }
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("SIGHUP changes the certificate without dropping a connection, and a bad pair keeps the old one", async () => {
  const folder = createFolder();
  await using program = startServer(TLS_FLAGS, { folder });
  const port = await program.port("echo");
  using before = await connect(port, "server.pem");
  use(folder, "renewed");
  program.signal("SIGHUP");
  await program.logged(/tls\.reloaded/);
  using after = await connect(port, "renewed.pem");
  await assert.rejects(connect(port, "server.pem"));
  Deno.writeTextFileSync(`${folder}/tls.key`, read("server.key.pem"));
  program.signal("SIGHUP");
  await program.logged(/tls\.reload_failed/);
  using still = await connect(port, "renewed.pem");
  for (const client of [before, after, still]) {
    await client.sendText("x");
    assert.equal(await client.nextText(), "Server received: x");
    client.close();
  }
  await stop(program, folder);
});

Deno.test("with a client authority only its certificates get in", async () => {
  const folder = createFolder();
  Deno.writeTextFileSync(`${folder}/ca.crt`, read("client_ca.pem"));
  await using program = startServer([...TLS_FLAGS, "--tls-client-ca", "ca.crt"], { folder });
  const port = await program.port("echo");
  using client = await connect(port, "server.pem", { cert: read("client.pem"), key: read("client.key.pem") });
  await client.sendText("x");
  assert.equal(await client.nextText(), "Server received: x");
  client.close();
  await assert.rejects(connect(port, "server.pem"));
  await assert.rejects(
    connect(port, "server.pem", { cert: read("stranger.pem"), key: read("stranger.key.pem") }),
  );
  await stop(program, folder);
});

Deno.test("of a TLS peer that floods and never reads, little is taken before it is cut", async () => {
  const folder = createFolder();
  const flags = [
    ...TLS_FLAGS,
    "--send-timeout",
    "300ms",
    "--message-rate",
    "unlimited",
    "--byte-rate",
    "unlimited",
  ];
  await using program = startServer(flags, { folder });
  const port = await program.port("echo");
  using flood = await connect(port, "server.pem");
  const payload = new Uint8Array(60_000);
  let sentBytes = 0;
  try {
    for (;;) {
      await flood.sendBinary(payload);
      sentBytes += payload.length;
      assert.ok(sentBytes < 64 * 2 ** 20, "taken without end");
    }
  } catch (error) {
    // Cut by the server, which is what is awaited.
    if (error instanceof assert.AssertionError) throw error;
  }
  assert.ok(sentBytes > 0, "some of it is taken");
  await stop(program, folder);
});

Deno.test("what can't be used for TLS is said at start", async () => {
  const cases: [string[], number, RegExp][] = [
    [["--tls-cert", "tls.crt"], 2, /--tls-key/],
    [["--tls-client-ca", "tls.crt"], 2, /--tls-cert/],
    [
      ["--tls-cert", "tls.crt", "--tls-key", "other.key"],
      1,
      /key "other\.key": .*does not belong to the TLS certificate "tls\.crt"/,
    ],
    [["--tls-cert", "missing.crt", "--tls-key", "tls.key"], 1, /missing\.crt/],
    [["--tls-cert", "tls.key", "--tls-key", "tls.key"], 1, /certificate "tls\.key": there is no certificate/],
    [
      ["--tls-cert", "tls.crt", "--tls-key", "broken.key"],
      1,
      /TLS key "broken\.key": it is not an unencrypted/,
    ],
    [
      [...TLS_FLAGS.slice(1), "--tls-client-ca", "tls.key"],
      1,
      /TLS client CA "tls\.key": there is no certificate/,
    ],
  ];
  for (const [flags, code, expected] of cases) {
    const folder = createFolder();
    Deno.writeTextFileSync(`${folder}/other.key`, read("renewed.key.pem"), { mode: 0o600 });
    Deno.writeTextFileSync(`${folder}/broken.key`, "no key\n", { mode: 0o600 });
    await using program = startServer(["--no-secure", ...flags], { folder });
    const result = await program.result();
    assert.equal(result.code, code);
    assert.match(result.stderr, expected);
    assert.equal(result.stderr.trimEnd().split("\n").length, 1);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("without TLS, listening beyond the machine is warned of once", async () => {
  await using program = startServer(["--host", "0.0.0.0"]);
  await program.port("secure");
  program.signal("SIGTERM");
  const { stderr } = await program.result();
  assert.equal(stderr.split("\n").filter((line) => line.includes("server.plaintext")).length, 1);
});

Deno.test("warns of a key that others can read, at the start and at SIGHUP", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const folder = createFolder();
  await using program = startServer(TLS_FLAGS, { folder });
  await program.port("echo");
  for (const mode of [0o640, 0o600]) {
    Deno.chmodSync(`${folder}/tls.key`, mode);
    program.signal("SIGHUP");
    await program.logged(/tls\.reloaded/);
    assert.doesNotMatch(program.stderr.text, /tls\.key_open/);
  }
  Deno.chmodSync(`${folder}/tls.key`, 0o644);
  program.signal("SIGHUP");
  await program.logged(/tls\.key_open .*file=tls\.key/);
  await stop(program, folder);
});
