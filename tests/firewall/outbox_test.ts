// The outbox: frames whole and in order, few writes, nothing lost and nothing kept, whatever the peer does.
import assert from "node:assert/strict";
import fc from "fast-check";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import { LARGE_SIZE, SMALL_SIZE } from "../../src/firewall/buffer_stock.ts";
import { Outbox } from "../../src/firewall/outbox.ts";
import type { ByteSocket } from "../../src/firewall/byte_socket.ts";
import { concat } from "../support/raw_client.ts";
import { encodeFrame, OPCODE } from "../../src/protocol/frame.ts";

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
  /** Starts the outbox; resolves whenever what is in it has been written or lost. */
  start(): void;
  written(): Promise<void>;
}

function createBench(): Bench {
  const socket = new SlowSocket();
  const counters = new EndpointCounters();
  const outbox = new Outbox(socket, counters);
  const lost: unknown[] = [];
  let onWritten = () => {};
  return {
    socket,
    counters,
    outbox,
    lost,
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
  outbox.send("a");
  outbox.send(Uint8Array.of(1, 2).buffer);
  outbox.send("");
  assert.equal(outbox.pendingBytes, 3 + 4 + 2);
  await done;
  assert.equal(socket.writes.length, 1);
  assert.deepEqual(
    socket.bytes,
    concat(textFrame("a"), encodeFrame(OPCODE.binary, Uint8Array.of(1, 2)), textFrame("")),
  );
  assert.deepEqual([outbox.messages, outbox.messageBytes, outbox.sentBytes, outbox.pendingBytes], [
    3,
    9,
    9,
    0,
  ]);
  assert.deepEqual([counters.bytesOut, counters.messagesOut.sum], [9, 3]);
});

Deno.test("where one message is expected it is written at once", () => {
  const { outbox, socket, start } = createBench();
  start();
  outbox.joins = false;
  outbox.send("a");
  assert.deepEqual(socket.bytes, textFrame("a"));
});

Deno.test("nothing is written before the start, and all of it then", async () => {
  const { outbox, socket, start, written } = createBench();
  outbox.joins = false;
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
  const { outbox, socket, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.joins = false;
  outbox.send("first");
  assert.equal(outbox.isWriting, true);
  outbox.send("second");
  outbox.write(textFrame("third"));
  assert.equal(outbox.pendingBytes, 7 + 8 + 7);
  const done = written();
  socket.takeAll();
  await done;
  assert.deepEqual(socket.bytes, concat(textFrame("first"), textFrame("second"), textFrame("third")));
  assert.equal(outbox.isWriting, false);
});

Deno.test("what is dropped is gone, what is under way is not, and nothing is taken after the end", async () => {
  const { outbox, socket, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.joins = false;
  outbox.send("under way");
  outbox.send("dropped");
  outbox.drop();
  outbox.write(textFrame("last"));
  outbox.end();
  outbox.send("too late");
  outbox.write(textFrame("too late"));
  const done = written();
  socket.takeAll();
  await done;
  assert.deepEqual(socket.bytes, concat(textFrame("under way"), textFrame("last")));
  assert.deepEqual([outbox.pendingBytes, outbox.messages], [0, 2]);
});

Deno.test("the loss of the peer is told once, and nothing is held after it", async () => {
  const { outbox, socket, lost, start, written } = createBench();
  socket.isReading = false;
  start();
  outbox.joins = false;
  outbox.send("a");
  outbox.send("b");
  const done = written();
  socket.lose();
  await done;
  outbox.send("c");
  assert.equal(lost.length, 1);
  assert.deepEqual([outbox.pendingBytes, outbox.isWriting, socket.writes.length], [0, false, 0]);
});
