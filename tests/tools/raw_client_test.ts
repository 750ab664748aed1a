// The client of the tools: it reads bytes in any pieces, waits no longer than it may, and buffers a limited amount.

import assert from "node:assert/strict";
import type { ByteSocket } from "../../src/firewall/byte_socket.ts";
import { MAX_HEAD_SIZE, RawClient } from "../../src/tools/raw_client.ts";
import { concat, frame } from "../../src/tools/raw_frame.ts";
import { isLoopback, parseTarget } from "../../src/tools/target.ts";

/** A stream of these pieces, which then is silent or ends. */
class Pieces implements ByteSocket {
  readonly #pieces: Uint8Array[];
  readonly #end: "silent" | "FIN" | "RST";
  #close: ((error: Error) => void) | undefined;

  constructor(pieces: readonly (string | Uint8Array)[], end: "silent" | "FIN" | "RST" = "silent") {
    this.#pieces = pieces.map((piece) => typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
    this.#end = end;
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      bytes.set(piece);
      return piece.length;
    }
    if (this.#end === "FIN") return null;
    if (this.#end === "RST") throw new Deno.errors.ConnectionReset("reset");
    return await new Promise((_, reject) => this.#close = reject);
  }

  write(_bytes: Uint8Array): Promise<number> {
    return Promise.reject(new Deno.errors.BrokenPipe("gone"));
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#close?.(new Deno.errors.BadResource("closed"));
  }
}

const HEAD = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: a\r\nX: b\r\n\r\n";

Deno.test("reads a head and the frames after it, whatever the pieces", async () => {
  const bytes = concat(
    new TextEncoder().encode(HEAD),
    frame({ opcode: 1, payload: "hello", masked: false }),
    frame({ opcode: 2, payload: new Uint8Array(70_000), masked: true }),
    frame({ opcode: 8, payload: Uint8Array.of(3, 0xe8), masked: false }),
  );
  for (const size of [1, 7, 1000, 60_000]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    using client = new RawClient(new Pieces(pieces, "FIN"));
    const head = await client.nextHead(1000);
    assert.ok(head.kind === "head");
    assert.deepEqual([head.status, head.headers.get("x")], [101, ["a", "b"]]);
    const frames = [await client.nextFrame(1000), await client.nextFrame(1000), await client.nextFrame(1000)];
    assert.deepEqual(
      frames.map((one) => one.kind === "frame" && [one.opcode, one.payload.length, one.masked]),
      [
        [1, 5, false],
        [2, 70_000, true],
        [8, 2, false],
      ],
    );
    assert.deepEqual(await client.nextFrame(1000), { kind: "end", how: "FIN" });
  }
});

Deno.test("takes no frame over the limit and no endless head", async () => {
  for (const [size, kind] of [[99, "frame"], [100, "frame"], [101, "oversize"]] as const) {
    using client = new RawClient(
      new Pieces([frame({ opcode: 2, payload: new Uint8Array(size), masked: false })]),
      {
        maxPayload: 100,
      },
    );
    assert.equal((await client.nextFrame(1000)).kind, kind);
  }
  const line = `HTTP/1.1 200 OK\r\nx: ${"a".repeat(32_000)}`;
  using client = new RawClient(new Pieces([line, "a".repeat(60_000), "a".repeat(60_000)]));
  const answer = await client.nextHead(1000);
  assert.equal(answer.kind, "no http");
  assert.ok(client.received < 2 * MAX_HEAD_SIZE + 32_000);
});

Deno.test("goes on after a wait that was too short, with nothing lost", async () => {
  const socket = new Pieces([Uint8Array.of(0x81)]);
  using client = new RawClient(socket);
  assert.deepEqual(await client.nextFrame(20), { kind: "late" });
  assert.deepEqual(await client.nextFrame(20), { kind: "late" });
});

Deno.test("reads what was said before a reset, though nothing can be sent any more", async () => {
  const said = frame({ opcode: 8, payload: Uint8Array.of(3, 0xf1), masked: false });
  using client = new RawClient(new Pieces([said], "RST"));
  assert.deepEqual(await client.send("too late", 1000), { kind: "end", how: "RST" });
  const arrival = await client.nextFrame(1000);
  assert.equal(arrival.kind === "frame" && arrival.closeCode, 1009);
  assert.deepEqual(await client.nextFrame(1000), { kind: "end", how: "RST" });
});

Deno.test("tells an end of its own from one of the peer", async () => {
  const client = new RawClient(new Pieces([]));
  const waiting = client.nextFrame(10_000);
  client.close();
  assert.deepEqual(await waiting, { kind: "end", how: "closed here" });
});

Deno.test("reads the URLs that name a WebSocket server, and no others", () => {
  const good = [
    ["ws://localhost", "localhost", 80, "/"],
    ["wss://example.com/a?b=c", "example.com", 443, "/a?b=c"],
    ["ws://[::1]:8765/", "::1", 8765, "/"],
    ["unix:///run/a.sock:/chat", "localhost", 0, "/chat"],
    ["ws+unix:/run/a.sock", "localhost", 0, "/"],
  ] as const;
  for (const [url, hostname, port, path] of good) {
    const target = parseTarget(url);
    assert.deepEqual([target?.hostname, target?.port, target?.path], [hostname, port, path], url);
  }
  for (
    const url of [
      "",
      "localhost:80",
      "http://a/",
      "ws://",
      "ws://a:b@c/",
      "ws://:b@c/",
      "ws://a@c/",
      "ws://a/#b",
      "ws://a b/",
      "unix:a",
      "ws://a/\n",
    ]
  ) {
    assert.equal(parseTarget(url), undefined, url);
  }
});

Deno.test("this machine is known by its addresses, and not by what looks like one", () => {
  for (const address of ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"]) {
    assert.ok(isLoopback(address), address);
  }
  for (const address of ["128.0.0.1", "127.0.0.1.example.com", "1127.0.0.1", "::11", "::ffff:128.0.0.1"]) {
    assert.ok(!isLoopback(address), address);
  }
});
