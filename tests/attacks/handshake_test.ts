// Everything that can be wrong before the 101, on the wire of the running program: each refusal says why, once.

import assert from "node:assert/strict";
import { openFrom } from "../support/bound_socket.ts";
import { type Program, startServer } from "../support/process.ts";
import {
  concat,
  frame,
  type Handshake,
  OPCODE,
  RawClient,
  requestHead,
  type ResponseHead,
} from "../support/raw_client.ts";

/** A step shares the program of its test, whose output goes on being read while the step runs. */
const SHARED = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;
const MAX_HEAD_SIZE = 16_384;

type Steps = Readonly<Record<string, (port: number, program: Program) => Promise<void>>>;

/** Runs the steps against the echo endpoint of one program, which must end with 0 afterwards; returns its log. */
async function withProgram(t: Deno.TestContext, args: readonly string[], steps: Steps): Promise<string> {
  await using program = startServer(["--no-secure", ...args]);
  const port = await program.port("echo");
  for (const [name, run] of Object.entries(steps)) {
    await t.step({ name, ...SHARED, fn: () => run(port, program) });
  }
  program.signal("SIGTERM");
  const { code, stderr } = await program.result();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /process\.unhandled|endpoint\.lost|handler\.error/);
  return stderr;
}

/** Reads a refusal to the end: one line of text of the length it claims, then the end of the connection. */
async function readRefusal(client: RawClient, status: number): Promise<ResponseHead & { reason: string }> {
  const head = await client.readHead();
  const body = new TextDecoder().decode(await client.eof());
  assert.equal(head.status, status, head.text);
  assert.match(head.text, /^HTTP\/1\.1 \d{3} [A-Za-z ]+\r\n/);
  assert.equal(head.headers.get("content-length"), String(body.length));
  assert.equal(head.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.match(head.headers.get("connection") ?? "", /\bclose$/);
  const date = head.headers.get("date") ?? "";
  assert.equal(new Date(date).toUTCString(), date);
  assert.match(body, /^[^\r\n]{10,120}\n$/);
  return { ...head, reason: body.trimEnd() };
}

async function assertRefused(port: number, bytes: string | Uint8Array, status: number) {
  using client = await RawClient.open({ port });
  await client.send(bytes);
  return await readRefusal(client, status);
}

async function assertServes(client: RawClient): Promise<void> {
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
}

/** Connects from an address of this machine and makes a handshake, whatever is answered. */
async function handshakeFrom(address: string, port: number, handshake: Handshake = {}): Promise<RawClient> {
  const client = await openFrom(address, port);
  await client.handshake(handshake);
  return client;
}

async function statusFrom(address: string, port: number, handshake: Handshake = {}): Promise<number> {
  using client = await handshakeFrom(address, port, handshake);
  return client.response!.status;
}

/** A valid head with a line replaced, or left out if `line` is empty. */
function withLine(name: string, line: string): string {
  const pattern = new RegExp(`^${name}: .*\r\n`, "m");
  assert.match(requestHead(), pattern);
  return requestHead().replace(pattern, line === "" ? "" : `${line}\r\n`);
}

function withExtra(line: string): string {
  return requestHead().replace("Host:", `${line}\r\nHost:`);
}

/** A valid head of exactly `size` bytes. */
function headOfSize(size: number): string {
  const empty = requestHead({ headers: { "X-Fill": "" } });
  return requestHead({ headers: { "X-Fill": "a".repeat(size - empty.length) } });
}

const NOT_HTTP = "this is not an HTTP/1.1 request";
const BAD_KEY = "the header Sec-WebSocket-Key must be 16 bytes";

function withKey(key: string): string {
  return withLine("Sec-WebSocket-Key", `Sec-WebSocket-Key: ${key}`);
}

/** Heads, their status, the beginning of what the peer is told, and the rule in the log. */
const REFUSED: Readonly<
  Record<string, readonly [head: string | Uint8Array, status: number, reason: string, rule?: string]>
> = {
  "a TLS hello": [
    Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03),
    400,
    NOT_HTTP,
  ],
  "an SSH banner": ["SSH-2.0-OpenSSH_9.2\r\n", 400, NOT_HTTP],
  "bytes of zero": [new Uint8Array(64), 400, NOT_HTTP],
  "the preface of HTTP/2": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "the HTTP version must be 1.1"],
  "a word": ["hello\r\n", 400, NOT_HTTP],
  "an SMTP greeting": ["EHLO example.com\r\n", 400, NOT_HTTP],
  "a PROXY preamble of a stranger": ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + requestHead(), 400, NOT_HTTP],
  "a binary PROXY preamble of a stranger": [
    concat(
      Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20, 0, 0, 0),
      new TextEncoder().encode(requestHead()),
    ),
    400,
    NOT_HTTP,
  ],
  "an empty line that ends in a line feed alone": ["\n" + requestHead(), 400, NOT_HTTP],
  "a method in lower case": [requestHead().replace("GET", "get"), 400, NOT_HTTP],
  "two spaces in the request line": [requestHead().replace("GET /", "GET  /"), 400, NOT_HTTP],
  "bare line feeds": [requestHead().replaceAll("\r\n", "\n"), 400, NOT_HTTP],
  "a bare line feed in one line": [withExtra("X-A: a\nX-B: b"), 400, "is malformed"],
  "a bare carriage return": [withExtra("X-A: a\rb"), 400, "is malformed"],
  "a NUL in a value": [withExtra("X-A: a\0b"), 400, "is malformed"],
  "a NUL in the target": [requestHead({ target: "/\0" }), 400, NOT_HTTP],
  "a folded line": [withExtra("X-A: a\r\n b"), 400, "is malformed"],
  "a space before the colon": [withExtra("X-A : a"), 400, "is malformed"],
  "a line without a colon": [withExtra("X-A"), 400, "is malformed"],
  "a line without a name": [withExtra(": a"), 400, "is malformed"],
  "an absolute target of another scheme": [
    requestHead({ target: "ftp://localhost/" }),
    400,
    "the request target must be",
  ],
  "an absolute target without a host": [requestHead({ target: "ws:///" }), 400, "the request target must be"],
  "an absolute target with a user": [
    requestHead({ target: "ws://user@localhost/" }),
    400,
    "the header Host must be a name or an address",
  ],
  "an absolute target of another host": [
    requestHead({ target: "ws://evil.example/" }),
    421,
    "this server answers to localhost",
    "host",
  ],
  "an absolute target without the header Host": [
    requestHead({ target: "ws://localhost/" }).replace("Host: localhost\r\n", ""),
    400,
    "the header Host is missing",
  ],
  "an authority as target": [
    requestHead().replace("GET /", "CONNECT localhost:80"),
    400,
    "the request target must be",
  ],
  "an asterisk as target": [requestHead({ target: "*" }), 400, "the request target must be"],
  "another path": [requestHead({ target: "/other" }), 404, "the endpoint is at the path /", "path"],
  "a path that is not written the same": [
    requestHead({ target: "//" }),
    404,
    "the endpoint is at the path /",
    "path",
  ],
  "a path with dots": [requestHead({ target: "/./" }), 404, "the endpoint is at the path /", "path"],
  "HTTP/1.0": [requestHead().replace("HTTP/1.1", "HTTP/1.0"), 505, "the HTTP version must be 1.1"],
  "HTTP/2.0": [requestHead().replace("HTTP/1.1", "HTTP/2.0"), 505, "the HTTP version must be 1.1"],
  "POST": [requestHead().replace("GET", "POST"), 405, "the method must be GET"],
  "OPTIONS": [requestHead().replace("GET", "OPTIONS"), 405, "the method must be GET"],
  "no Host": [withLine("Host", ""), 400, "the header Host is missing"],
  "an empty Host": [withLine("Host", "Host: "), 400, "the header Host is missing"],
  "two Hosts": [withExtra("Host: localhost"), 400, "must not be repeated"],
  "a Host with a path": [
    withLine("Host", "Host: localhost/"),
    400,
    "the header Host must be a name or an address",
  ],
  "a Host with a user": [
    withLine("Host", "Host: a@localhost"),
    400,
    "the header Host must be a name or an address",
  ],
  "a Host of another name (DNS rebinding)": [
    withLine("Host", "Host: evil.example"),
    421,
    "this server answers to localhost",
    "host",
  ],
  "a Host that ends in another name": [
    withLine("Host", "Host: localhost.evil.example"),
    421,
    "this server answers to localhost",
    "host",
  ],
  "a Host of another address": [
    withLine("Host", "Host: 192.0.2.1"),
    421,
    "this server answers to localhost",
    "host",
  ],
  "a body by its length": [withExtra("Content-Length: 5"), 400, "a handshake has no body"],
  "a body in chunks": [withExtra("Transfer-Encoding: chunked"), 400, "a handshake has no body"],
  "two lengths": [withExtra("Content-Length: 0\r\nContent-Length: 0"), 400, "must not be repeated"],
  "an expectation": [withExtra("Expect: 100-continue"), 417, "no body to expect"],
  "two keys": [withExtra("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "must not be repeated"],
  "two versions": [withExtra("Sec-WebSocket-Version: 13"), 400, "must not be repeated"],
  "two Origins": [
    withExtra("Origin: http://localhost\r\nOrigin: http://localhost"),
    400,
    "must not be repeated",
  ],
  "subprotocols that are no names": [
    withExtra("Sec-WebSocket-Protocol: a, b c"),
    400,
    "must be a list of names",
  ],
  "no Upgrade": [withLine("Upgrade", ""), 426, "this is a WebSocket endpoint"],
  "another Upgrade": [withLine("Upgrade", "Upgrade: h2c"), 426, "this is a WebSocket endpoint"],
  "no Connection": [withLine("Connection", ""), 426, "this is a WebSocket endpoint"],
  "a Connection that keeps alive": [
    withLine("Connection", "Connection: keep-alive"),
    426,
    "this is a WebSocket endpoint",
  ],
  "no key": [withLine("Sec-WebSocket-Key", ""), 400, BAD_KEY],
  "an empty key": [withKey(""), 400, BAD_KEY],
  "a key of 15 bytes": [withKey(btoa("a".repeat(15))), 400, BAD_KEY],
  "a key of 17 bytes": [withKey(btoa("a".repeat(17))), 400, BAD_KEY],
  "a key of 32 bytes": [withKey(btoa("a".repeat(32))), 400, BAD_KEY],
  "a key with stray bits at its end": [withKey("dGhlIHNhbXBsZSBub25jZR=="), 400, BAD_KEY],
  "a key without its padding": [withKey("dGhlIHNhbXBsZSBub25jZQ"), 400, BAD_KEY],
  "a key in base64url": [withKey("-_hlIHNhbXBsZSBub25jZQ=="), 400, BAD_KEY],
  "a key with a comma after it": [withKey("dGhlIHNhbXBsZSBub25jZQ==,"), 400, BAD_KEY],
  "two lines of Authorization": [
    withExtra("Authorization: Bearer a\r\nAuthorization: Bearer b"),
    400,
    "must not be repeated",
  ],
};

Deno.test("each handshake that breaks a rule is refused with its status and one line, then closed", async (t) => {
  await withProgram(t, ["--handshake-rate=unlimited"], {
    ...Object.fromEntries(
      Object.entries(REFUSED).map(([name, [head, status, reason, rule = "handshake"]]) => [
        `${name} gets ${status}`,
        async (port: number, program: Program) => {
          // Not the status alone, or one refusal would hide behind another.
          const refusal = await assertRefused(port, head, status);
          assert.ok(refusal.reason.includes(reason), refusal.reason);
          const told = JSON.stringify(refusal.reason).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
          await program.logged(
            new RegExp(`handshake\\.refused .*status=${status} rule=${rule} reason=${told}`),
          );
        },
      ]),
    ),
    "plain HTTP is told what this is": async (port) => {
      const { headers, reason } = await assertRefused(
        port,
        "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n",
        426,
      );
      assert.equal(headers.get("upgrade"), "websocket");
      assert.match(reason, /WebSocket/);
    },
    "a wrong version is told the right one": async (port) => {
      const { headers } = await assertRefused(
        port,
        requestHead().replace("Version: 13", "Version: 12"),
        426,
      );
      assert.equal(headers.get("sec-websocket-version"), "13");
    },
    "a wrong method is told the right one": async (port) => {
      const { headers } = await assertRefused(port, requestHead().replace("GET", "PUT"), 405);
      assert.equal(headers.get("allow"), "GET");
    },
    "HEAD gets a head and no body": async (port) => {
      for (const head of ["HEAD / HTTP/1.1\r\n: bad\r\n\r\n", requestHead().replace("GET", "HEAD")]) {
        using client = await RawClient.open({ port });
        await client.send("\r\n" + head);
        const { headers } = await client.readHead();
        assert.ok(Number(headers.get("content-length")) > 0);
        assert.equal((await client.eof()).length, 0);
      }
    },
    "the log tells the value that is not allowed, escaped and cut, and the peer is not told": async (
      port,
      program,
    ) => {
      const cases: readonly (readonly [head: string, status: number, detail: string])[] = [
        [withExtra("Origin: https://shop.example"), 403, "rule=origin .*detail=https://shop.example"],
        [withLine("Host", "Host: shop.example:1"), 421, "rule=host .*detail=shop.example:1"],
        [requestHead({ target: "/shop?token=secret" }), 404, "rule=path .*detail=/shop"],
        [withExtra("Sec-WebSocket-Protocol: a, sh(p"), 400, 'rule=handshake .*detail="sh\\(p"'],
        [requestHead().replace("HTTP/1.1", "HTTP/3.0"), 505, "rule=handshake .*detail=HTTP/3.0"],
      ];
      for (const [head, status, detail] of cases) {
        using client = await openFrom("127.0.0.43", port);
        await client.send(head);
        const { text, reason } = await readRefusal(client, status);
        assert.doesNotMatch(text + reason, /shop|sh\(p|3\.0/);
        await program.logged(new RegExp(`handshake\\.refused .*peer=127\\.0\\.0\\.43 .*${detail}`));
      }
      using client = await openFrom("127.0.0.44", port);
      await client.send(withExtra("Origin: \u009b31m" + "a".repeat(5000)));
      await readRefusal(client, 403);
      await program.logged(/peer=127\.0\.0\.44 .*detail="\u00c2\\u009b31ma{251}"/);
      assert.doesNotMatch(program.stderr.text, /token=secret/);
    },
    "the end of a head may be cut anywhere": async (port) => {
      const head = requestHead();
      for (const size of [1, 2, 3, 4]) {
        using client = await RawClient.open({ port });
        await client.send(head.slice(0, -size));
        // What comes back to another client shows that the first part has been read alone.
        using other = await RawClient.connect({ port });
        await assertServes(other);
        await client.send(head.slice(-size));
        const { status, headers } = await client.readHead();
        assert.equal(status, 101);
        assert.match(headers.get("date") ?? "", /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/);
        await assertServes(client);
      }
    },
    "no refusal repeats what the client said": async (port) => {
      const word = "SECRET<b>WORD";
      for (
        const head of [
          requestHead({ target: `/${word}` }),
          withLine("Host", `Host: ${word}`),
          withExtra(`Origin: http://${word}`),
          withExtra(`${word}: a`),
          requestHead({ headers: { Expect: word } }),
          withExtra(`Sec-WebSocket-Protocol: ${word}`),
        ]
      ) {
        using client = await RawClient.open({ port });
        await client.send(head);
        const { text, status } = await client.readHead();
        assert.notEqual(status, 101);
        assert.doesNotMatch(text + new TextDecoder().decode(await client.eof()), /SECRET/);
      }
    },
    "a head just under and exactly at the limit passes, one byte more is 431": async (port) => {
      for (const size of [MAX_HEAD_SIZE - 1, MAX_HEAD_SIZE]) {
        using client = await RawClient.connect({ port }, { head: headOfSize(size) });
        await assertServes(client);
      }
      await assertRefused(port, headOfSize(MAX_HEAD_SIZE + 1), 431);
      await assertRefused(port, requestHead({ headers: { "X-Fill": "a".repeat(100_000) } }), 431);
    },
    "a head without an end is 431 too": async (port) => {
      await assertRefused(port, "\r\n".repeat(MAX_HEAD_SIZE / 2), 431);
      await assertRefused(port, requestHead().slice(0, -2) + "X-A: a\r\n".repeat(4000), 431);
    },
    "a head that comes byte by byte is the same head": async (port) => {
      using client = await RawClient.open({ port });
      for (const byte of new TextEncoder().encode(requestHead())) await client.send(Uint8Array.of(byte));
      assert.equal((await client.readHead()).status, 101);
      await assertServes(client);
    },
    "odd but correct heads pass": async (port) => {
      for (
        const head of [
          withLine("Upgrade", "Upgrade: h2c, WebSocket"),
          withLine("Connection", "Connection: keep-alive,  uPgRaDe"),
          withLine("Upgrade", "UPGRADE:websocket\t"),
          withLine("Host", "Host: 127.0.0.1:1"),
          withLine("Host", "Host: [::1]"),
          withLine("Host", "Host: LOCALHOST."),
          withExtra("X-A: \x80\xff"),
          withExtra("X-A: 1\r\nX-A: 2"),
          withExtra("Content-Length: 0"),
          requestHead({ target: "/?token=a/b?c" }),
          "\r\n\r\n\r\n" + requestHead(),
          requestHead({ target: "ws://localhost" }),
          requestHead({ target: "HTTP://127.0.0.1:80/" }),
          requestHead({ target: "wss://localhost?a=/" }).replace("Host: localhost", "Host: evil.example"),
          withLine("Host", "Host: localhost:"),
          requestHead().replace("HTTP/1.1", "HTTP/1.2"),
          withExtra("Upgrade: h2c"),
          withLine("Connection", "Connection: ,, keep-alive,\t,Upgrade,"),
          withExtra("Sec-WebSocket-Protocol: a,,b,"),
          withExtra("Sec-WebSocket-Protocol: "),
          withExtra("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b"),
        ]
      ) {
        using client = await RawClient.connect({ port }, { head });
        await assertServes(client);
      }
    },
    "a wrong handshake cannot smuggle a second request": async (port) => {
      using client = await RawClient.open({ port });
      await client.send(requestHead({ target: "/other" }) + requestHead());
      await readRefusal(client, 404);
    },
  });
});

Deno.test("origins: none, the own host and loopback pass on a loopback listener, all others are 403", async (t) => {
  const status = async (port: number, origin: string, host = "localhost") => {
    using client = await RawClient.open({ port });
    const head = withLine("Host", `Host: ${host}`);
    return (await client.handshake({ head: head.replace("\r\n\r\n", `\r\nOrigin: ${origin}\r\n\r\n`) }))
      .status;
  };
  await withProgram(t, [
    "--handshake-rate=unlimited",
    "--allow-origin=https://app.example",
    "--allow-host=ws.example",
  ], {
    "those that pass": async (port) => {
      assert.equal(await status(port, "http://localhost"), 101);
      assert.equal(await status(port, "https://localhost:3000"), 101);
      assert.equal(await status(port, "http://127.0.0.1:8080"), 101);
      assert.equal(await status(port, "http://[::1]"), 101);
      assert.equal(await status(port, "https://app.example"), 101);
      assert.equal(await status(port, "https://ws.example", "ws.example"), 101);
      assert.equal(await status(port, "https://ws.example:8443", "ws.example:8443"), 101);
    },
    "those that are refused": async (port) => {
      for (
        const origin of [
          "null",
          "https://evil.example",
          "http://app.example",
          "https://app.example:444",
          "https://app.example.evil.example",
          "https://evilapp.example",
          "https://app.example/",
          "https://localhost.evil.example",
          "https://localhost@evil.example",
          "file://",
          "",
          "https://ws.example",
        ]
      ) {
        assert.equal(await status(port, origin), 403, origin);
      }
      assert.equal(await status(port, "https://ws.example:1", "ws.example:2"), 403);
    },
  });
  await withProgram(t, ["--insecure-allow-any-origin"], {
    "with the switch any passes": async (port) => {
      assert.equal(await status(port, "https://evil.example"), 101);
      assert.equal(await status(port, "null"), 101);
    },
  });
});

Deno.test("a head that is late gets 408, however much of it there is", async (t) => {
  await withProgram(t, ["--handshake-timeout=300ms"], {
    "nothing, half a line, all but the last byte": async (port) => {
      await Promise.all(["", "GE", requestHead().slice(0, -1)].map((head) => assertRefused(port, head, 408)));
    },
    "a byte now and then does not move the deadline": async (port) => {
      using client = await RawClient.open({ port });
      let hasEnded = false;
      const refusal = readRefusal(client, 408).finally(() => hasEnded = true);
      for (const byte of new TextEncoder().encode(requestHead().padEnd(4000, "a"))) {
        if (hasEnded) break;
        await client.send(Uint8Array.of(byte)).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await refusal;
    },
  });
});

Deno.test("what a stranger claims changes nothing, and a flood of refusals is a few lines of log", async (t) => {
  const log = await withProgram(t, ["--handshake-rate=unlimited"], {
    "X-Forwarded-For and X-Connection-Id are not believed": async (port, program) => {
      using client = await handshakeFrom("127.0.0.41", port, {
        headers: {
          "X-Forwarded-For": "203.0.113.9",
          "X-Connection-Id": "forged",
          "X-Forwarded-Proto": "wss",
          "Forwarded": "for=203.0.113.9",
          "X-Real-IP": "203.0.113.9",
        },
      });
      await assertServes(client);
      await program.logged(/connection\.opened .*peer=127\.0\.0\.41 /);
    },
    "300 refusals of one kind": async (port) => {
      for (let round = 0; round < 15; round++) {
        await Promise.all(Array.from({ length: 20 }, async () => {
          const client = await openFrom("127.0.0.42", port);
          await client.send(requestHead({ target: `/${round}` }));
          await readRefusal(client, 404);
          client.close();
        }));
      }
    },
  });
  assert.doesNotMatch(log, /203\.0\.113\.9|forged/);
  const lines = log.split("\n").filter((line) => line.includes("peer=127.0.0.42 "));
  assert.ok(lines.length <= 4, `${lines.length} lines for 300 refusals`);
  const counted = lines.map((line) => Number(/ count=(\d+)/.exec(line)?.[1] ?? 1));
  assert.equal(counted.reduce((sum, count) => sum + count, 0), 300);
});

Deno.test("behind a trusted proxy the last address that is not trusted is the client, for log, limits and bans", async (t) => {
  const from = (xForwardedFor: string): Handshake => ({ headers: { "X-Forwarded-For": xForwardedFor } });
  await withProgram(t, [
    "--trust-proxy=127.0.0.1",
    "--trust-proxy=198.51.100.0/24",
    "--max-connections-per-ip=2",
    "--ban-after=3",
    "--handshake-rate=unlimited",
  ], {
    "the log names it": async (port, program) => {
      using client = await handshakeFrom("127.0.0.1", port, from("192.0.2.66, 203.0.113.5, 198.51.100.7"));
      await assertServes(client);
      await program.logged(/connection\.opened .*peer=203\.0\.113\.5 /);
      assert.doesNotMatch(program.stderr.text, /192\.0\.2\.66/);
    },
    "an untrusted neighbour of the proxy is itself": async (port, program) => {
      using client = await handshakeFrom("127.0.0.2", port, from("203.0.113.66"));
      await assertServes(client);
      await program.logged(/connection\.opened .*peer=127\.0\.0\.2 /);
      assert.doesNotMatch(program.stderr.text, /203\.0\.113\.66/);
    },
    "it is limited on its own": async (port) => {
      using first = await handshakeFrom("127.0.0.1", port, from("203.0.113.10"));
      using second = await handshakeFrom("127.0.0.1", port, from("1.1.1.1, 203.0.113.10"));
      assert.deepEqual([first.response!.status, second.response!.status], [101, 101]);
      using third = await openFrom("127.0.0.1", port);
      await third.send(requestHead(from("203.0.113.10")));
      const { headers } = await readRefusal(third, 429);
      assert.match(headers.get("retry-after") ?? "", /^\d+$/);
      assert.equal(await statusFrom("127.0.0.1", port, from("203.0.113.11")), 101);
    },
    "it is banned on its own": async (port, program) => {
      for (let i = 0; i < 3; i++) {
        using client = await handshakeFrom("127.0.0.1", port, from("203.0.113.20"));
        assert.equal(client.response!.status, 101);
        await client.sendFrame({ opcode: 3 });
        assert.match(String((await client.nextClose()).code), /^100[28]$/);
      }
      await program.logged(/client\.banned .*peer=203\.0\.113\.20 /);
      using banned = await openFrom("127.0.0.1", port);
      await banned.send(requestHead(from("203.0.113.20")));
      await readRefusal(banned, 403);
      assert.equal(await statusFrom("127.0.0.1", port, from("203.0.113.21")), 101);
    },
    "an IPv6 client is its /64": async (port) => {
      using first = await handshakeFrom("127.0.0.1", port, from("2001:db8:1:2::1"));
      using second = await handshakeFrom("127.0.0.1", port, from("[2001:db8:1:2::2]:443"));
      assert.deepEqual([first.response!.status, second.response!.status], [101, 101]);
      assert.equal(await statusFrom("127.0.0.1", port, from("2001:db8:1:2:ffff::3")), 429);
      assert.equal(await statusFrom("127.0.0.1", port, from("2001:db8:1:3::1")), 101);
    },
  });
});

Deno.test("the PROXY protocol is believed from a trusted proxy, demanded of it, and refused from anybody else", async (t) => {
  await withProgram(t, ["--trust-proxy=127.0.0.1", "--proxy-protocol", "--handshake-rate=unlimited"], {
    "version 1": async (port, program) => {
      using client = await openFrom("127.0.0.1", port);
      await client.send("PROXY TCP4 203.0.113.30 192.0.2.1 1000 80\r\n");
      assert.equal((await client.handshake({ headers: { "X-Forwarded-For": "203.0.113.99" } })).status, 101);
      await program.logged(/connection\.opened .*peer=203\.0\.113\.30 /);
      assert.doesNotMatch(program.stderr.text, /203\.0\.113\.99/);
    },
    "version 2, byte by byte": async (port, program) => {
      using client = await openFrom("127.0.0.1", port);
      const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
      const addresses = [203, 0, 113, 31, 192, 0, 2, 1, 3, 232, 0, 80];
      for (const byte of [...signature, 0x21, 0x11, 0, 12, ...addresses]) {
        await client.send(Uint8Array.of(byte));
      }
      assert.equal((await client.handshake()).status, 101);
      await program.logged(/connection\.opened .*peer=203\.0\.113\.31 /);
    },
    "none from the proxy": async (port) => {
      using client = await openFrom("127.0.0.1", port);
      await client.send(requestHead());
      await readRefusal(client, 400);
    },
    "one from a stranger": async (port) => {
      using client = await openFrom("127.0.0.2", port);
      await client.send("PROXY TCP4 203.0.113.32 192.0.2.1 1000 80\r\n" + requestHead());
      await readRefusal(client, 400);
    },
  });
});

Deno.test("connections are limited in total and for each address, just under, at and over", async (t) => {
  await withProgram(t, [
    "--max-connections=5",
    "--max-connections-per-ip=3",
    "--handshake-rate=unlimited",
  ], {
    "the fourth of an address gets 429, the sixth of all gets 503, and who leaves makes room": async (
      port,
      program,
    ) => {
      await program.atRest("echo");
      // The first one brings descriptors that are kept in reserve.
      assert.equal(await statusFrom("127.0.0.55", port), 101);
      await program.logged(/connection\.closed/);
      const before = await program.usage();
      const clients: RawClient[] = [];
      for (const address of ["127.0.0.51", "127.0.0.51", "127.0.0.51", "127.0.0.52"]) {
        clients.push(await handshakeFrom(address, port));
        assert.equal(clients.at(-1)!.response!.status, 101);
      }
      using fourth = await openFrom("127.0.0.51", port);
      await fourth.send(requestHead());
      const { headers } = await readRefusal(fourth, 429);
      assert.ok(headers.has("retry-after"));
      fourth.close();
      // A refused connection counts until it is gone.
      await program.usageUntil(
        "the refused one",
        ({ descriptors }) => descriptors <= before.descriptors + 12,
      );
      clients.push(await handshakeFrom("127.0.0.53", port));
      assert.equal(clients.at(-1)!.response!.status, 101);
      using sixth = await openFrom("127.0.0.54", port);
      const refusal = await readRefusal(sixth, 503);
      assert.ok(refusal.headers.has("retry-after"));
      for (const client of clients) await assertServes(client);
      for (const client of clients) client.close();
      await program.usageUntil("all to be gone", ({ descriptors }) => descriptors <= before.descriptors);
      assert.equal(await statusFrom("127.0.0.51", port), 101);
    },
  });
  await withProgram(t, ["--handshake-rate=3/s"], {
    "three handshakes at once pass, of six some get 429, and another address does not notice": async (
      port,
    ) => {
      for (let i = 0; i < 3; i++) assert.equal(await statusFrom("127.0.0.61", port), 101);
      const statuses = await Promise.all(
        Array.from({ length: 6 }, () => statusFrom("127.0.0.62", port)),
      );
      assert.ok(statuses.filter((status) => status === 101).length >= 3);
      assert.ok(statuses.includes(429), statuses.join(" "));
      assert.equal(await statusFrom("127.0.0.63", port), 101);
    },
  });
});

Deno.test("violations ban an address after exactly --ban-after of them, loopback only if asked for", async (t) => {
  const violate = async (address: string, port: number, count: number) => {
    for (let i = 0; i < count; i++) {
      using client = await handshakeFrom(address, port);
      assert.equal(client.response!.status, 101, `violation ${i + 1}`);
      await client.sendFrame({ opcode: 3 });
      // The last one may be told of its ban instead.
      await client.nextClose();
    }
  };
  await withProgram(t, ["--ban-after=3", "--ban-loopback", "--handshake-rate=unlimited"], {
    "two do not, three do, and its open connections go with 1008": async (port) => {
      await violate("127.0.0.71", port, 2);
      using open = await handshakeFrom("127.0.0.71", port);
      await assertServes(open);
      await violate("127.0.0.71", port, 1);
      assert.equal((await open.nextClose()).code, 1008);
      using banned = await openFrom("127.0.0.71", port);
      await banned.send(requestHead());
      await readRefusal(banned, 403);
      assert.equal(await statusFrom("127.0.0.72", port), 101);
    },
  });
  await withProgram(t, ["--ban-after=3", "--handshake-rate=unlimited"], {
    "loopback is spared by default": async (port) => {
      await violate("127.0.0.73", port, 6);
      assert.equal(await statusFrom("127.0.0.73", port), 101);
    },
  });
});

Deno.test("a dry run lets pass what it records", async (t) => {
  await withProgram(t, ["--firewall-dry-run", "--deny-ip=127.0.0.81", "--max-connections-per-ip=1"], {
    "a denied address, a second connection and a foreign origin": async (port, program) => {
      using denied = await handshakeFrom("127.0.0.81", port);
      await assertServes(denied);
      assert.match(await program.logged(/handshake\.refused .*peer=127\.0\.0\.81.*/), /dry_run=true/);
      using first = await handshakeFrom("127.0.0.82", port);
      using second = await handshakeFrom("127.0.0.82", port);
      await assertServes(first);
      await assertServes(second);
      assert.match(await program.logged(/handshake\.refused .*peer=127\.0\.0\.82.*/), /dry_run=true/);
      using foreign = await handshakeFrom("127.0.0.83", port, {
        headers: { Origin: "https://evil.example" },
      });
      await assertServes(foreign);
      assert.match(await program.logged(/handshake\.refused .*peer=127\.0\.0\.83.*/), /dry_run=true/);
    },
  });
});

Deno.test("allowed and denied addresses, and SIGHUP closes exactly those that are not allowed any more", async (t) => {
  const folder = await Deno.makeTempDir();
  const rulesFile = `${folder}/rules`;
  await Deno.writeTextFile(rulesFile, "allow 127.0.0.0/24 # all of them\n");
  await using program = startServer([
    "--no-secure",
    "--rules-file=rules",
    "--deny-ip=127.0.0.99",
    "--handshake-rate=unlimited",
  ], { folder });
  const port = await program.port("echo");
  await t.step({
    name: "the rules hold from the start",
    ...SHARED,
    async fn() {
      for (
        const [address, status] of [["127.0.0.91", 101], ["127.0.1.1", 403], ["127.0.0.99", 403]] as const
      ) {
        assert.equal(await statusFrom(address, port), status, address);
      }
    },
  });
  await t.step({
    name: "a bad file keeps them, a good one applies at once",
    ...SHARED,
    async fn() {
      using stays = await handshakeFrom("127.0.0.91", port);
      using goes = await handshakeFrom("127.0.0.92", port);
      await assertServes(goes);
      await Deno.writeTextFile(rulesFile, "deny everything\n");
      program.signal("SIGHUP");
      await program.logged(/rules\.reload_failed .*/);
      await assertServes(stays);
      await assertServes(goes);
      await Deno.writeTextFile(rulesFile, "allow 127.0.0.0/24\ndeny 127.0.0.92\n");
      program.signal("SIGHUP");
      assert.equal((await goes.nextClose()).code, 1008);
      await program.logged(/rules\.reloaded .*/);
      await assertServes(stays);
      assert.equal(await statusFrom("127.0.0.92", port), 403);
      assert.equal(await statusFrom("127.0.0.91", port), 101);
    },
  });
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a frame that comes with the head of a refused handshake is never read", async (t) => {
  await withProgram(t, [], {
    "the refusal is all there is": async (port) => {
      await assertRefused(
        port,
        concat(
          new TextEncoder().encode(requestHead({ target: "/other" })),
          frame({ opcode: OPCODE.text, payload: "early" }),
        ),
        404,
      );
    },
  });
});
