// The answers of a hostile server, byte by byte, and what they may cost.

import assert from "node:assert/strict";
import { AnswerError, MAX_HEAD_SIZE_BYTES, readAnswer, request } from "../../src/auth/http_get.ts";

const LIMIT = 64 * 1024;
const encoder = new TextEncoder();

/** A server whose only connections are handled by `serve`; it is given the request's head. */
class Server implements AsyncDisposable {
  readonly heads: string[] = [];
  /** How many bytes were accepted from it. */
  sentBytes = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running: Promise<void>;

  constructor(answer: (send: (bytes: string | Uint8Array) => Promise<void>) => Promise<void>) {
    this.#running = (async () => {
      for await (const conn of this.#listener) {
        await conn.setNoDelay();
        const head = new Uint8Array(4096);
        this.heads.push(new TextDecoder().decode(head.subarray(0, await conn.read(head) ?? 0)));
        try {
          await answer(async (bytes) => {
            const all = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
            for (let sent = 0; sent < all.length;) sent += await conn.write(all.subarray(sent));
            this.sentBytes += all.length;
          });
        } catch (error) {
          // The client has had enough.
          assert.ok(
            error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe,
            String(error),
          );
        }
        conn.close();
      }
    })();
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/keys?a=b`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }
}

async function ask(url: URL, timeoutMs = 60_000): Promise<string> {
  try {
    const { status, body } = await request({ url, accept: "a/b", maxBodySizeBytes: LIMIT, timeoutMs });
    return `${status} ${new TextDecoder().decode(body)}`;
  } catch (error) {
    if (error instanceof AnswerError) return error.message;
    throw error;
  }
}

/** What becomes of an answer, sent whole and byte by byte. */
async function outcome(answer: string): Promise<string> {
  await using whole = new Server((send) => send(answer));
  await using pieces = new Server(async (send) => {
    for (const byte of encoder.encode(answer)) await send(Uint8Array.of(byte));
  });
  const [first, second] = await Promise.all([ask(whole.url), ask(pieces.url)]);
  assert.equal(second, first);
  return first;
}

const OK = "HTTP/1.1 200 OK\r\n";

Deno.test("asks for nothing that it could not bound", async () => {
  await using server = new Server((send) => send(`${OK}\r\n`));
  await ask(server.url);
  assert.equal(
    server.heads[0],
    `GET /keys?a=b HTTP/1.1\r\nHost: ${server.url.host}\r\nAccept: a/b\r\nAccept-Encoding: identity\r\n` +
      "User-Agent: wsward\r\nConnection: close\r\n\r\n",
  );
});

for (
  const [name, answer, expected] of [
    ["a length", `${OK}Content-Length: 3\r\n\r\nabcd`, "200 abc"],
    ["the end of the connection", `${OK}\r\nabc`, "200 abc"],
    ["chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n`, "200 abc"],
    ["HTTP/1.0 and bare line feeds", "HTTP/1.0 200 OK\nContent-Length: 1\n\na", "200 a"],
    [
      "informational answers first",
      `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 1\r\n\r\na`,
      "200 a",
    ],
    ["a status without a body", "HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\nbody", "302 "],
    ["a switch of protocols", "HTTP/1.1 101 Switching\r\n\r\n", "101 "],
    ["no HTTP", "SSH-2.0-OpenSSH\r\n", "the answer is not HTTP/1.1"],
    ["HTTP/2", "HTTP/2 200\r\n\r\n", "the answer is not HTTP/1.1"],
    ["nothing", "", "the answer ends early"],
    ["half a head", OK, "the answer ends early"],
    ["half a body", `${OK}Content-Length: 3\r\n\r\nab`, "the answer ends early"],
    ["half a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nab`, "the answer ends early"],
    ["no last chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, "the answer ends early"],
    [
      "a broken chunk",
      `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
      "the answer has a broken chunk",
    ],
    [
      "a chunk without a size",
      `${OK}Transfer-Encoding: chunked\r\n\r\n\r\n`,
      "the answer does not say how long it is",
    ],
    ["a negative length", `${OK}Content-Length: -1\r\n\r\n`, "the answer does not say how long it is"],
    [
      "two lengths",
      `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
      "the answer has a head that is not HTTP",
    ],
    ["a header without a name", `${OK}: x\r\n\r\n`, "the answer has a head that is not HTTP"],
    ["another coding", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, "the answer has an unknown encoding"],
    ["gzip", `${OK}Content-Encoding: gzip\r\n\r\n`, "the answer is compressed, which was not asked for"],
  ] as const
) {
  Deno.test(`reads an answer with ${name}`, async () => assert.equal(await outcome(answer), expected));
}

Deno.test("reads a body up to its limit and not a byte more, however its length is said", async () => {
  const tooLarge = `the answer is larger than ${LIMIT} bytes`;
  for (const [size, expected] of [[LIMIT, `200 ${"a".repeat(LIMIT)}`], [LIMIT + 1, tooLarge]] as const) {
    const body = "a".repeat(size);
    for (
      const answer of [
        `${OK}\r\n${body}`,
        `${OK}Content-Length: ${size}\r\n\r\n${body}`,
        `${OK}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      ]
    ) {
      await using server = new Server((send) => send(answer));
      assert.equal(await ask(server.url), expected);
    }
  }
});

Deno.test("reads heads up to their limit, those of informational answers included", async () => {
  const filled = (size: number) => `${OK}A: ${"x".repeat(size - OK.length - 7)}\r\n\r\n`;
  assert.equal(filled(MAX_HEAD_SIZE_BYTES).length, MAX_HEAD_SIZE_BYTES);
  const tooLong = "the answer's head is too long";
  for (
    const [size, expected] of [[MAX_HEAD_SIZE_BYTES, "200 "], [MAX_HEAD_SIZE_BYTES + 1, tooLong]] as const
  ) {
    await using server = new Server((send) => send(filled(size)));
    assert.equal(await ask(server.url), expected);
  }
});

/** Sends for ever; returns how much was sent until the client had enough. */
async function endless(begin: string, part: string, expected: RegExp, timeoutMs?: number): Promise<number> {
  await using server = new Server(async (send) => {
    await send(begin);
    for (;;) await send(part);
  });
  assert.match(await ask(server.url, timeoutMs), expected);
  return server.sentBytes;
}

Deno.test("an answer without an end ends here, after bounded work", async () => {
  const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const enough = /too long|too large|larger|too many small pieces/;
  await endless("", early, enough);
  await endless("", early.repeat(100), enough);
  await endless(`${OK}Transfer-Encoding: chunked\r\n\r\n`, "1\r\na\r\n", enough);
  await endless(`${OK}Transfer-Encoding: chunked\r\n\r\n`, "1\r\na\r\n".repeat(1000), enough);
  await endless(`${OK}Transfer-Encoding: chunked\r\n\r\n1`, ";x", enough);
  await endless(`${OK}\r\n`, "a", enough);
  await endless(`${OK}A`, "a", enough);
  await endless("H", "H", enough);
});

Deno.test("what is read is bounded in bytes and in reads, however small the pieces are", async () => {
  for (const begin of [OK, `${OK}Transfer-Encoding: chunked\r\n\r\n`]) {
    const part = begin === OK ? "A:\r\n" : "1\r\na\r\n";
    for (const [sizeBytes, most] of [[1, 1100], [256, 1100], [4096, 100]] as const) {
      const text = begin + part.repeat(LIMIT);
      let reads = 0;
      const conn = {
        read(into: Uint8Array): Promise<number> {
          const piece = text.slice(reads * sizeBytes, ++reads * sizeBytes);
          return Promise.resolve(encoder.encodeInto(piece, into).written);
        },
      };
      await assert.rejects(readAnswer(conn, LIMIT), /too long, or in too many small pieces|head is too long/);
      assert.ok(reads <= most, `${reads} reads of ${sizeBytes} bytes`);
    }
  }
});

Deno.test("a server that does not answer, or not to the end, is given up", async () => {
  for (const begun of ["", OK, `${OK}Content-Length: 3\r\n\r\na`]) {
    const over = Promise.withResolvers<void>();
    await using server = new Server(async (send) => {
      await send(begun);
      await over.promise;
    });
    assert.equal(await ask(server.url, 50), "no complete answer within 50 ms");
    over.resolve();
  }
});

Deno.test("reaches localhost where only one of its addresses listens", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    await using server = Deno.serve({ hostname, port: 0, onListen: () => {} }, () => new Response("here"));
    const url = new URL(`http://localhost:${server.addr.port}/`);
    assert.equal(await ask(url), "200 here");
  }
});

Deno.test("speaks TLS with a server whose certificate is good for its name, and with no other", async () => {
  const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname;
  await using server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      cert: Deno.readTextFileSync(fixture("server.pem")),
      key: Deno.readTextFileSync(fixture("server.key.pem")),
      onListen: () => {},
    },
    () => new Response("private"),
  );
  const url = new URL(`https://localhost:${server.addr.port}/`);
  await assert.rejects(ask(url), Deno.errors.InvalidData);
  const module = new URL("../../src/auth/http_get.ts", import.meta.url).href;
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    program,
    `import { request } from ${JSON.stringify(module)};
     const { body } = await request({ url: new URL("${url}"), accept: "*/*", maxBodySizeBytes: 99, timeoutMs: 5000 });
     console.log(new TextDecoder().decode(body));`,
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      `--cert=${fixture("server.pem")}`,
      "--allow-net",
      `--config=${config}`,
      program,
    ],
    env: { HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "private\n");
  await Deno.remove(program);
});

Deno.test("asks no proxy, whatever the environment says", async () => {
  await using server = new Server((send) => send(`${OK}Content-Length: 1\r\n\r\na`));
  const module = new URL("../../src/auth/remote_keys.ts", import.meta.url).href;
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    program,
    `import { RemoteKeys } from ${JSON.stringify(module)};
     console.log(await new RemoteKeys({ url: "${server.url}" }).fetch());`,
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net", `--config=${config}`, program],
    env: { HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "the answer is not a JWK Set (not JSON)\n");
  assert.equal(server.heads.length, 1);
  await Deno.remove(program);
});
