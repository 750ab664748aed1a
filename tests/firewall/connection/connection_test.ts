// A connection alone, with its sockets and its time moved by hand: what a real network shows never, or only after long.
import assert from "node:assert/strict";
import { large } from "../../../src/firewall/connection/buffer_stock.ts";
import { MESSAGE_PROGRESS } from "../../../src/firewall/connection/liveness.ts";
import { MemoryBudget } from "../../../src/firewall/memory_budget.ts";
import { type ManualConnection, settle, startManual, until } from "../../support/manual_connection.ts";
import { describeFrame } from "../../support/order_table.ts";
import { closePayload, concat, frame, OPCODE } from "../../support/raw_client.ts";

const text = (payload: string) => frame({ opcode: OPCODE.text, payload });
const close = (code: number) => frame({ opcode: OPCODE.close, payload: closePayload(code) });
const begun = (payload: string | Uint8Array) => frame({ opcode: OPCODE.text, fin: false, payload });
const more = (payload: string | Uint8Array, fin = false) =>
  frame({ opcode: OPCODE.continuation, fin, payload });

async function sent({ peer }: ManualConnection): Promise<string[]> {
  return (await peer.frames()).map(describeFrame);
}

function rules({ events }: ManualConnection): unknown[] {
  return events.filter(({ event }) => event === "limit.reached" || event === "protocol.error")
    .map(({ fields }) => fields.rule);
}

function record({ events }: ManualConnection) {
  return events.find(({ event }) => event === "connection.closed")!.fields;
}

Deno.test("many Pings are not activity", async () => {
  await using it = startManual({ limits: { idleTimeout: 1000_000, pingInterval: 300_000 } });
  for (let ms = 100; ms <= 1100; ms += 100) {
    const count = it.outbox.sentBytes;
    it.peer.give(frame({ opcode: OPCODE.ping, payload: "p" }), frame({ opcode: OPCODE.pong }));
    if (ms <= 1000) await until("the Pong", () => it.outbox.sentBytes > count);
    it.connection.sweep(it.openedMs + ms * 1000);
    assert.equal(it.connection.isOpen, ms < 1000, `${ms}`);
  }
  assert.deepEqual(rules(it), ["idle_timeout"]);
  assert.deepEqual(new Set(await sent(it)), new Set(["pong p", "close 3008"]));
});

const ACTIVITY: Readonly<Record<string, (it: ManualConnection) => void>> = {
  "a message of the peer": (it) => it.peer.give(text("in")),
  "a message of the endpoint": (it) => it.served!.send("out"),
  "a part of a message": (it) => it.peer.give(it.counters.bytesIn === 0 ? begun("a") : more("b")),
};

for (const [what, act] of Object.entries(ACTIVITY)) {
  Deno.test(`${what} is activity`, async () => {
    await using it = startManual({ limits: { idleTimeout: 1_000_000 }, receive: () => {} });
    for (let ms = 900; ms <= 4500; ms += 900) {
      act(it);
      await settle();
      it.connection.sweep(it.openedMs + ms * 1000);
      assert.ok(it.connection.isOpen, `${ms}`);
    }
    it.connection.sweep(it.openedMs + 5_499_000);
    assert.ok(it.connection.isOpen);
    it.connection.sweep(it.openedMs + 5_500_000);
    assert.deepEqual(rules(it), ["idle_timeout"]);
  });
}

Deno.test("a message that grows by less than its share, with Pings between, is late", async () => {
  await using it = startManual({ limits: { messageTimeout: 1000_000 } });
  it.peer.give(begun("a"));
  await settle();
  it.connection.sweep(it.openedMs + 10_000);
  for (let ms = 100; ms <= 1000; ms += 100) {
    it.peer.give(more("b".repeat(MESSAGE_PROGRESS / 10 - 1)), frame({ opcode: OPCODE.ping }));
    await settle();
    it.connection.sweep(it.openedMs + ms * 1000);
    assert.ok(it.connection.isOpen, `${ms}`);
  }
  it.connection.sweep(it.openedMs + 1010_000);
  assert.deepEqual(rules(it), ["message_timeout"]);
});

Deno.test("a message that grows by its share is never late, and neither is one after the other", async () => {
  await using it = startManual({ limits: { messageTimeout: 1000_000 } });
  it.peer.give(begun("a"));
  await settle();
  it.connection.sweep(it.openedMs + 10_000);
  for (let ms = 900; ms <= 4500; ms += 900) {
    it.peer.give(more("b".repeat(MESSAGE_PROGRESS)));
    await settle();
    it.connection.sweep(it.openedMs + ms * 1000);
  }
  // There is an unfinished message at each sweep, but always another one.
  for (let ms = 5400; ms <= 9000; ms += 900) {
    it.peer.give(concat(more("", true), begun("a")));
    await settle();
    it.connection.sweep(it.openedMs + ms * 1000);
  }
  assert.ok(it.connection.isOpen);
  it.connection.sweep(it.openedMs + 10_000_000);
  assert.deepEqual(rules(it), ["message_timeout"]);
});

Deno.test("a peer that is not read, because its message is being answered, is not taken for silent", async () => {
  const answer = Promise.withResolvers<void>();
  await using it = startManual({
    limits: { pingInterval: 100_000, pingTimeout: 100_000 },
    async receive(message, served) {
      await answer.promise;
      served.send(message);
    },
  });
  it.peer.give(text("slow"), frame({ opcode: OPCODE.pong }));
  await settle();
  for (let ms = 50; ms <= 1000; ms += 50) {
    it.connection.sweep(it.openedMs + ms * 1000);
    await settle();
  }
  assert.ok(it.connection.isOpen);
  const { length } = it.peer.written;
  answer.resolve();
  await until("the answer", () => it.peer.written.length > length);
  const frames = await sent(it);
  assert.equal(frames.pop(), "text slow");
  // What finds out who is gone.
  assert.ok(frames.every((frame) => frame === "opcode 9"), frames.join());
});

Deno.test("an unfinished message that waits for its peer's rate is not late", async () => {
  await using it = startManual({ limits: { messageTimeout: 1000_000, byteRate: 1024 } });
  it.peer.give(begun("a".repeat(900)), more("b".repeat(1000)));
  await settle();
  for (let ms = 500; ms <= 5000; ms += 500) {
    it.connection.sweep(it.openedMs + ms * 1000);
    assert.ok(it.connection.isOpen, `${ms}`);
    if (it.peer.unread === 0) break;
  }
});

Deno.test("a peer that takes a little between two sweeps is not stalled, and one that takes nothing is", async () => {
  await using it = startManual({ limits: { sendTimeout: 1000_000 } });
  it.peer.isTaking = false;
  it.peer.give(text("a".repeat(5000)));
  await until("a write", () => it.outbox.isWriting);
  for (let ms = 900; ms <= 4500; ms += 900) {
    it.peer.takeSome(10);
    await settle();
    it.connection.sweep(it.openedMs + ms * 1000);
    assert.ok(it.connection.isOpen, `${ms}`);
  }
  it.connection.sweep(it.openedMs + 5499_000);
  assert.ok(it.connection.isOpen);
  it.connection.sweep(it.openedMs + 5500_000);
  assert.deepEqual(rules(it), ["send_timeout"]);
  assert.ok(it.peer.isClosed, "a Close could not get through");
});

Deno.test("what is excused moves every time, and the deadline of a closing too", async () => {
  await using it = startManual({ limits: { maxLifetime: 1000_000, closeTimeout: 1_000_000 } });
  const { openedMs } = it.connection.facts;
  it.connection.excuse(5_000_000);
  assert.equal(it.connection.facts.openedMs, openedMs, "it is no younger for that");
  it.connection.sweep(it.openedMs + 5900_000);
  assert.ok(it.connection.isOpen);
  it.connection.sweep(it.openedMs + 6000_000);
  assert.deepEqual(rules(it), ["max_lifetime"]);
  await until("the Close", () => it.peer.isEnded || it.peer.written.length > 0);

  await using other = startManual({ limits: { closeTimeout: 1_000_000 } });
  other.connection.close({ code: 1001, reason: "" });
  other.connection.excuse(1_000_000);
  other.connection.sweep(performance.now() + 1_500_000);
  assert.ok(!other.peer.isClosed);
  other.connection.sweep(performance.now() + 2_000_001);
  assert.ok(other.peer.isClosed);
});

Deno.test("after the deadline the peer is cut, and the endpoint when it has had the same time again", async () => {
  for (const isRelayed of [false, true]) {
    await using it = startManual({ isRelayed, limits: { closeTimeout: 1_000_000 } });
    it.connection.close({ code: 1001, reason: "" });
    await settle();
    it.connection.sweep(performance.now() + 999_000);
    assert.ok(!it.peer.isClosed);
    it.connection.sweep(performance.now() + 1_000_001);
    if (isRelayed) {
      // The answers have not come; their time is over, and the Close goes out without them.
      await until("the Close", () => it.peer.written.length > 0);
      it.connection.sweep(performance.now() + 1_002_000);
    }
    assert.ok(it.peer.isClosed);
    // Not for long: the grace of an endpoint whose peer is gone is of the machine's time.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!it.inner.isClosed, "the endpoint is told, and may take its time");
    it.connection.sweep(performance.now() + 1_000_001);
    assert.ok(it.inner.isClosed);
    await it.ended;
    assert.deepEqual([record(it).code, record(it).clean], [1001, false]);
  }
});

Deno.test("a peer that goes on sending after both have closed is read slowly, and cut when its time is over", async () => {
  await using it = startManual({ limits: { closeTimeout: 1_000_000 } });
  it.peer.give(close(1000));
  await until("our half to be ended", () => it.peer.isEnded);
  for (let i = 0; i < 100; i++) it.peer.give(new Uint8Array(4096));
  await until("a quarter of a MiB to be read", () => it.peer.unread <= 409_600 - 262_144);
  assert.ok(!it.peer.isClosed, "it may not have read the Close yet");
  it.connection.sweep(performance.now() + 2000);
  await until("the end of the peer's side", () => it.peer.isClosed);
  assert.ok(it.peer.unread > 100_000, `${it.peer.unread}`);

  await using silent = startManual({ limits: { closeTimeout: 1_000_000 } });
  silent.peer.give(close(1000));
  await until("our half to be ended", () => silent.peer.isEnded);
  silent.connection.sweep(performance.now() + 2000);
  assert.ok(silent.peer.isClosed, "one that does not end is not waited for");
});

Deno.test("the endpoint hears what the peer said, and the record too, even if we closed first", async () => {
  for (const by of ["us", "the endpoint"] as const) {
    await using it = startManual();
    if (by === "us") it.connection.close({ code: 1001, reason: "" });
    else it.served!.end({ code: 3000, reason: "" });
    await until("the Close", () => it.peer.written.length > 0);
    it.peer.give(close(4321));
    it.peer.give(null);
    await until("the endpoint to be told", () => it.inner.written.length > 0);
    const [told] = await it.inner.frames();
    // What we closed, it has heard at once.
    assert.equal(told!.closeCode, by === "us" ? 1001 : 4321);
    it.served!.endpointEnded();
    await it.ended;
    assert.deepEqual([record(it).code, record(it).clean], [4321, true]);
    assert.equal(it.counters.closes.get(4321), 1);
  }
});

Deno.test("a peer that leaves without a Close is 1006 in the record, also for a Close of ours that it did not answer", async () => {
  await using it = startManual();
  it.peer.give(null);
  await until("the endpoint to be told", () => it.inner.isClosed);
  assert.equal(it.inner.written.length, 0, "1006 is never sent");
  it.served!.endpointEnded();
  await it.ended;
  assert.deepEqual([record(it).code, record(it).clean, it.peer.written.length], [1006, false, 0]);

  await using lost = startManual();
  lost.peer.give(new Deno.errors.ConnectionReset("reset"));
  await until("the endpoint to be told", () => lost.inner.isClosed);
  lost.served!.endpointEnded();
  await lost.ended;
  assert.equal(record(lost).code, 1006);
});

Deno.test("a Close waits for the answer that is being made, and for no other one", async () => {
  for (const violation of [false, true]) {
    const answer = Promise.withResolvers<void>();
    const seen: unknown[] = [];
    await using it = startManual({
      async receive(message, served) {
        seen.push(message);
        await answer.promise;
        served.send("late");
      },
    });
    it.peer.give(concat(text("a"), violation ? frame({ opcode: 3 }) : text("b"), close(1000)));
    await until("the message", () => seen.length === 1);
    if (!violation) it.connection.close({ code: 1001, reason: "" });
    await settle();
    assert.equal(it.peer.written.length, 0);
    answer.resolve();
    await until("the Close", () => it.peer.isEnded);
    assert.deepEqual(await sent(it), ["text late", violation ? "close 1002" : "close 1001"]);
    assert.deepEqual(seen, ["a"]);
  }
});

Deno.test("an endpoint that closes while it answers does not wait for itself", async () => {
  await using it = startManual({
    async receive(_message, served) {
      await Promise.resolve();
      served.send("last");
      served.end({ code: 4000, reason: "" });
      served.send("dropped");
      await new Promise(() => {});
    },
  });
  it.peer.give(concat(text("a"), text("b")));
  await until("the Close", () => it.peer.written.length > 8);
  assert.deepEqual(await sent(it), ["text last", "close 4000"]);
});

Deno.test("what breaks a rule after the closing has begun is nobody's violation", async () => {
  await using it = startManual();
  it.connection.close({ code: 1001, reason: "" });
  it.peer.give(frame({ opcode: 3 }), null);
  await until("our half to be ended", () => it.peer.isEnded);
  assert.deepEqual([rules(it), it.violations(), await sent(it)], [[], 0, ["close 1001"]]);
});

Deno.test("a broken rule is recorded once, counted, and told to whoever bans; a limit is not told", async () => {
  await using it = startManual();
  it.peer.give(concat(frame({ opcode: 3 }), frame({ opcode: 3 })), null);
  await until("our half to be ended", () => it.peer.isEnded);
  assert.deepEqual([rules(it), it.violations()], [["reserved_opcode"], 1]);
  assert.equal(it.counters.violations.get("reserved_opcode"), 1);

  await using limited = startManual({ limits: { maxLifetime: 1 } });
  limited.connection.sweep(limited.openedMs + 1000);
  assert.deepEqual([rules(limited), limited.violations()], [["max_lifetime"], 0]);
});

Deno.test("a fault of a handler that is not contained, of a socket or of the loop, is 1011 and one record", async () => {
  await using broken = startManual({
    receive() {
      throw new TypeError("a bug");
    },
  });
  broken.peer.give(text("a"));
  await until("the endpoint to be told", () => broken.inner.written.length > 0);
  broken.served!.endpointEnded();
  await broken.ended;
  assert.equal(broken.events.filter(({ event }) => event === "connection.fault").length, 1);
  assert.equal(record(broken).code, 1011);

  await using odd = startManual();
  odd.peer.give(new TypeError("no loss"));
  await until("the endpoint to be told", () => odd.inner.written.length > 0);
  odd.served!.endpointEnded();
  await odd.ended;
  assert.equal(odd.events.filter(({ event }) => event === "connection.fault").length, 1);
});

Deno.test("no more than 64 frames of one peer are dealt with in one turn", async () => {
  let inTurn = 0;
  let most = 0;
  let seen = 0;
  await using it = startManual({
    receive() {
      seen++;
      most = Math.max(most, ++inTurn);
      // By a timer: while there are immediates, the runtime hardly looks for what others have sent.
      if (inTurn === 1) setTimeout(() => inTurn = 0, 0);
    },
  });
  it.peer.give(concat(...Array.from({ length: 1000 }, () => text("m"))));
  await until("all messages", () => seen === 1000);
  await until("the end of the last turn", () => inTurn === 0);
  // What a read brings may begin a turn of its own in the same one.
  assert.ok(most >= 64 && most <= 128, `${most}`);
});

Deno.test("a peer that has 4 KiB to read, frame headers included, is read on, and with a byte more it is not", async () => {
  for (const size of [1, 4092, 4093]) {
    const seen: unknown[] = [];
    await using it = startManual({
      receive(message, served) {
        seen.push(message);
        served.send("a".repeat(size));
      },
    });
    it.peer.isTaking = false;
    it.peer.give(text("a"), text("b"));
    await settle();
    const isRead = size <= 4092;
    assert.deepEqual([seen, it.peer.unread > 0], [isRead ? ["a", "b"] : ["a"], !isRead], `${size}`);
    it.peer.takeAll();
    await until("the rest", () => seen.length === 2);
  }
});

Deno.test("replies that are not taken hold back what was read already, too", async () => {
  let seen = 0;
  await using it = startManual({
    receive(_message, served) {
      seen++;
      served.send(new ArrayBuffer(40_000));
    },
  });
  it.peer.isTaking = false;
  it.peer.give(concat(...Array.from({ length: 50 }, () => text("m"))));
  await settle();
  assert.equal(seen, 2);
});

Deno.test("what a read goes to is counted before it, and a rate bounds it", async () => {
  const budget = new MemoryBudget(Infinity);
  const used: number[] = [0];
  await using it = startManual({ budget, limits: { byteRate: 40_000 } });
  it.peer.onRead = () => used.push(budget.usedBytes);
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(200_000) });
  it.peer.give(message.slice(0, 100), message.slice(100, 39_000));
  await until("a direct read", () => it.peer.rooms.length >= 4 && it.peer.unread === 0);
  it.peer.rooms.forEach((room, i) => {
    assert.ok(room <= 40_000, `${room}`);
    if (i > 1 && room > 0) {
      assert.ok(used[i]! >= Math.min(room, 16_384), `read ${i}: ${room} bytes, ${used[i]} counted`);
    }
  });
  assert.equal(budget.usedBytes, it.connection.heldBytes);
});

Deno.test("who is shed by its own read does not read to what it has let go of", async () => {
  const budget = new MemoryBudget(10_000);
  await using it = startManual({ budget });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(200_000) });
  it.peer.give(message.slice(0, 100));
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual(rules(it), ["buffered_memory"]);
  assert.deepEqual(it.peer.rooms.filter((room) => room >= 16_384), []);
  assert.deepEqual([budget.usedBytes, it.connection.heldBytes], [0, 0]);
});

Deno.test("who is shed lets go of its unfinished message, or of its outbox and its socket", async () => {
  const budget = new MemoryBudget(100_000);
  await using it = startManual({ budget });
  it.peer.give(begun("a".repeat(50_000)));
  await until("the message", () => it.connection.heldBytes >= 50_000);
  it.connection.shed();
  assert.ok(budget.usedBytes < 100, "the Close alone");
  assert.deepEqual([it.peer.isClosed, it.connection.isOpen], [false, false]);
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual(await sent(it), ["close 1013"]);

  await using stalled = startManual({ budget });
  stalled.peer.isTaking = false;
  stalled.served!.send("a".repeat(1000));
  stalled.served!.send("b".repeat(50_000));
  assert.ok(budget.usedBytes >= 51_000);
  stalled.connection.shed();
  assert.ok(budget.usedBytes < 2000, `at once all but what is under way: ${budget.usedBytes}`);
  assert.deepEqual([stalled.peer.isClosed, stalled.connection.isOpen], [true, false]);
  await until("the endpoint to be told", () => stalled.inner.written.length > 0);
  stalled.served!.endpointEnded();
  await stalled.ended;
  assert.equal(budget.usedBytes, 0);
});

Deno.test("near the limit a large message waits for its turn, and goes on when it is its turn", async () => {
  const budget = new MemoryBudget(1_000_000);
  await using first = startManual({ budget });
  await using second = startManual({ budget });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(400_000) });
  for (const it of [first, second]) it.peer.give(message.slice(0, 390_000));
  await settle();
  assert.ok(budget.isTight);
  for (const it of [first, second]) it.peer.give(message.slice(390_000, 390_100));
  await settle();
  const waiting = first.peer.unread > 0 ? first : second;
  const leading = waiting === first ? second : first;
  assert.deepEqual([waiting.peer.unread > 0, leading.peer.unread], [true, 0]);
  leading.peer.give(message.slice(390_100));
  await until("the other one to go on", () => waiting.peer.unread === 0);
  waiting.peer.give(message.slice(390_100));
  await until("both answers", () => first.outbox.sentBytes > 390_000 && second.outbox.sentBytes > 390_000);
});

Deno.test("connections that have ended keep no buffer of those that all share", async () => {
  const before = countLarge();
  for (let i = 0; i < 3; i++) {
    await using it = startManual();
    // One of exactly the room that there is makes the next room larger.
    for (let round = 0; round < 4; round++) {
      it.peer.give(concat(...Array.from({ length: 200 }, () => text("a".repeat(100)))));
    }
    // Too long for a small buffer on its way out.
    it.peer.give(text("b".repeat(5000)));
    await until("the answers", () => it.outbox.messages === 801);
    if (i === 0) assert.ok(it.peer.rooms.some((room) => room > 4096), `${it.peer.rooms}`);
  }
  assert.equal(countLarge(), before);
});

/** How many large buffers may still be taken. */
function countLarge(): number {
  const taken = [];
  while (large.hasMore) taken.push(large.take());
  for (const bytes of taken) large.giveBack(bytes);
  return taken.length;
}

Deno.test("an endpoint that is ready before the connection, and closes at once, is the first to be heard", async () => {
  let seen = 0;
  await using it = startManual({
    receive: () => void seen++,
    before: (served) => served.whenStarted(() => served.end({ code: 4001, reason: "" })),
  });
  assert.equal(it.counters.opened, 1);
  it.peer.give(text("a"), close(4001), null);
  await until("the end", () => it.peer.isEnded);
  assert.deepEqual([await sent(it), seen], [["close 4001"], 0]);
  it.served!.endpointEnded();
  await it.ended;
  assert.equal(it.counters.closed, 1);
});

Deno.test("a peer is not read before there is anybody to answer it", async () => {
  await using it = startManual({ isAttached: false });
  it.peer.give(text("early"));
  await settle();
  assert.equal(it.peer.rooms.length, 0);
  it.served!.attach({ message: (message) => it.served!.send(message) });
  await until("the answer", () => it.peer.written.length > 0);
  assert.deepEqual(await sent(it), ["text early"]);
});

Deno.test("an endpoint that is lost is 1011 for the peer, and recorded", async () => {
  await using it = startManual();
  it.served!.endpointEnded();
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual(await sent(it), ["close 1011"]);
  assert.equal(it.events.filter(({ event }) => event === "endpoint.lost").length, 1);
  assert.ok(it.inner.isClosed);
});

Deno.test("an endpoint that is lost before the connection has begun is 1011 too, and nobody is opened", async () => {
  let opened = 0;
  await using it = startManual({
    before: (served) => {
      served.whenStarted(() => opened++);
      served.endpointEnded();
    },
  });
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual([await sent(it), opened], [["close 1011"], 0]);
  it.peer.give(null);
  await it.ended;
  assert.equal(it.counters.closed, 1);
});

Deno.test("a code that the runtime takes for an error reaches the peer, and the endpoint as another one", async () => {
  await using it = startManual();
  it.peer.give(close(1014), null);
  await until("our half to be ended", () => it.peer.isEnded);
  assert.deepEqual(await sent(it), ["close 1014"]);
  assert.deepEqual((await it.inner.frames()).map(describeFrame), ["close 1011"]);
});

Deno.test("a read that goes to where the message is has room for no more than the rate allows", async () => {
  await using it = startManual({ limits: { byteRate: 5000 } });
  it.peer.give(frame({ opcode: OPCODE.binary, payload: new Uint8Array(200_000) }).slice(0, 100));
  await until("the next read", () => it.peer.rooms.length === 2);
  assert.ok(it.peer.rooms[1]! > 4096 && it.peer.rooms[1]! <= 5000, `${it.peer.rooms}`);
});

Deno.test("a peer that is throttled is read in large pieces, and not byte by byte as the rate allows it", async () => {
  await using it = startManual({ limits: { byteRate: 2_000_000, maxMessageSize: 4_000_000 } });
  it.peer.give(frame({ opcode: OPCODE.binary, payload: new Uint8Array(3_000_000) }));
  for (const untilMs = performance.now() + 5000; it.peer.unread > 500_000 && performance.now() < untilMs;) {
    await settle();
  }
  const small = it.peer.rooms.filter((room) => room < 16_384);
  // The first ones are what the read buffer has room for.
  assert.ok(small.length <= 3, `${it.peer.rooms}`);
});

Deno.test("to cut what has ended does nothing", async () => {
  await using it = startManual();
  it.peer.give(close(1000), null);
  await until("the endpoint to be told", () => it.inner.written.length > 0);
  it.served!.endpointEnded();
  await it.ended;
  it.connection.cut();
  assert.equal(it.events.filter(({ event }) => event === "connection.closed").length, 1);
});

/** What of a connection others call, with a fault planted in what it comes to. */
const FAULTY: readonly [
  name: string,
  plant: (it: ManualConnection) => void,
  call: (it: ManualConnection) => void,
][] = [
  ["a sweep", (it) => it.served!.sweep = plant, (it) => it.connection.sweep(it.openedMs + 1000)],
  [
    "a Close from outside",
    (it) => it.served!.discard = plant,
    (it) => it.connection.close({ code: 1001, reason: "" }),
  ],
  ["a shed", (it) => it.served!.discard = plant, (it) => it.connection.shed()],
];

function plant(): never {
  throw new TypeError("planted");
}

for (const [name, plantIn, call] of FAULTY) {
  Deno.test(`a fault in ${name} is that connection's, and not of whoever asked for it`, async () => {
    await using it = startManual();
    await settle();
    plantIn(it);
    call(it);
    const faults = it.events.filter(({ event }) => event === "connection.fault");
    assert.deepEqual(faults.map(({ fields }) => fields.error), ["TypeError: planted"]);
    it.inner.close();
    let ms = 0;
    // Its deadlines end it.
    await until("its end", () => {
      it.connection.sweep(it.openedMs + (ms += 10_000));
      return it.hasEnded();
    });
  });
}
