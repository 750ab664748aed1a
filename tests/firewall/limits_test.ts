// Every limit of a connection, just under, at and over it, on real sockets.
import assert from "node:assert/strict";
import { concat, frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { startHarness } from "../support/firewall_harness.ts";
import type { Message, Peer } from "../../src/endpoints/endpoint.ts";
import { PLAIN_BYTES } from "../../src/firewall/handshake/joining.ts";
import { MESSAGE_PROGRESS } from "../../src/firewall/connection/liveness.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";

function fragments(count: number, payload = ""): Uint8Array {
  const parts = [frame({ opcode: OPCODE.text, fin: count === 1, payload })];
  for (let i = 1; i < count; i++) {
    parts.push(frame({ opcode: OPCODE.continuation, fin: i === count - 1, payload }));
  }
  return concat(...parts);
}

Deno.test("a message may have exactly --max-fragments frames", async () => {
  const harness = startHarness({ maxFragments: 10 });
  using client = await RawClient.connect({ port: harness.port });
  for (const count of [9, 10]) {
    await client.send(fragments(count, "a"));
    assert.equal(await client.nextText(), "a".repeat(count));
  }
  await client.send(fragments(11));
  assert.equal((await client.nextClose()).code, 1009);
  assert.equal((await harness.event("protocol.error")).rule, "fragments");
  client.close();
  await harness.stop();
});

Deno.test("a message may have exactly --max-message-size bytes on the wire", async () => {
  const harness = startHarness({ maxMessageSize: 5000 });
  using client = await RawClient.connect({ port: harness.port });
  for (const size of [4999, 5000]) {
    await client.sendText("a".repeat(size));
    assert.equal((await client.nextText()).length, size);
  }
  await client.sendText("a".repeat(5001));
  const { code, reason } = await client.nextClose();
  assert.deepEqual([code, reason], [1009, "a message may have at most 5000 bytes"]);
  client.close();
  await harness.stop();
});

Deno.test("messages within the burst pass and one more closes with 1008 where that is asked for", async () => {
  // A rate so low that nothing is refilled while the test runs.
  for (const opcode of [OPCODE.text, OPCODE.ping]) {
    const harness = startHarness({ messageRate: 5, onRateLimit: "close" });
    using client = await RawClient.connect({ port: harness.port });
    await client.send(concat(...Array.from({ length: 5 }, () => frame({ opcode, payload: "m" }))));
    for (let i = 0; i < 5; i++) assert.equal((await client.nextFrame()).text, "m");
    await client.send(concat(...Array.from({ length: 5 }, () => frame({ opcode, payload: "m" }))));
    let next = await client.nextFrame();
    // A slow machine may have refilled a token or two.
    while (next.opcode !== OPCODE.close) next = await client.nextFrame();
    assert.equal(next.closeCode, 1008);
    assert.equal((await harness.event("limit.reached")).rule, "message_rate");
    client.close();
    await harness.stop();
  }
});

Deno.test("messages over the rate are delayed, not lost, where throttling is asked for", async () => {
  const harness = startHarness({ messageRate: 200 });
  using client = await RawClient.connect({ port: harness.port });
  const started = performance.now();
  await client.send(
    concat(...Array.from({ length: 300 }, (_, i) => frame({ opcode: OPCODE.text, payload: `m${i}` }))),
  );
  for (let i = 0; i < 300; i++) assert.equal(await client.nextText(), `m${i}`);
  // 100 more than the burst, at 200 a second: never in less than 0.4 s, however fast the machine.
  assert.ok(performance.now() - started > 400);
  client.close();
  await harness.stop();
});

Deno.test("bytes over the rate are delayed or closed with 1008", async () => {
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(1000) });
  const many = concat(...Array.from({ length: 30 }, () => message));
  const throttling = startHarness({ byteRate: 20_000 });
  using patient = await RawClient.connect({ port: throttling.port });
  const started = performance.now();
  await patient.send(many);
  for (let i = 0; i < 30; i++) await patient.nextBinary();
  assert.ok(performance.now() - started > 400);
  patient.close();
  await throttling.stop();

  const closing = startHarness({ byteRate: 20_000, onRateLimit: "close" });
  using hasty = await RawClient.connect({ port: closing.port });
  await hasty.send(many);
  let next = await hasty.nextFrame();
  while (next.opcode !== OPCODE.close) next = await hasty.nextFrame();
  assert.equal(next.closeCode, 1008);
  assert.equal((await closing.event("limit.reached")).rule, "byte_rate");
  hasty.close();
  await closing.stop();
});

Deno.test("a throttled connection can still be closed by the server", async () => {
  const harness = startHarness({ messageRate: 1 });
  using client = await RawClient.connect({ port: harness.port });
  await client.send(
    concat(...Array.from({ length: 50 }, () => frame({ opcode: OPCODE.text, payload: "m" }))),
  );
  assert.equal(await client.nextText(), "m");
  const drained = harness.firewall.drain({ code: 1001, reason: "stop" }, 2000);
  let next = await client.nextFrame();
  while (next.opcode !== OPCODE.close) next = await client.nextFrame();
  assert.equal(next.closeCode, 1001);
  client.close();
  await drained;
  await harness.stop();
});

Deno.test("a throttled peer that is gone is found out by Pings, one that is there is not closed for them", async () => {
  const harness = startHarness({ messageRate: 20, pingInterval: 100, pingTimeout: 100 });
  const pongs = (count: number) => concat(...Array<Uint8Array>(count).fill(frame({ opcode: OPCODE.pong })));
  using there = await RawClient.connect({ port: harness.port });
  await there.send(concat(pongs(50), frame({ opcode: OPCODE.text, payload: "all read" })));
  let pings = 0;
  let next = await there.nextFrame();
  for (; next.opcode === OPCODE.ping; next = await there.nextFrame()) pings++;
  assert.equal(next.opcode, OPCODE.text);
  assert.ok(pings > 1, `${pings} Pings`);
  there.close();
  await harness.ended(1);
  // At this rate they would be read for more than an hour.
  using gone = await RawClient.connect({ port: harness.port });
  await gone.send(pongs(100_000));
  gone.close();
  await harness.ended(2);
  await harness.stop();
});

Deno.test("a connection without a message for the idle timeout is closed with 3008, pings or not", async () => {
  const harness = startHarness({ idleTimeout: 200 });
  using client = await RawClient.connect({ port: harness.port });
  await client.sendText("a");
  await client.nextText();
  await client.sendFrame({ opcode: OPCODE.ping });
  assert.equal((await client.nextFrame()).opcode, OPCODE.pong);
  assert.equal((await client.nextClose()).code, 3008);
  assert.equal((await harness.event("limit.reached")).rule, "idle_timeout");
  client.close();
  await harness.stop();
});

Deno.test("a silent peer is sent a Ping; one that answers stays, one that does not is closed with 3008", async () => {
  const harness = startHarness({ pingInterval: 100, pingTimeout: 150 });
  using alive = await RawClient.connect({ port: harness.port });
  for (let i = 0; i < 4; i++) {
    const ping = await alive.nextFrame();
    assert.equal(ping.opcode, OPCODE.ping);
    await alive.sendFrame({ opcode: OPCODE.pong, payload: ping.payload });
  }
  using silent = await RawClient.connect({ port: harness.port });
  assert.equal((await silent.nextFrame()).opcode, OPCODE.ping);
  assert.equal((await silent.nextClose()).code, 3008);
  assert.equal((await harness.event("limit.reached")).rule, "ping_timeout");
  alive.close();
  silent.close();
  await harness.stop();
});

Deno.test("a Ping never lands inside a message that is being sent", async () => {
  const harness = startHarness({ pingInterval: 100 });
  using client = await RawClient.connect({ port: harness.port });
  const text = "a".repeat(2 ** 20);
  let pings = 0;
  for (let i = 0; i < 20 || pings < 2; i++) {
    await client.sendText(text);
    let next = await client.nextFrame();
    while (next.opcode === OPCODE.ping) {
      pings++;
      next = await client.nextFrame();
    }
    assert.equal(next.text === text, true);
    if (i >= 20) {
      assert.equal((await client.nextFrame()).opcode, OPCODE.ping);
      pings++;
    }
  }
  client.close();
  await harness.stop();
});

Deno.test("a peer that reads nothing for the send timeout is cut", async () => {
  const harness = startHarness({ sendTimeout: 300 });
  using client = await RawClient.connect({ port: harness.port });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(2 ** 20) });
  // The write fails when the connection is cut; until then it stalls.
  await (async () => {
    for (;;) await client.send(message);
  })().catch(() => {});
  assert.equal((await harness.event("limit.reached")).rule, "send_timeout");
  await harness.ended(1);
  client.close();
  await harness.stop();
});

Deno.test("no connection lives longer than the longest lifetime", async () => {
  const harness = startHarness({ maxLifetime: 200 });
  using client = await RawClient.connect({ port: harness.port });
  assert.equal((await client.nextClose()).code, 3008);
  assert.equal((await harness.event("limit.reached")).rule, "max_lifetime");
  client.close();
  await harness.stop();
});

Deno.test("when unfinished messages hold too much, the largest is closed with 1013 and the others go on", async () => {
  const budget = new MemoryBudget(2 * PLAIN_BYTES + 1_600_000);
  const harness = startHarness({ maxMessageSize: 2 ** 21 }, undefined, budget);
  using small = await RawClient.connect({ port: harness.port });
  using large = await RawClient.connect({ port: harness.port });
  await large.sendFrame({ opcode: OPCODE.binary, fin: false, payload: new Uint8Array(700_000) });
  await small.sendFrame({ opcode: OPCODE.binary, fin: false, payload: new Uint8Array(60_000) });
  for (const client of [small, large]) {
    await client.sendFrame({ opcode: OPCODE.ping });
    assert.equal((await client.nextFrame()).opcode, OPCODE.pong);
  }
  assert.ok(budget.usedBytes >= 2 * PLAIN_BYTES + 760_000, "what has come is counted");
  // It is closed before all of this has come.
  void large.sendFrame({ opcode: OPCODE.continuation, payload: new Uint8Array(1_000_000) }).catch(() => {});
  assert.equal((await large.nextClose()).code, 1013);
  large.close();
  await small.sendFrame({ opcode: OPCODE.continuation, payload: new Uint8Array(1) });
  assert.equal((await small.nextBinary()).length, 60_001);
  small.close();
  await harness.ended(2);
  assert.equal(budget.usedBytes, 0);
  await harness.stop();
});

Deno.test("when what peers do not read holds too much, the one that holds most is cut, once, and the others go on", async () => {
  const budget = new MemoryBudget(2 * PLAIN_BYTES + 2 ** 20);
  const payload = new Uint8Array(2 ** 20);
  const push = (peer: Peer) => ({
    message(data: Message) {
      if (data === "push") { for (let i = 0; i < 32; i++) peer.send(payload.slice().buffer); }
      else peer.send(data);
    },
  });
  const harness = startHarness({}, push, budget);
  using good = await RawClient.connect({ port: harness.port });
  using bad = await RawClient.connect({ port: harness.port });
  await bad.sendText("push");
  await harness.ended(1);
  assert.deepEqual(
    harness.events.filter(({ event }) => event === "limit.reached").map((
      { fields },
    ) => [fields.rule, fields.code]),
    [["buffered_memory", 1013]],
  );
  await good.sendText("still here");
  assert.equal(await good.nextText(), "still here");
  good.close();
  bad.close();
  await harness.ended(2);
  assert.equal(budget.usedBytes, 0);
  await harness.stop();
});

Deno.test("a connection too many for the memory gets 503, and a place as soon as another one ends", async () => {
  const budget = new MemoryBudget(4 * PLAIN_BYTES);
  const harness = startHarness({}, undefined, budget);
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await RawClient.connect({ port: harness.port }));
  using late = await RawClient.open({ port: harness.port });
  assert.equal((await late.handshake()).status, 503);
  assert.equal((await harness.event("handshake.refused")).rule, "memory");
  clients.pop()!.close();
  await harness.ended(1);
  using next = await RawClient.connect({ port: harness.port });
  await next.sendText("in");
  assert.equal(await next.nextText(), "in");
  for (const client of [...clients, next]) client.close();
  await harness.stop();
});

Deno.test("an unfinished message that does not grow is closed with 3008, one that grows is not", async () => {
  const harness = startHarness({ messageTimeout: 200 });
  using stuck = await RawClient.connect({ port: harness.port });
  using slow = await RawClient.connect({ port: harness.port });
  await slow.sendFrame({ opcode: OPCODE.text, fin: false, payload: "a" });
  await stuck.sendFrame({ opcode: OPCODE.text, fin: false, payload: "a" });
  let isOver = false;
  const growing = (async () => {
    let size = 1;
    while (!isOver) {
      await slow.sendFrame({
        opcode: OPCODE.continuation,
        fin: false,
        payload: "b".repeat(MESSAGE_PROGRESS),
      });
      await slow.sendFrame({ opcode: OPCODE.ping });
      await slow.nextFrame();
      size += MESSAGE_PROGRESS;
      // As often as the rest of the process lets it, and never in one go.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return size;
  })();
  assert.equal((await stuck.nextClose()).code, 3008);
  assert.equal((await harness.event("limit.reached")).rule, "message_timeout");
  isOver = true;
  const size = await growing;
  await slow.sendFrame({ opcode: OPCODE.continuation, payload: "" });
  assert.equal((await slow.nextText()).length, size);
  slow.close();
  stuck.close();
  await harness.stop();
});
