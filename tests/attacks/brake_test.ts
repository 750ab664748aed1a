// Refusals have a brake too: the rate is checked before any work, and who breaks rules before the 101 is banned.

import assert from "node:assert/strict";
import { isConnectionLost } from "../../src/firewall/byte_socket.ts";
import { openFrom } from "../support/bound_socket.ts";
import { type Program, startServer } from "../support/process.ts";
import { concat, RawClient, requestHead } from "../support/raw_client.ts";

const TLS = new URL("../fixtures/tls/", import.meta.url).pathname;
const TLS_FLAGS = ["--tls-cert=server.pem", "--tls-key=server.key.pem"];
const MALFORMED = "GET / HTTP/1.1\r\n: nothing\r\n\r\n";

/** Runs a test against the echo endpoint of one program, which must end with 0 afterwards. */
async function withProgram(
  args: readonly string[],
  test: (port: number, program: Program) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["server.pem", "server.key.pem"]) {
      await Deno.writeTextFile(`${folder}/${name}`, await Deno.readTextFile(TLS + name), { mode: 0o600 });
    }
    await using program = startServer(["--no-secure", ...args], { folder });
    await test(await program.port("echo"), program);
    program.signal("SIGTERM");
    const { code, stderr } = await program.result();
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /process\.unhandled|connection\.fault/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The status of the answer to `bytes` from an address of this machine, read to the end. */
async function statusOf(address: string, port: number, bytes: string | Uint8Array): Promise<number> {
  using client = await openFrom(address, port);
  await client.send(bytes);
  const { status } = await client.readHead();
  if (status !== 101) await client.eof();
  return status;
}

/** Sends plain HTTP to a TLS listener, and waits for the end. */
async function failTls(address: string, port: number): Promise<void> {
  using client = await openFrom(address, port);
  await client.send(requestHead());
  await client.eof();
}

Deno.test("malformed heads, and peers that send none, take their place in the handshake rate", async () => {
  await withProgram(["--handshake-rate=3/s"], async (port) => {
    const statuses = await Promise.all(
      Array.from({ length: 8 }, () => statusOf("127.0.0.64", port, MALFORMED)),
    );
    assert.deepEqual(new Set(statuses), new Set([400, 429]));
    assert.ok(statuses.filter((status) => status === 400).length >= 3);
    const silent = await Promise.all(Array.from({ length: 8 }, () => openFrom("127.0.0.65", port)));
    // Nothing was sent, and some are answered all the same: the rate is taken before anything is read.
    const { status, headers } = await Promise.any(silent.map((client) => client.readHead()));
    assert.deepEqual([status, headers.get("retry-after")], [429, "1"]);
    for (const client of silent) client.close();
    assert.equal(await statusOf("127.0.0.66", port, requestHead()), 101);
  });
});

Deno.test("TLS handshakes are in the rate, and the one too many gets no TLS", async () => {
  await withProgram(["--handshake-rate=3/s", ...TLS_FLAGS], async (port, program) => {
    const caCerts = [Deno.readTextFileSync(`${TLS}server.pem`)];
    const connect = async () => {
      using conn = await Deno.startTls(await Deno.connect({ port }), { hostname: "localhost", caCerts });
      try {
        await conn.handshake();
        return true;
      } catch (error) {
        assert.ok(isConnectionLost(error), String(error));
        return false;
      }
    };
    const done = await Promise.all(Array.from({ length: 8 }, connect));
    assert.ok(done.filter((isDone) => isDone).length >= 3);
    assert.ok(done.includes(false));
    await program.logged(/handshake\.refused .*status=429 rule=handshake_rate/);
  });
});

Deno.test("malformed heads ban an address after exactly --ban-after of them; what is only not wanted does not", async () => {
  await withProgram(
    ["--ban-after=3", "--ban-loopback", "--handshake-rate=unlimited"],
    async (port, program) => {
      for (let i = 0; i < 5; i++) {
        assert.equal(await statusOf("127.0.0.74", port, requestHead({ target: "/other" })), 404);
        assert.equal(await statusOf("127.0.0.74", port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 426);
        assert.equal(
          await statusOf("127.0.0.74", port, requestHead({ headers: { "X-A": "a".repeat(20_000) } })),
          431,
        );
        const gone = await openFrom("127.0.0.74", port);
        await gone.send("GET /");
        gone.close();
      }
      for (let i = 0; i < 2; i++) assert.equal(await statusOf("127.0.0.74", port, MALFORMED), 400);
      assert.equal(await statusOf("127.0.0.74", port, requestHead()), 101);
      assert.equal(await statusOf("127.0.0.74", port, "\x16\x03\x01\r\n"), 400);
      await program.logged(/client\.banned .*peer=127\.0\.0\.74 /);
      assert.equal(await statusOf("127.0.0.74", port, requestHead()), 403);
      assert.equal(await statusOf("127.0.0.75", port, requestHead()), 101);
    },
  );
});

Deno.test("failed TLS handshakes ban an address, and those that a peer just leaves do not", async () => {
  const args = ["--ban-after=3", "--ban-loopback", "--handshake-rate=unlimited", ...TLS_FLAGS];
  await withProgram(args, async (port, program) => {
    for (let i = 0; i < 6; i++) {
      using probe = await openFrom("127.0.0.76", port);
      await probe.closeWrite();
      await probe.eof();
    }
    for (let i = 0; i < 3; i++) await failTls("127.0.0.77", port);
    await program.logged(/client\.banned .*peer=127\.0\.0\.77 /);
    assert.doesNotMatch(program.stderr.text, /client\.banned .*peer=127\.0\.0\.76 /);
    using banned = await openFrom("127.0.0.77", port);
    await banned.eof();
    await program.logged(/handshake\.refused .*peer=127\.0\.0\.77 .*status=403 rule=ban/);
  });
});

Deno.test("a client of a proxy is counted by its own address, and what it breaks never bans the proxy", async () => {
  const args = ["--trust-proxy=127.0.0.1", "--ban-after=3", "--ban-loopback", "--handshake-rate=4/s"];
  const from = (address: string) => requestHead({ headers: { "X-Forwarded-For": address } });
  await withProgram(args, async (port) => {
    for (let i = 0; i < 6; i++) assert.equal(await statusOf("127.0.0.1", port, MALFORMED), 400);
    assert.equal(await statusOf("127.0.0.1", port, requestHead()), 101);
    const statuses = await Promise.all(
      Array.from({ length: 8 }, () => statusOf("127.0.0.1", port, from("203.0.113.1"))),
    );
    assert.deepEqual(new Set(statuses), new Set([101, 429]));
    const broken = from("203.0.113.2").replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x");
    for (let i = 0; i < 3; i++) assert.equal(await statusOf("127.0.0.1", port, broken), 400);
    assert.equal(await statusOf("127.0.0.1", port, from("203.0.113.2")), 403);
    assert.equal(await statusOf("127.0.0.1", port, from("203.0.113.3")), 101);
  });
});

Deno.test("a client that a PROXY preamble names is counted before TLS", async () => {
  const args = ["--trust-proxy=127.0.0.1", "--proxy-protocol", "--ban-after=3", ...TLS_FLAGS];
  await withProgram(args, async (port, program) => {
    const preamble = "PROXY TCP4 203.0.113.40 192.0.2.1 1000 80\r\n";
    for (let i = 0; i < 3; i++) {
      using client = await openFrom("127.0.0.1", port);
      await client.send(preamble + requestHead());
      await client.eof();
    }
    await program.logged(/client\.banned .*peer=203\.0\.113\.40 /);
    using banned = await openFrom("127.0.0.1", port);
    await banned.send(preamble);
    await banned.eof();
    await program.logged(/handshake\.refused .*peer=203\.0\.113\.40 .*status=403 rule=ban/);
  });
});

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const NAMING_NOBODY: Readonly<Record<string, Uint8Array>> = {
  "v1 UNKNOWN": new TextEncoder().encode("PROXY UNKNOWN\r\n"),
  "v1 UNKNOWN with addresses": new TextEncoder().encode("PROXY UNKNOWN 203.0.113.98 192.0.2.1 1 2\r\n"),
  "v2 LOCAL": Uint8Array.from([...SIGNATURE, 0x20, 0x11, 0, 12, 203, 0, 113, 98, 192, 0, 2, 1, 0, 1, 0, 2]),
  "v2 UNSPEC": Uint8Array.from([...SIGNATURE, 0x21, 0, 0, 0]),
  "v2 AF_UNIX": Uint8Array.from([...SIGNATURE, 0x21, 0x31, 0, 216, ...new Uint8Array(216)]),
};

Deno.test("where a PROXY preamble is expected, X-Forwarded-For is never looked at, whatever the preamble says", async () => {
  const args = ["--trust-proxy=127.0.0.1", "--proxy-protocol", "--handshake-rate=unlimited"];
  const head = new TextEncoder().encode(requestHead({ headers: { "X-Forwarded-For": "203.0.113.99" } }));
  await withProgram(args, async (port, program) => {
    for (const [name, preamble] of Object.entries(NAMING_NOBODY)) {
      using client = await openFrom("127.0.0.1", port);
      await client.send(concat(preamble, head));
      assert.equal((await client.readHead()).status, 101, name);
      await client.sendText("hello");
      assert.equal(await client.nextText(), "Server received: hello");
    }
    await program.logged(/(connection\.opened .*peer=127\.0\.0\.1 [\s\S]*){5}/);
    assert.doesNotMatch(program.stderr.text, /203\.0\.113\.9[89]/);
  });
});

Deno.test("what a client claims about its own connection is not passed on to the endpoint", async () => {
  await withProgram([], async (port, program) => {
    using client = await RawClient.connect({ port }, {
      headers: { "X-Forwarded-For": "203.0.113.9", "X-Connection-Id": "forged", "X-Forwarded-Proto": "wss" },
    });
    await client.sendText("hello");
    assert.equal(await client.nextText(), "Server received: hello");
    await program.logged(/connection\.opened .*peer=127\.0\.0\.1 /);
    assert.doesNotMatch(program.stderr.text, /203\.0\.113\.9|forged/);
  });
});
