// A relayed connection, its sockets moved by hand: what holds a peer back, and what the endpoint gets at the end.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type ManualConnection, settle, startManual, until } from "../../support/manual_connection.ts";
import { describeFrame } from "../../support/order_table.ts";
import { closePayload, concat, type Frame, frame, OPCODE } from "../../support/raw_client.ts";

const text = (payload: string) => frame({ opcode: OPCODE.text, payload });
const close = (code: number) => frame({ opcode: OPCODE.close, payload: closePayload(code) });
const server = (opcode: number, payload: string | Uint8Array, fin = true) =>
  frame({ opcode, payload, fin, mask: false });

/** What the endpoint has been sent: marks, and the others as `describeFrame` says them. */
async function passed({ inner }: ManualConnection): Promise<{ marks: Frame[]; others: string[] }> {
  const frames = await inner.frames();
  const isMark = ({ opcode, payload }: Frame) => opcode === OPCODE.ping && payload.length === 12;
  return {
    marks: frames.filter(isMark),
    others: frames.filter((one) => !isMark(one)).map(describeFrame),
  };
}

/** The endpoint answers its first marks from `from` on. */
async function answerMarks(it: ManualConnection, from = 0): Promise<void> {
  const { marks } = await passed(it);
  for (const { payload } of marks.slice(from)) it.inner.give(server(OPCODE.pong, payload));
}

/** The payloads of whole messages. */
function joinFragments(frames: readonly Frame[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let pieces: Uint8Array[] = [];
  for (const { fin, payload } of frames) {
    pieces.push(payload);
    if (!fin) continue;
    messages.push(concat(...pieces));
    pieces = [];
  }
  return messages;
}

async function received({ peer }: ManualConnection): Promise<string[]> {
  return (await peer.frames()).map(describeFrame);
}

Deno.test("a peer is read no further than two marks of many bytes, until they come back", async () => {
  await using it = startManual({ isRelayed: true });
  const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(10_000) });
  for (let i = 0; i < 100; i++) it.peer.give(message);
  await settle();
  const first = await passed(it);
  assert.equal(first.marks.length, 2);
  assert.ok(it.inner.written.length < 4 * 32_768, `${it.inner.written.length}`);
  await settle();
  assert.equal((await passed(it)).marks.length, 2);
  await answerMarks(it);
  await until("more", () => it.inner.written.length > 150_000);
  assert.ok(it.inner.written.length < 8 * 32_768, `${it.inner.written.length}`);
  assert.equal(it.peer.written.length, 0, "marks are not for the peer");
});

Deno.test("a peer is read no further than two marks of many frames, until they come back", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(...Array.from({ length: 2000 }, () => text("m"))));
  await settle();
  const { marks, others } = await passed(it);
  assert.deepEqual([marks.length, others.length], [2, 48]);
  for (let from = 0; from < 2000 / 24; from += 2) {
    await answerMarks(it, from);
    await settle();
  }
  assert.equal((await passed(it)).others.length, 2000);
});

Deno.test("a client can't make marks: what it knows comes back to it, and it is held back as before", async () => {
  await using idle = startManual({ isRelayed: true, limits: { pingInterval: 1000 } });
  idle.connection.sweep(idle.openedMs + 2000);
  await until("the Ping", () => idle.peer.written.length > 0);
  const [ping] = await idle.peer.frames();
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(...Array.from({ length: 200 }, () => text("m"))));
  await settle();
  const { marks } = await passed(it);
  // It may know how a mark looks, but not how one begins: not from another process, nor from the Ping that it gets.
  const number = marks[1]!.payload.slice(8);
  for (const start of [new Uint8Array(8), ping!.payload, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)]) {
    assert.notDeepEqual(marks[0]!.payload.slice(0, 8), start);
    it.inner.give(server(OPCODE.pong, concat(start, number)), server(OPCODE.pong, start));
  }
  await until("all Pongs", () => it.peer.written.length === 3 * (14 + 10));
  assert.deepEqual((await passed(it)).others.length, 48);
});

Deno.test("an endpoint that answers the last of several Pings alone is not waited for", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(...Array.from({ length: 1000 }, () => text("m"))));
  for (let passedBefore = 0; passedBefore < 1000;) {
    await settle();
    const { marks, others } = await passed(it);
    assert.ok(others.length > passedBefore, `${others.length} were passed on`);
    passedBefore = others.length;
    it.inner.give(server(OPCODE.pong, marks.at(-1)!.payload));
  }
  it.connection.close({ code: 1001, reason: "" });
  await settle();
  it.inner.give(server(OPCODE.pong, (await passed(it)).marks.at(-1)!.payload));
  await until("the Close", () => it.peer.written.length > 0);
});

Deno.test("a mark that comes back twice counts once, and one that was never sent is no more than the last", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(...Array.from({ length: 1000 }, () => text("m"))));
  await settle();
  const { marks } = await passed(it);
  const first = server(OPCODE.pong, marks[0]!.payload);
  it.inner.give(first, first, first);
  await settle();
  assert.equal((await passed(it)).others.length, 72);
  it.inner.give(server(OPCODE.pong, concat(marks[0]!.payload.slice(0, 8), Uint8Array.of(0, 0, 4, 0))));
  await settle();
  assert.equal((await passed(it)).others.length, 120, "no more than if all had come back");
});

Deno.test("each frame of ours to the endpoint is masked with a key of its own", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(...Array.from({ length: 200 }, () => frame({ opcode: OPCODE.binary, payload: "" }))));
  await settle();
  const bytes = it.inner.written;
  const keys: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = bytes[at + 1]! & 0x7f;
    if (bytes[at] === 0x89) keys.push(bytes.slice(at + 2, at + 6).toHex());
    at += 6 + size;
  }
  assert.equal(new Set(keys).size, 2, `${keys}`);
  assert.ok(!keys.includes("00000000"));
});

Deno.test("a violation waits for the answers to all before it, and its Close is the last thing on both sides", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.give(concat(text("a"), text("b"), frame({ opcode: 3 }), text("c")), null);
  await until("the mark", () => it.inner.written.length > 20);
  await settle();
  assert.deepEqual(await received(it), []);
  it.inner.give(server(1, "A"), server(1, "B"));
  await settle();
  assert.deepEqual(await received(it), ["text A", "text B"]);
  await answerMarks(it);
  await until("our half to be ended", () => it.peer.isEnded);
  assert.deepEqual(await received(it), ["text A", "text B", "close 1002"]);
  assert.deepEqual((await passed(it)).others, ["text a", "text b", "close 1008"]);
  it.inner.give(null);
  await it.ended;
});

Deno.test("what comes after a Close of ours does not reach the endpoint", async () => {
  await using it = startManual({ isRelayed: true });
  it.connection.close({ code: 1001, reason: "" });
  it.peer.give(text("late"));
  await until("it to be read", () => it.peer.unread === 0);
  await answerMarks(it);
  await until("the Close", () => it.peer.written.length > 0);
  it.peer.give(text("later"), close(1001), null);
  await until("our half to be ended", () => it.peer.isEnded);
  assert.deepEqual((await passed(it)).others, ["close 1001"]);
});

Deno.test("an endpoint that is gone holds up no Close, is 1011 by itself, and recorded", async () => {
  await using it = startManual({ isRelayed: true });
  it.inner.give(null);
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual(await received(it), ["close 1011"]);
  assert.equal(it.events.filter(({ event }) => event === "upstream.lost").length, 1);

  await using closing = startManual({ isRelayed: true });
  closing.connection.close({ code: 1008, reason: "" });
  await settle();
  assert.deepEqual(await received(closing), []);
  closing.inner.give(null);
  await until("the Close", () => closing.peer.written.length > 0);
  assert.deepEqual(await received(closing), ["close 1008"]);
});

Deno.test("an endpoint that has ended its stream and reads nothing is noticed at once", async () => {
  await using it = startManual({ isRelayed: true });
  it.inner.isTaking = false;
  it.peer.give(text("a"));
  it.inner.give(null);
  await until("the Close", () => it.peer.written.length > 0);
  assert.deepEqual(await received(it), ["close 1011"]);
});

Deno.test("the endpoint is not read while the peer takes nothing", async () => {
  await using it = startManual({ isRelayed: true });
  it.peer.isTaking = false;
  for (let i = 0; i < 100; i++) it.inner.give(server(2, new Uint8Array(10_000)));
  await settle();
  assert.ok(it.inner.unread > 900_000, `${it.inner.unread}`);
  assert.ok(it.outbox.pendingBytes < 50_000, `${it.outbox.pendingBytes}`);
  it.peer.takeAll();
  await until("all of it", () => it.outbox.sentBytes > 1_000_000);
});

Deno.test("a peer is read once behind what is being written, and not while marks hold it", async () => {
  await using it = startManual({ isRelayed: true });
  it.inner.isTaking = false;
  it.peer.give(text("a"), text("b"), text("c"));
  await settle();
  assert.equal(it.peer.unread, text("c").length);
  it.inner.takeAll();
  await until("all of it", () => it.peer.unread === 0);

  await using held = startManual({ isRelayed: true });
  for (let i = 0; i < 200; i++) held.peer.give(text("m"));
  await settle();
  assert.equal(held.peer.unread, (200 - 48) * text("m").length, "two marks of 24 messages each");
});

Deno.test("a Close to the endpoint comes after all that waits, however little is taken at once", async () => {
  await using it = startManual({ isRelayed: true });
  it.inner.isTaking = false;
  it.inner.most = 3;
  it.peer.give(concat(...Array.from({ length: 24 }, (_, i) => text(`${i}`))), close(1000), null);
  await settle();
  it.inner.isTaking = true;
  it.inner.takeSome(3);
  await until("the mark", () => it.inner.written.length >= 24 * 7 + 14 + 18);
  await settle();
  await answerMarks(it);
  it.inner.give(null);
  await it.ended;
  const { marks, others } = await passed(it);
  assert.equal(marks.length, 2);
  assert.deepEqual(others.map((one) => one.split(" ")[0]), [...Array(24).fill("text"), "close"]);
});

Deno.test("frames of all sizes come through, however they are cut and however little is taken", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 60 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 900 })),
      fc.infiniteStream(fc.integer({ min: 1, max: 600 })),
      async (sizes, cuts, takes) => {
        await using it = startManual({ isRelayed: true });
        const { inner } = it;
        const write = inner.write.bind(inner);
        inner.write = (bytes) => {
          inner.most = takes.next().value;
          return write(bytes);
        };
        const all = concat(
          ...sizes.map((size, i) => frame({ opcode: 2, payload: new Uint8Array(size).fill(i) })),
        );
        for (let at = 0; at < all.length;) {
          const end = at + cuts.next().value;
          it.peer.give(all.subarray(at, end));
          at = end;
        }
        const total = sizes.reduce((sum, size) => sum + size, 0);
        let messages: Uint8Array[] = [];
        for (let turn = 0; turn < 1000; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 0));
          if (it.peer.unread > 0 || inner.written.length < total) continue;
          messages = joinFragments((await inner.frames()).filter(({ opcode }) => opcode <= 2));
          if (messages.length === sizes.length) break;
        }
        assert.ok(it.peer.rooms.every((room) => room > 0), "each read has room");
        assert.deepEqual(messages, sizes.map((size, i) => new Uint8Array(size).fill(i)));
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("what is being written to the endpoint is not overwritten by what comes next", async () => {
  await using it = startManual({ isRelayed: true });
  it.inner.isTaking = false;
  it.peer.give(text("first"), text("second"), text("third"));
  await settle();
  assert.equal(it.peer.rooms.length, 2, "what it is read to is behind that");
  it.inner.takeAll();
  await until("all three", () => it.peer.unread === 0);
  await settle();
  assert.deepEqual((await passed(it)).others, ["text first", "text second", "text third"]);
});

Deno.test("a Ping of ours to the peer waits for the end of the frame that is being relayed", async () => {
  await using it = startManual({ isRelayed: true, limits: { pingInterval: 1000 } });
  const message = server(2, new Uint8Array(300).fill(1));
  it.inner.give(message.slice(0, 100));
  await until("the first part", () => it.peer.written.length > 0);
  it.connection.sweep(it.openedMs + 2000);
  await settle();
  it.inner.give(message.slice(100));
  await until("the Ping", () => it.peer.written.length > message.length);
  assert.deepEqual((await it.peer.frames()).map(({ opcode }) => opcode), [OPCODE.binary, OPCODE.ping]);
});

Deno.test("an endpoint has the time in which the process stood still once more: to answer a Ping, and to read", async () => {
  const limits = { pingInterval: 1000_000, pingTimeout: 1000_000, sendTimeout: 1000_000 };
  for (const reason of ["it does not answer a Ping", "it does not read"]) {
    await using it = startManual({ isRelayed: true, limits });
    const lost = () => it.events.find(({ event }) => event === "upstream.lost")?.fields;
    it.connection.sweep(it.openedMs);
    if (reason === "it does not read") {
      it.inner.isTaking = false;
      it.peer.give(text("m"));
      await settle();
    } else it.connection.sweep(it.openedMs + 1000_000);
    const fromMs = it.openedMs + (reason === "it does not read" ? 0 : 1000_000);
    it.connection.excuse(5000_000);
    it.connection.sweep(fromMs + 5999_000);
    assert.equal(lost(), undefined);
    it.connection.sweep(fromMs + 6001_000);
    assert.deepEqual(lost()?.reason, reason);
  }
});
