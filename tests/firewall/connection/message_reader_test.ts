// Whole messages from a client's bytes, however these are cut, and what is refused before its end.
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameCheck } from "../../../src/firewall/connection/frame_check.ts";
import { MessageReader } from "../../../src/firewall/connection/message_reader.ts";
import { SizeHistogram } from "../../../src/telemetry/histogram.ts";
import { concat, frame, OPCODE } from "../../support/raw_client.ts";

interface Read {
  readonly found: (string | Uint8Array)[];
  readonly check: FrameCheck;
  readonly reader: MessageReader;
}

function start(maxMessageSize = 2 ** 20): Read {
  const check = new FrameCheck({ maxMessageSize, maxFragments: 1024 }, new SizeHistogram());
  return { found: [], check, reader: new MessageReader(check) };
}

/** Gives the bytes to the reader in pieces, as a connection does; a Ping is found as `ping:PAYLOAD`. */
function feed({ found, check, reader }: Read, pieces: readonly Uint8Array[]): void {
  let carried: Uint8Array = new Uint8Array(0);
  for (const piece of pieces) {
    let rest = piece;
    for (let room; rest.length > 0 && (room = reader.directRoom()) !== undefined;) {
      const part = rest.subarray(0, room.length);
      room.set(part);
      rest = rest.subarray(part.length);
      take(reader.taken(part.length), part);
      if (check.violation !== undefined) return;
    }
    const bytes = concat(carried, rest);
    reader.at = 0;
    for (let one; (one = reader.next(bytes, bytes.length)) !== "nothing";) take(one, bytes);
    if (check.violation !== undefined || check.close !== undefined) return;
    carried = bytes.slice(reader.at);
  }

  function take(what: string, bytes: Uint8Array): void {
    if (what === "ping") {
      found.push(`ping:${new TextDecoder().decode(bytes.subarray(reader.pingStart, reader.pingEnd))}`);
    } else if (what === "message") {
      const { message } = reader;
      found.push(typeof message === "string" ? message : new Uint8Array(message));
    }
  }
}

/** Cuts bytes into pieces of these sizes; the last one repeats. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)]!;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

Deno.test("any messages, in any fragments and cut anywhere, are the same messages, with Pings in their place", () => {
  const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
  const message = fc.record({
    data: fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom("\u00e9".repeat(20_000), "\ufffd\ufeff\u{1f600}", new Uint8Array(40_000).fill(7), ""),
    ),
    fragments: fc.integer({ min: 1, max: 4 }),
    mask,
    ping: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.constantFrom(1, 2, 7, 300, 4096, 20_000, 100_000), { minLength: 1, maxLength: 20 }),
      (messages, sizes) => {
        const frames: Uint8Array[] = [];
        const expected: (string | Uint8Array)[] = [];
        for (const { data, fragments, mask, ping } of messages) {
          const payload = typeof data === "string" ? new TextEncoder().encode(data) : data;
          const size = Math.ceil(payload.length / fragments);
          for (let i = 0; i < fragments; i++) {
            const opcode = i > 0
              ? OPCODE.continuation
              : typeof data === "string"
              ? OPCODE.text
              : OPCODE.binary;
            const part = payload.slice(i * size, (i + 1) * size);
            frames.push(frame({ opcode, fin: i === fragments - 1, payload: part, mask }));
            if (ping && i < fragments - 1) {
              frames.push(frame({ opcode: OPCODE.ping, payload: `${i}`, mask }));
              expected.push(`ping:${i}`);
            }
          }
          expected.push(
            typeof data === "string" ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(payload) : data,
          );
        }
        const read = start();
        feed(read, cut(concat(...frames), sizes));
        assert.equal(read.check.violation, undefined);
        assert.deepEqual(read.found, expected);
        assert.equal(read.reader.heldBytes, 0);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a replacement character is text, and what would become one is not", () => {
  const good = start();
  feed(good, [frame({ opcode: OPCODE.text, payload: "a\ufffdb" })]);
  assert.deepEqual(good.found, ["a\ufffdb"]);
  for (
    const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xef, 0xbf, 0xbd, 0x80]]
  ) {
    const bad = start();
    feed(bad, [frame({ opcode: OPCODE.text, payload: Uint8Array.from(bytes) })]);
    assert.deepEqual([bad.found, bad.check.violation?.code], [[], 1007], `${bytes}`);
  }
});

Deno.test("a bad byte in a message that has not ended is refused at once, also where it is read directly", () => {
  const early = start();
  feed(early, [frame({ opcode: OPCODE.text, fin: false, payload: Uint8Array.of(0x61, 0xff) })]);
  assert.equal(early.check.violation?.code, 1007);

  const direct = start();
  const payload = new Uint8Array(200_000).fill(0x61);
  payload[50_000] = 0xff;
  const bytes = frame({ opcode: OPCODE.text, payload });
  feed(direct, [bytes.slice(0, 100), bytes.slice(100, 60_000)]);
  assert.equal(direct.check.violation?.code, 1007);
});

Deno.test("memory grows with what has come, not with what was announced", () => {
  const read = start(2 ** 26);
  const bytes = frame({ opcode: OPCODE.binary, claimedLength: 2 ** 26, payload: new Uint8Array(100_000) });
  feed(read, cut(bytes, [1000]));
  assert.equal(read.reader.receivedBytes, 100_000);
  assert.ok(read.reader.heldBytes <= 2 * 100_000 + 16_384, `${read.reader.heldBytes}`);
});

Deno.test("many small fragments are joined without copying all of them again and again", () => {
  const read = start();
  let grown = 0;
  let held = 0;
  for (let i = 0; i < 1000; i++) {
    feed(read, [
      frame({
        opcode: i === 0 ? OPCODE.binary : OPCODE.continuation,
        fin: false,
        payload: new Uint8Array(100),
      }),
    ]);
    if (read.reader.heldBytes !== held) grown++;
    held = read.reader.heldBytes;
  }
  assert.ok(grown < 12, `${grown} times`);
});

Deno.test("what is discarded is held no more, and the Close is still seen", () => {
  const read = start();
  const bytes = frame({ opcode: OPCODE.text, payload: "a".repeat(100_000) });
  feed(read, [bytes.slice(0, 50_000)]);
  assert.ok(read.reader.heldBytes > 0);
  const room = read.reader.directRoom();
  assert.ok(room !== undefined);
  read.reader.isDiscarding = true;
  read.reader.release();
  // A read that was under way ends now.
  assert.equal(read.reader.taken(20_000), "frame");
  assert.equal(read.reader.heldBytes, 0);
  assert.equal(read.reader.directRoom(), undefined, "what is thrown away has no place of its own");
  feed(read, [
    bytes.slice(70_000),
    frame({ opcode: OPCODE.text, payload: Uint8Array.of(0xff) }),
    frame({ opcode: OPCODE.ping, payload: "p" }),
    frame({ opcode: OPCODE.close, payload: Uint8Array.of(3, 232) }),
  ]);
  assert.deepEqual([read.found, read.check.violation, read.check.close?.code], [[], undefined, 1000]);
});
