// The outbox: whole frames in order, few writes, nothing lost and nothing kept, whatever the peer does.
import assert from "node:assert/strict";
import fc from "fast-check";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import { LARGE_SIZE, SMALL_SIZE } from "../../src/firewall/connection/buffer_stock.ts";
import { Outbox } from "../../src/firewall/connection/outbox.ts";
import type { ByteSocket } from "../../src/firewall/byte_socket.ts";
import { concat } from "../support/raw_client.ts";
import { encodeClose, encodeFrame, OPCODE } from "../../src/protocol/frame.ts";

/** Takes bytes when it is told to; at most `most` at once. */
class SlowSocket implements ByteSocket {
  readonly writes: Uint8Array[] = [];
  most = Infinity;
  isReading = true;
  #resume: (() => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  get bytes(): Uint8Array {
    return concat(...this.writes);
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (!this.isReading) {
      await new Promise<void>((resolve, reject) => {
        this.#resume = resolve;
        this.#fail = reject;
      });
    }
    const taken = bytes.slice(0, this.most);
    this.writes.push(taken);
    return taken.length;
  }

  takeAll(): void {
    this.isReading = true;
    this.#resume?.();
  }

  lose(): void {
    this.#fail?.(new Error("the peer is gone"));
  }

  read = (): Promise<null> => Promise.resolve(null);
  closeWrite = (): Promise<void> => Promise.resolve();
  close = (): void => {};
}

interface Bench {
  readonly socket: SlowSocket;
  readonly counters: EndpointCounters;
  readonly outbox: Outbox;
  readonly lost: unknown[];
  /** The sum of the changes that were told. */
  pending(): number;
  /** Starts the outbox; resolves whenever what is in it has been written or lost. */
  start(): void;
  written(): Promise<void>;
}

function createBench(): Bench {
  const socket = new SlowSocket();
  const counters = new EndpointCounters();
  let pending = 0;
  const outbox = new Outbox(socket, counters, (bytes) => pending += bytes);
  const lost: unknown[] = [];
  let onWritten = () => {};
  return {
    socket,
    counters,
    outbox,
    lost,
    pending: () => pending,
    start: () => outbox.start(() => onWritten(), (error) => lost.push(error)),
    written: () => new Promise((resolve) => onWritten = resolve),
  };
}

function textFrame(text: string): Uint8Array {
  return encodeFrame(OPCODE.text, new TextEncoder().encode(text));
}

Deno.test("messages of one turn are one write, each a frame of its own", async () => {
  const { outbox, socket, counters, start, written } = createBench();
  start();
  const done = written();
  outbox.hold();
  outbox.send("a");
  outbox.send(Uint8Array.of(1, 2).buffer);
  outbox.send("");
  assert.equal(outbox.pendingBytes, 3 + 4 + 2);
  assert.equal(socket.writes.length, 0);
  outbox.release();
  await done;
  assert.equal(socket.writes.length, 1);
  assert.deepEqual(
    socket.bytes,
    concat(textFrame("a"), encodeFrame(OPCODE.binary, Uint8Array.of(1, 2)), textFrame("")),
  );
  assert.deepEqual([outbox.messages, outbox.sentBytes, outbox.pendingBytes], [3, 9, 0]);
  assert.deepEqual([counters.bytesOut, counters.messagesOut.sum], [9, 3]);
});

Deno.test("outside of a turn a message is written at once", () => {
  const { outbox, socket, start } = createBench();
  start();
  outbox.send("a");
  assert.deepEqual(socket.bytes, textFrame("a"));
});

Deno.test("nothing is written before the start, and all of it then", async () => {
  const { outbox, socket, start, written } = createBench();
  outbox.send("early");
  assert.equal(socket.writes.length, 0);
  const done = written();
  start();
  await done;
  assert.deepEqual(socket.bytes, textFrame("early"));
});

Deno.test("any mix of messages arrives whole and in order, however little is taken at once", async () => {
  const sizes = [0, 1, 125, 126, 127, SMALL_SIZE - 4, SMALL_SIZE, LARGE_SIZE - 4, LARGE_SIZE, 65_535, 65_536];
  const message = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(...sizes).chain((size) =>
      fc.constantFrom("a".repeat(size), "\u00e9".repeat(size), new Uint8Array(size))
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 700 }),
      async (all, most) => {
        const { outbox, socket, start, written } = createBench();
        socket.most = most;
        start();
        const done = written();
        for (const one of all) outbox.send(typeof one === "string" ? one : one.slice().buffer);
        await done;
        const frames = all.map((one) =>
          typeof one === "string" ? textFrame(one) : encodeFrame(OPCODE.binary, one)
        );
        assert.deepEqual(socket.bytes, concat(...frames));
        assert.equal(outbox.pendingBytes, 0);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("what comes while the peer reads nothing is counted, and follows in order", async () => {
  const { outbox, socket, pending, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.send("first");
  assert.equal(outbox.isWriting, true);
  outbox.send("second");
  outbox.pong(Uint8Array.of(0, 1, 2), 1, 3);
  outbox.relay(textFrame("third"), 7);
  assert.equal(outbox.pendingBytes, 7 + 8 + 4 + 7);
  assert.equal(pending(), 26);
  const done = written();
  socket.takeAll();
  await done;
  assert.deepEqual(
    socket.bytes,
    concat(
      textFrame("first"),
      textFrame("second"),
      encodeFrame(OPCODE.pong, Uint8Array.of(1, 2)),
      textFrame("third"),
    ),
  );
  assert.equal(outbox.isWriting, false);
  assert.equal(pending(), 0);
});

Deno.test("what is dropped is gone, what is under way is not, and nothing is taken after that", async () => {
  const { outbox, socket, pending, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.send("under way");
  outbox.send("dropped");
  outbox.drop();
  assert.equal(pending(), 11);
  outbox.send("too late");
  outbox.relay(textFrame("too late"), 10);
  outbox.close({ code: 1000, reason: "" });
  const done = written();
  socket.takeAll();
  await done;
  assert.deepEqual(socket.bytes, textFrame("under way"));
  assert.deepEqual([outbox.pendingBytes, pending(), outbox.messages], [0, 0, 2]);
});

Deno.test("the loss of the peer is told once, and nothing is held after it", async () => {
  const { outbox, socket, lost, pending, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.send("a");
  outbox.send("b");
  const done = written();
  socket.lose();
  await done;
  outbox.send("c");
  assert.equal(lost.length, 1);
  assert.deepEqual([outbox.pendingBytes, outbox.isWriting, socket.writes.length], [0, false, 0]);
  assert.equal(pending(), 0);
});

Deno.test("a Ping and a Close of the firewall wait for the end of a frame that is being relayed", async () => {
  const { outbox, socket, start, written } = createBench();
  const first = textFrame("a long one");
  const second = textFrame("the next");
  start();
  let done = written();
  outbox.relay(first.subarray(0, 5), -1);
  outbox.ping();
  outbox.close({ code: 1008, reason: "over" });
  assert.equal(outbox.isEnded, false);
  await done;
  assert.deepEqual(socket.bytes, first.subarray(0, 5));
  done = written();
  // The end of the first frame, and a part of another one, which is not begun any more.
  outbox.relay(concat(first.subarray(5), second.subarray(0, 3)), first.length - 5);
  assert.equal(outbox.isEnded, true);
  await done;
  const close = encodeClose({ code: 1008, reason: "over" });
  assert.deepEqual(socket.bytes, concat(first, encodeFrame(OPCODE.ping, new Uint8Array(0)), close));
});

Deno.test("after a Close nothing is taken, neither a message nor a Pong nor another Close", async () => {
  const bench = createBench();
  bench.start();
  const done = bench.written();
  bench.outbox.close({ code: 1008, reason: "first" });
  bench.outbox.close({ code: 1000, reason: "second" });
  bench.outbox.send("late");
  bench.outbox.pong(new Uint8Array(4), 0, 4);
  await done;
  assert.deepEqual(bench.socket.bytes, encodeClose({ code: 1008, reason: "first" }));
  assert.equal(bench.pending(), 0);
});

Deno.test("the first Close that waits for the end of a frame is the one that is sent", async () => {
  const bench = createBench();
  bench.start();
  const frame = encodeFrame(OPCODE.text, new Uint8Array(10));
  bench.outbox.relay(frame.subarray(0, 5), -1);
  bench.outbox.close({ code: 1008, reason: "first" });
  bench.outbox.close({ code: 1000, reason: "second" });
  const done = bench.written();
  bench.outbox.relay(frame.subarray(5), frame.length - 5);
  await done;
  assert.deepEqual(bench.socket.bytes, concat(frame, encodeClose({ code: 1008, reason: "first" })));
});

Deno.test("a Ping between two relayed frames leaves both whole", async () => {
  const { outbox, socket, start, written } = createBench();
  const frames = [textFrame("one"), textFrame("two")];
  const all = concat(...frames);
  start();
  let done = written();
  outbox.relay(all.subarray(0, 2), -1);
  outbox.ping();
  await done;
  done = written();
  outbox.relay(all.subarray(2, 7), 3);
  await done;
  done = written();
  outbox.relay(all.subarray(7), 3);
  await done;
  assert.deepEqual(socket.bytes, concat(frames[0]!, encodeFrame(OPCODE.ping, new Uint8Array(0)), frames[1]!));
});
