// All that an upstream server can do wrong: what the client gets, what is recorded, and that nothing is kept.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { type Hostile, type Misdeed, MISDEEDS } from "./hostile_table.ts";
import { startInProcess } from "./in_process.ts";

/** A server that accepts one connection after the other and does this with each. */
class HostileServer implements AsyncDisposable {
  readonly url: string;
  /** What went wrong in the server itself. */
  readonly failures: unknown[] = [];
  readonly #listener: Deno.TcpListener;
  readonly #runs: Promise<void>[] = [];
  readonly #accepting: Promise<void>;

  constructor(act: Misdeed["act"]) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#listener = listener;
    this.url = `ws://127.0.0.1:${listener.addr.port}`;
    this.#accepting = (async () => {
      for await (const conn of listener) this.#runs.push(this.#serve(conn, act));
    })();
  }

  async #serve(conn: Deno.TcpConn, act: Misdeed["act"]): Promise<void> {
    const client = new RawClient(conn, 15_000);
    try {
      const { text } = await client.readHead();
      const key = /^sec-websocket-key: (.*)$/im.exec(text)![1]!;
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const hostile: Hostile = {
        conn,
        welcome: [
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Accept: ${accept}`,
        ].join("\r\n"),
        send: (data) => client.send(data),
        async end() {
          const rest = await client.eof();
          for (let at = 0; at + 6 <= rest.length; at += 6 + (rest[at + 1]! & 127)) {
            assert.ok(rest[at + 1]! & 128, "frames to a server are masked");
            if ((rest[at]! & 15) !== OPCODE.close) continue;
            if ((rest[at + 1]! & 127) === 0) return 1005;
            return ((rest[at + 6]! ^ rest[at + 2]!) << 8) | (rest[at + 7]! ^ rest[at + 3]!);
          }
          return 0;
        },
      };
      await act(hostile);
    } catch (error) {
      this.failures.push(error);
    } finally {
      client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#runs);
  }
}

/** What a client gets: the texts, and the status, the code of the Close, or 1006. */
async function meet(
  port: number,
): Promise<{ readonly texts: string[]; readonly end: number; readonly body: string }> {
  using client = await RawClient.open({ port }, 15_000);
  const { status } = await client.handshake();
  const texts: string[] = [];
  if (status !== 101) return { texts, end: status, body: new TextDecoder().decode(await client.eof()) };
  for (;;) {
    let received: Frame;
    try {
      received = await client.nextFrame();
    } catch (error) {
      assert.match((error as Error).message, /the connection ended/);
      return { texts, end: 1006, body: "" };
    }
    const { opcode, fin, text, payload, closeCode } = received;
    if (opcode === OPCODE.ping) await client.sendFrame({ opcode: OPCODE.pong, payload });
    if (opcode === OPCODE.close) {
      await client.sendClose(closeCode === 1005 ? undefined : closeCode);
      assert.equal((await client.eof()).length, 0, "nothing follows a Close");
      return { texts, end: closeCode!, body: "" };
    }
    if (opcode === OPCODE.text && fin) texts.push(text);
  }
}

Deno.test("there are more than fifty misdeeds", () => assert.ok(MISDEEDS.length > 50));

for (const misdeed of MISDEEDS) {
  Deno.test(`upstream: ${misdeed.name}`, async () => {
    const server = new HostileServer(misdeed.act);
    {
      await using front = startInProcess([server.url], {
        ...{ upstreamMaxMessageSize: "1MiB", banAfter: "1", banLoopback: true },
        // What comes has time on a machine that has none.
        upstreamTimeout: misdeed.client === 504 ? "500ms" : "9s",
        ...misdeed.isSilent && { pingInterval: "200ms", pingTimeout: "300ms" },
        // Inside a frame there is nothing to wait for.
        closeTimeout: misdeed.client === 1006 ? "1m" : "1s",
      });
      const { texts, end, body } = await meet(front.port);
      assert.equal(end, misdeed.client);
      if (misdeed.texts !== undefined) assert.deepEqual(texts, misdeed.texts);
      if (misdeed.body !== undefined) assert.equal(body, misdeed.body);
      assert.ok(body.length <= 4200, `a body of ${body.length} bytes`);
      assert.doesNotMatch(body, /X-Secret/);
      if (end === 1011 || end === 1006 || end === 1005 || end >= 3000) await front.event("connection.closed");
      const records = front.events.map(({ event }) => event).filter((event) => event.startsWith("upstream."));
      assert.deepEqual(records, misdeed.record === "none" ? [] : [misdeed.record]);
      assert.deepEqual(front.admission.bans(), [], "a client is never banned for an upstream's fault");
      const faults = front.events.filter(({ event }) => event === "connection.fault");
      assert.deepEqual(faults, []);
      assert.equal(front.upstream.pool.servers[0]!.open, 0, "its place is given back");
      if (misdeed.client >= 1000) assert.equal(front.budget.usedBytes, 0, "nothing is held");
    }
    await server[Symbol.asyncDispose]();
    assert.deepEqual(server.failures, []);
  });
}
