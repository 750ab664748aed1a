// The relay on real sockets: closing handshakes, lost peers, back pressure, failures of the endpoint.
import assert from "node:assert/strict";
import { concat, frame, OPCODE, RawClient, requestHead } from "../support/raw_client.ts";
import { startHarness } from "../support/firewall_harness.ts";
import type { Peer, SocketHandler } from "../../src/endpoints/endpoint.ts";

/** A handler that writes down how each connection ended for the endpoint. */
function recordCloses(closes: [number, string][]): (peer: Peer) => SocketHandler {
  return (peer) => ({
    message: (data) => peer.send(data),
    close: (code, reason) => closes.push([code, reason]),
  });
}

Deno.test("text and binary messages come back, in any size up to the limit", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  for (const size of [0, 1, 125, 126, 4080, 4096, 65535, 65536, 2 ** 20]) {
    const text = "a".repeat(size);
    await client.sendText(text);
    assert.equal(await client.nextText(), text);
  }
  const bytes = crypto.getRandomValues(new Uint8Array(65536));
  await client.sendBinary(bytes);
  assert.deepEqual(await client.nextBinary(), bytes);
  await harness.stop();
});

Deno.test("a message that comes byte by byte is the same message", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  for (const byte of frame({ opcode: OPCODE.text, payload: "h\u00e9llo" })) {
    await client.send(Uint8Array.of(byte));
  }
  assert.equal(await client.nextText(), "h\u00e9llo");
  await harness.stop();
});

Deno.test("frames sent along with the handshake are not lost", async () => {
  const harness = startHarness();
  using client = await RawClient.open({ port: harness.port });
  await client.send(
    concat(new TextEncoder().encode(requestHead()), frame({ opcode: OPCODE.text, payload: "early" })),
  );
  assert.equal((await client.readHead()).status, 101);
  assert.equal(await client.nextText(), "early");
  await harness.stop();
});

Deno.test("a ping is answered with its payload, also between the fragments of a message", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  await client.sendFrame({ opcode: OPCODE.text, fin: false, payload: "a" });
  await client.sendFrame({ opcode: OPCODE.ping, payload: "x".repeat(125) });
  const pong = await client.nextFrame();
  assert.deepEqual([pong.opcode, pong.text], [OPCODE.pong, "x".repeat(125)]);
  await client.sendFrame({ opcode: OPCODE.continuation, payload: "b" });
  assert.equal(await client.nextText(), "ab");
  await harness.stop();
});

Deno.test("a Close is answered once with its code, then the connection ends and the endpoint knows", async () => {
  const closes: [number, string][] = [];
  const harness = startHarness({}, recordCloses(closes));
  using client = await RawClient.connect({ port: harness.port });
  await client.sendClose(4321, "done");
  await client.send(frame({ opcode: OPCODE.text, payload: "after" }));
  assert.deepEqual(await client.nextClose(), { code: 4321, reason: "done" });
  assert.equal((await client.eof()).length, 0);
  client.close();
  await harness.ended(1);
  const { code, clean } = await harness.event("connection.closed");
  assert.deepEqual([code, clean], [4321, true]);
  assert.deepEqual(closes, [[4321, "done"]]);
  await harness.stop();
});

Deno.test("an empty Close is answered", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  await client.sendClose();
  assert.equal((await client.nextClose()).code, 1005);
  assert.equal((await client.eof()).length, 0);
  await harness.stop();
});

const BROKEN: readonly [string, Uint8Array, number][] = [
  ["an unmasked frame", frame({ opcode: 1, payload: "a", mask: false }), 1002],
  ["a reserved bit", frame({ opcode: 1, rsv: 4, payload: "a" }), 1002],
  ["a reserved opcode", frame({ opcode: 3, payload: "a" }), 1002],
  ["a long ping", frame({ opcode: 9, payload: "x".repeat(126) }), 1002],
  ["a message over the limit", frame({ opcode: 2, claimedLength: 2 ** 20 + 1 }), 1009],
  ["text that is not UTF-8", frame({ opcode: 1, payload: Uint8Array.of(0xff) }), 1007],
  [
    "bad text inside a large frame",
    frame({ opcode: 1, payload: "a".repeat(300_000) + "\u00e9" }).fill(0, 300_000),
    1007,
  ],
];

for (const [what, bytes, code] of BROKEN) {
  Deno.test(`${what} gets Close ${code}, and the endpoint sees the same code`, async () => {
    const closes: [number, string][] = [];
    const harness = startHarness({}, recordCloses(closes));
    using client = await RawClient.connect({ port: harness.port });
    await client.sendText("before");
    assert.equal(await client.nextText(), "before");
    await client.send(bytes);
    assert.equal((await client.nextClose()).code, code);
    assert.equal((await client.eof()).length, 0);
    await client.sendClose(code);
    client.close();
    await harness.ended(1);
    assert.equal((await harness.event("protocol.error")).code, code);
    assert.deepEqual(closes.map(([seen]) => seen), [code]);
    await harness.stop();
  });
}

Deno.test("a violation in one connection does not disturb another", async () => {
  const harness = startHarness();
  using good = await RawClient.connect({ port: harness.port });
  using bad = await RawClient.connect({ port: harness.port });
  await bad.sendFrame({ opcode: 3 });
  await bad.nextClose();
  await good.sendText("still here");
  assert.equal(await good.nextText(), "still here");
  await harness.stop();
});

Deno.test("a peer that ends without a Close is 1006, and nobody's error", async () => {
  const closes: [number, string][] = [];
  const harness = startHarness({}, recordCloses(closes));
  using half = await RawClient.connect({ port: harness.port });
  await half.closeWrite();
  // No code says it: 1006 must not be on the wire (RFC 6455 §7.4.1).
  assert.equal((await half.eof()).length, 0);
  half.close();
  await harness.ended(1);
  const gone = await RawClient.connect({ port: harness.port });
  await gone.sendText("x");
  await gone.nextText();
  gone.close();
  await harness.ended(2);
  const ends = harness.events.filter(({ event }) => event === "connection.closed");
  assert.deepEqual(ends.map(({ fields }) => [fields.code, fields.clean]), [[1006, false], [1006, false]]);
  assert.deepEqual(closes.map(([code]) => code), [1006, 1006]);
  const other = harness.events.filter(({ event }) => !event.startsWith("connection."));
  assert.deepEqual(other, []);
  await harness.stop();
});

Deno.test("a Close by the endpoint reaches the peer, and its answer the endpoint", async () => {
  const closes: [number, string][] = [];
  const harness = startHarness({}, (peer) => ({
    message: () => peer.close(3000, "token expired"),
    close: (code, reason) => closes.push([code, reason]),
  }));
  using client = await RawClient.connect({ port: harness.port });
  await client.sendText("x");
  assert.deepEqual(await client.nextClose(), { code: 3000, reason: "token expired" });
  await client.sendClose(3000, "token expired");
  await client.eof();
  client.close();
  await harness.ended(1);
  assert.equal((await harness.event("connection.closed")).clean, true);
  assert.deepEqual(closes, [[3000, "token expired"]]);
  await harness.stop();
});

Deno.test("what a peer goes on sending after the endpoint's Close is read and dropped until its answer", async () => {
  const harness = startHarness({}, (peer) => ({ message: () => peer.close(3000, "over") }));
  using client = await RawClient.connect({ port: harness.port });
  const message = frame({ opcode: OPCODE.text, payload: "m" });
  await client.send(message);
  assert.equal((await client.nextClose()).code, 3000);
  await client.send(concat(...Array.from({ length: 2000 }, () => message)));
  await client.sendClose(3000);
  await client.eof();
  client.close();
  await harness.ended(1);
  assert.equal((await harness.event("connection.closed")).messages_in, 2001);
  await harness.stop();
});

Deno.test("thousands of small messages in one go all come back, in order", async () => {
  const harness = startHarness();
  using client = await RawClient.connect({ port: harness.port });
  const count = 5000;
  const all = Array.from({ length: count }, (_, i) => frame({ opcode: OPCODE.text, payload: `${i}` }));
  const sent = client.send(concat(...all));
  for (let i = 0; i < count; i++) assert.equal(await client.nextText(), `${i}`);
  await sent;
  client.close();
  await harness.stop();
});

Deno.test("a peer that never answers the endpoint's Close is cut at the close timeout", async () => {
  const harness = startHarness(
    { closeTimeout: 100 },
    (peer) => ({ message: () => peer.close(3000, "over") }),
  );
  using client = await RawClient.connect({ port: harness.port });
  await client.sendText("x");
  await client.nextClose();
  await client.eof();
  await harness.ended(1);
  assert.equal((await harness.event("connection.closed")).clean, false);
  await harness.stop();
});

Deno.test("a handler that throws, or rejects, costs its own connection a text and Close 1011", async () => {
  for (
    const fail of [() => {
      throw new Error("secret");
    }, () => Promise.reject(new Error("secret"))]
  ) {
    const harness = startHarness(
      {},
      (peer) => ({ message: (data) => data === "fail" ? fail() : peer.send(data) }),
    );
    using other = await RawClient.connect({ port: harness.port });
    using client = await RawClient.connect({ port: harness.port });
    await client.sendText("fail");
    assert.equal(await client.nextText(), "Internal Error");
    assert.deepEqual(await client.nextClose(), { code: 1011, reason: "internal error" });
    await client.sendClose(1011);
    await client.eof();
    assert.ok(await harness.event("handler.error"));
    await other.sendText("fine");
    assert.equal(await other.nextText(), "fine");
    await harness.stop();
  }
});

Deno.test("a peer that does not read is not read from", async () => {
  const harness = startHarness();
  const conn = await Deno.connect({ port: harness.port });
  await conn.write(new TextEncoder().encode(requestHead()));
  await conn.read(new Uint8Array(1024));
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(65536) });
  let sent = 0;
  // More than all the kernel's buffers can hold; the write stalls when nothing is taken any more.
  const flood = (async () => {
    while (sent < 256 * 2 ** 20) sent += await conn.write(message.subarray(sent % message.length));
  })().catch(() => {});
  let seen = -1;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (sent === seen) {
        clearInterval(timer);
        resolve();
      }
      seen = sent;
    }, 300);
  });
  assert.ok(sent < 64 * 2 ** 20, `${sent} bytes were taken`);
  conn.close();
  await flood;
  await harness.ended(1);
  await harness.stop();
});

Deno.test("a drain sends 1001 to all, waits for those that answer and cuts the rest", async () => {
  const closes: [number, string][] = [];
  const harness = startHarness({ closeTimeout: 10_000 }, recordCloses(closes));
  using polite = await RawClient.connect({ port: harness.port });
  using silent = await RawClient.connect({ port: harness.port });
  const drained = harness.firewall.drain({ code: 1001, reason: "stop" }, 200);
  assert.deepEqual(await polite.nextClose(), { code: 1001, reason: "stop" });
  await polite.sendClose(1001);
  await polite.eof();
  polite.close();
  assert.equal((await silent.nextClose()).code, 1001);
  await silent.eof();
  await drained;
  assert.deepEqual(closes.map(([code]) => code), [1001, 1001]);
  await assert.rejects(RawClient.connect({ port: harness.port }));
  await harness.stop();
});
