// The admin listener's port on raw sockets: its deadlines, its limits, and that no failure ends it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { MAX_HEAD_SIZE } from "../../src/admin/http_exchange.ts";
import { HttpListener, type HttpListenerOptions } from "../../src/admin/http_listener.ts";
import { MAX_ADMINISTRATORS } from "../../src/core/descriptors.ts";
import { isProblem, problemResponse } from "../../src/admin/problem.ts";

/** How long any wait may take, in milliseconds. */
const TIMEOUT_MS = 10_000;

const encoder = new TextEncoder();

/** A listener that says `ok`, and what it was told and asked. */
class Bench implements AsyncDisposable {
  readonly faults: unknown[] = [];
  readonly listener: HttpListener;

  constructor(overrides: Partial<HttpListenerOptions> = {}) {
    this.listener = new HttpListener({
      name: "admin",
      listen: "127.0.0.1:0",
      answer: (request) =>
        Promise.resolve(isProblem(request) ? problemResponse(request) : new Response("ok\n")),
      onFault: (error) => this.faults.push(error),
      log: () => {},
      ...overrides,
    });
  }

  connect(): Promise<Deno.TcpConn> {
    return Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(this.listener.url).port) });
  }

  async send(text: string): Promise<string> {
    using conn = await this.connect();
    await conn.write(encoder.encode(text));
    return await readToEnd(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.stop();
  }
}

/** Everything until the end, which a reset is, too. */
async function readToEnd(conn: Deno.Conn): Promise<string> {
  const bytes = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const size = await within("the end of a connection", conn.read(bytes)).catch((error) => {
      if (error instanceof Deno.errors.ConnectionReset) return null;
      throw error;
    });
    if (size === null) return text;
    text += new TextDecoder().decode(bytes.subarray(0, size));
  }
}

async function within<Value>(what: string, promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Timed out waiting for ${what}`)), TIMEOUT_MS);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function statusOf(text: string): number {
  return Number(text.split(" ", 2)[1]);
}

const GOOD = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

Deno.test("answers one request with its date and its length, and closes", async () => {
  await using bench = new Bench();
  const text = await bench.send(GOOD + GOOD);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(
    text,
    /\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/,
  );
  assert.match(text, /\r\nConnection: close\r\n/);
  assert.match(text, /\r\nContent-Length: 3\r\n\r\nok\n$/);
});

Deno.test("answers HEAD with the head alone", async () => {
  await using bench = new Bench();
  assert.match(await bench.send(GOOD.replace("GET", "HEAD")), /\r\nContent-Length: 3\r\n\r\n$/);
});

Deno.test("reads a head that comes in single bytes, after empty lines", async () => {
  await using bench = new Bench();
  using conn = await bench.connect();
  conn.setNoDelay(true);
  for (const byte of encoder.encode(`\r\n\r\n${GOOD}`)) await conn.write(Uint8Array.of(byte));
  assert.equal(statusOf(await readToEnd(conn)), 200);
});

for (const start of ["", "\r\n", "GET", GOOD.slice(0, -1), "\x16\x03\x01\x02\x00\x01"]) {
  Deno.test(`tells who stops after ${JSON.stringify(start)} that it is late`, async () => {
    await using bench = new Bench({ timeouts: { head: 50 } });
    using conn = await bench.connect();
    if (start !== "") await conn.write(encoder.encode(start));
    assert.equal(statusOf(await readToEnd(conn)), 408);
    assert.equal(statusOf(await bench.send(GOOD)), 200);
    assert.deepEqual(bench.faults, []);
  });
}

Deno.test("tells who stops in the middle of a body that it is late", async () => {
  await using bench = new Bench({
    timeouts: { body: 50 },
    answer: async (request) =>
      isProblem(request) ? problemResponse(request) : new Response(await request.readBody(3)),
  });
  assert.equal(statusOf(await bench.send(`${GOOD}ab`)), 408);
  assert.match(await bench.send(`${GOOD}abc`), /\r\n\r\nabc$/);
});

Deno.test("tells who waits for an answer that does not come", async () => {
  const never = Promise.withResolvers<Response>();
  await using bench = new Bench({
    timeouts: { answer: 50 },
    answer: (request) => isProblem(request) ? Promise.resolve(problemResponse(request)) : never.promise,
  });
  assert.equal(statusOf(await bench.send(GOOD)), 503);
  never.resolve(new Response("late\n"));
});

Deno.test("cuts who does not read", async () => {
  const size = 64 * 1024 * 1024;
  await using bench = new Bench({
    timeouts: { write: 100 },
    answer: () => Promise.resolve(new Response(new Uint8Array(size))),
  });
  using conn = await bench.connect();
  await conn.write(encoder.encode(GOOD));
  await within("the cut", until(() => bench.listener.connections === 1));
  await within("the cut", until(() => bench.listener.connections === 0));
  assert.ok((await readToEnd(conn)).length < size);
  assert.deepEqual(bench.faults, []);
});

/** Looks again at each turn of the event loop. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("cuts who does not end after the answer", async () => {
  await using bench = new Bench({ timeouts: { linger: 50 } });
  using conn = await bench.connect();
  await conn.write(encoder.encode(GOOD));
  assert.equal(statusOf(await readToEnd(conn)), 200);
  await within("the cut", until(() => bench.listener.connections === 0));
});

for (const [size, status] of [[MAX_HEAD_SIZE - 1, 200], [MAX_HEAD_SIZE, 200], [MAX_HEAD_SIZE + 1, 431]]) {
  Deno.test(`answers ${status} to a head of ${size} bytes`, async () => {
    await using bench = new Bench();
    const start = GOOD.slice(0, -2) + "A: ";
    const head = `${start}${"a".repeat(size! - start.length - 4)}\r\n\r\n`;
    assert.equal(statusOf(await bench.send(head)), status);
  });
}

for (
  const [what, text, status] of [
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["HTTP/1.0", "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 505],
    ["HTTP/1.0 for the health", "GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["HTTP/1.0 for the metrics", "GET /metrics HTTP/1.0\r\n\r\n", 505],
    ["HTTP/0.9 for the health", "GET /healthz HTTP/0.9\r\n\r\n", 505],
    [
      "an upgrade to h2c",
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
      "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
      200,
    ],
    ["two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400],
    ["a folded header", "GET / HTTP/1.1\r\nHost: localhost\r\n a: b\r\n\r\n", 400],
    ["no HTTP", "hello\r\n\r\n", 400],
  ] as const
) {
  Deno.test(`answers ${status} to ${what}`, async () => {
    await using bench = new Bench();
    assert.match(await bench.send(text), new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(statusOf(await bench.send(GOOD)), 200);
  });
}

Deno.test("who holds connections is cut for the next one, the oldest first, and an administrator never", async () => {
  let held: (() => void) | undefined;
  await using bench = new Bench({
    answer: async (request) => {
      if (isProblem(request)) return problemResponse(request);
      if (request.path === "/hold") {
        request.trust();
        await new Promise<void>((resolve) => held = resolve);
      }
      return new Response("ok\n");
    },
  });
  using administrator = await bench.connect();
  await administrator.write(encoder.encode(GOOD.replace("/", "/hold")));
  await within("the administrator's request", until(() => held !== undefined));
  const silent: Deno.Conn[] = [];
  for (let i = 1; i < MAX_ADMINISTRATORS; i++) silent.push(await bench.connect());
  await within("all of them", until(() => bench.listener.connections === MAX_ADMINISTRATORS));
  assert.equal(statusOf(await bench.send(GOOD)), 200);
  assert.equal(await readToEnd(silent[0]!), "");
  for (let i = 0; i < 3 * MAX_ADMINISTRATORS; i++) silent.push(await bench.connect());
  assert.equal(statusOf(await bench.send(GOOD)), 200);
  assert.ok(bench.listener.connections <= MAX_ADMINISTRATORS);
  held!();
  assert.equal(statusOf(await readToEnd(administrator)), 200);
  assert.deepEqual(bench.faults, []);
  for (const conn of silent) conn.close();
});

Deno.test("whoever holds all places does not push out somebody else whose head is long on its way", async () => {
  await using bench = new Bench({ timeouts: { head: 60_000 } });
  using slow = await bench.connect();
  await slow.write(encoder.encode(GOOD.slice(0, 10)));
  await within("the slow one", until(() => bench.listener.connections === 1));
  const port = Number(new URL(bench.listener.url).port);
  const stranger = Array.from(
    { length: 3 * MAX_ADMINISTRATORS },
    () => connect({ port, localAddress: "127.0.0.2" }),
  );
  await within(
    "the end of one that was cut",
    Promise.any(stranger.map((socket) => once(socket.resume(), "close"))),
  );
  // One more than there are places, of whom the slow one is the oldest, has been there by now.
  await slow.write(encoder.encode(GOOD.slice(10)));
  assert.equal(statusOf(await readToEnd(slow)), 200);
  for (const socket of stranger) socket.destroy();
  await Promise.all(stranger.map((socket) => socket.closed || once(socket, "close")));
});

Deno.test("more requests at once than there are places are all answered, in turn", async () => {
  await using bench = new Bench();
  const texts = await Promise.all(Array.from({ length: 3 * MAX_ADMINISTRATORS }, () => bench.send(GOOD)));
  assert.deepEqual(new Set(texts.map(statusOf)), new Set([200]));
});

Deno.test("a peer that is lost in the middle of anything is no fault", async () => {
  await using bench = new Bench({
    answer: async (request) => {
      if (isProblem(request)) return problemResponse(request);
      await request.readBody(100_000);
      return new Response("ok\n");
    },
  });
  for (const text of ["", "GET", GOOD, `${GOOD}abc`]) {
    const conn = await bench.connect();
    await conn.write(encoder.encode(text || "\r"));
    conn.close();
  }
  using last = await bench.connect();
  await within("the end of all", until(() => bench.listener.connections === 1));
  assert.deepEqual(bench.faults, []);
  last.close();
});

Deno.test("what is no loss of a peer is a fault that is told, and the next one is served", async () => {
  const fault = new TypeError("planted");
  let isFirst = true;
  await using bench = new Bench({
    answer() {
      if (!isFirst) return Promise.resolve(new Response("ok\n"));
      isFirst = false;
      return Promise.reject(fault);
    },
  });
  assert.equal(await bench.send(GOOD), "");
  assert.deepEqual(bench.faults, [fault]);
  assert.equal(statusOf(await bench.send(GOOD)), 200);
});

Deno.test("asks for a body that its sender holds back until it is asked", async () => {
  await using bench = new Bench({
    answer: async (request) =>
      isProblem(request) ? problemResponse(request) : new Response(await request.readBody(2)),
  });
  using conn = await bench.connect();
  await conn.write(encoder.encode(GOOD.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")));
  const bytes = new Uint8Array(100);
  const size = await within("the interim response", conn.read(bytes));
  assert.equal(new TextDecoder().decode(bytes.subarray(0, size!)), "HTTP/1.1 100 Continue\r\n\r\n");
  await conn.write(encoder.encode("ab"));
  assert.match(await readToEnd(conn), /^HTTP\/1\.1 200 .*\r\n\r\nab$/s);
});

Deno.test("stops at once when nothing is under way, and soon whatever is", async () => {
  const bench = new Bench();
  using conn = await bench.connect();
  await within("the connection", until(() => bench.listener.connections === 1));
  await within("the stop", bench.listener.stop());
  assert.equal(await readToEnd(conn), "");
});
