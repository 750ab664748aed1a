// The frames of an upstream server: where they end, what is taken out, and what is not passed on as it is.
import assert from "node:assert/strict";
import fc from "fast-check";
import { EndpointFrames } from "../../../src/firewall/ways/endpoint_frames.ts";
import { SizeHistogram } from "../../../src/telemetry/histogram.ts";
import { closePayload, concat, frame, OPCODE } from "../../support/raw_client.ts";

const MARK = Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2);

interface Read {
  readonly frames: EndpointFrames;
  readonly sizes: SizeHistogram;
  /** What may be sent. */
  readonly forwarded: Uint8Array;
  /** Each end of a whole frame that was told, as an offset in `forwarded`. */
  readonly boundaries: readonly number[];
}

/** Gives the bytes in pieces, as the relay does. */
function read(bytes: Uint8Array, sizes: readonly number[]): Read {
  const histogram = new SizeHistogram();
  const frames = new EndpointFrames(histogram, MARK, 2 ** 20);
  const buffer = new Uint8Array(bytes.length);
  let forwarded: Uint8Array = new Uint8Array(0);
  const boundaries: number[] = [];
  let end = 0;
  for (
    let at = 0, i = 0;
    at < bytes.length && frames.check.close === undefined && frames.check.violation === undefined;
    i++
  ) {
    const piece = bytes.subarray(at, at += sizes[i % sizes.length]!);
    buffer.set(piece, end);
    end = frames.inspect(buffer, 0, end + piece.length);
    if (frames.boundary >= 0) boundaries.push(forwarded.length + frames.boundary);
    forwarded = concat(forwarded, buffer.subarray(0, frames.forwardEnd));
    buffer.copyWithin(0, frames.forwardEnd, end);
    end -= frames.forwardEnd;
  }
  return { frames, sizes: histogram, forwarded, boundaries };
}

const server = (opcode: number, payload: string | Uint8Array, fin = true) =>
  frame({ opcode, payload, fin, mask: false });

Deno.test("all but the marks goes on unchanged, and each boundary is the end of a frame, however it is cut", () => {
  const piece = fc.oneof(
    fc.record({ opcode: fc.constant(2), size: fc.constantFrom(0, 1, 125, 126, 700) }),
    fc.record({ opcode: fc.constantFrom(OPCODE.ping, OPCODE.pong), size: fc.constantFrom(0, 7, 8, 9) }),
    fc.constant("mark" as const),
    fc.constant("fragments" as const),
  );
  fc.assert(fc.property(
    fc.array(piece, { maxLength: 12 }),
    fc.array(fc.constantFrom(1, 2, 3, 11, 300, 5000), { minLength: 1, maxLength: 8 }),
    (pieces, sizes) => {
      const all: Uint8Array[] = [];
      const kept: Uint8Array[] = [];
      let marks = 0;
      let messages = 0;
      for (const one of pieces) {
        if (one === "mark") {
          marks++;
          all.push(server(OPCODE.pong, concat(MARK, Uint8Array.of(0, 0, 1, marks))));
          continue;
        }
        const frames = one === "fragments"
          ? [server(1, "a", false), server(OPCODE.ping, "p"), server(0, "bc", false), server(0, "d")]
          : [server(one.opcode, new Uint8Array(one.size).fill(9))];
        if (one === "fragments" || one.opcode === 2) messages++;
        all.push(...frames);
        kept.push(...frames);
      }
      const seen = read(concat(...all), sizes);
      assert.deepEqual(seen.forwarded, concat(...kept));
      assert.deepEqual([seen.frames.mark, seen.frames.messages, total(seen.sizes)], [
        marks === 0 ? 0 : 256 + marks,
        messages,
        messages,
      ]);
      const ends = new Set([0]);
      kept.reduce((sum, { length }) => (ends.add(sum + length), sum + length), 0);
      for (const boundary of seen.boundaries) assert.ok(ends.has(boundary), `${boundary}`);
      // Whatever was put off for a boundary does not wait for ever.
      if (kept.length > 0 && all.at(-1) === kept.at(-1)) {
        assert.equal(seen.boundaries.at(-1), seen.forwarded.length);
      }
    },
  ));
});

Deno.test("a Pong that only looks like a mark is the endpoint's", () => {
  for (
    const payload of [
      MARK,
      concat(MARK, MARK),
      concat(MARK.slice(1), new Uint8Array(5)),
      concat(MARK.map((byte, i) => i === 7 ? byte + 1 : byte), new Uint8Array(4)),
    ]
  ) {
    const bytes = server(OPCODE.pong, payload);
    const seen = read(bytes, [bytes.length]);
    assert.deepEqual([seen.frames.mark, seen.forwarded], [0, bytes]);
  }
});

Deno.test("a Close is told, and neither it nor what follows goes on", () => {
  const before = server(1, "abc");
  for (
    const [payload, told] of [
      [closePayload(4001, "over"), { code: 4001, reason: "over" }],
      [new Uint8Array(0), { code: 1005, reason: "" }],
    ] as const
  ) {
    for (const size of [1, 100]) {
      const seen = read(concat(before, server(OPCODE.close, payload), server(1, "after")), [size]);
      assert.deepEqual([seen.frames.check.close, seen.forwarded], [told, before]);
    }
  }
});

Deno.test("the sizes of messages are those of all their fragments", () => {
  const seen = read(concat(server(1, "a".repeat(200), false), server(0, "b".repeat(100)), server(2, "c")), [
    50,
  ]);
  assert.deepEqual([total(seen.sizes), seen.sizes.sum], [2, 301]);
});

function total({ counts }: SizeHistogram): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
