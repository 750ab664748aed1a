// Which of a client's bytes may reach the endpoint: sent whole, byte by byte, and cut at random.
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { SizeHistogram } from "../../src/telemetry/histogram.ts";
import { HEADROOM, PeerFrames } from "../../src/firewall/ways/peer_frames.ts";
import { FrameHeader, readFrameHeader } from "../../src/protocol/frame.ts";
import { concat, frame, OPCODE } from "../support/raw_client.ts";

const LIMITS = { maxMessageSize: 1000, maxFragments: 300 };

interface Outcome {
  readonly frames: FrameCheck;
  readonly forwarded: Uint8Array;
}

/** Feeds `stream` in pieces of the given sizes (the last one repeats), as the connection does. */
function feed(stream: Uint8Array, sizes: readonly number[]): Outcome {
  const check = new FrameCheck(LIMITS, new SizeHistogram());
  const frames = new PeerFrames(check);
  const parts: Uint8Array[] = [];
  let carry = new Uint8Array(0);
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)]!;
    const piece = stream.subarray(at, at + size);
    at += size;
    const bytes = concat(new Uint8Array(HEADROOM), carry, piece);
    frames.inspect(bytes, HEADROOM, bytes.length);
    parts.push(bytes.slice(frames.forwardStart, frames.forwardEnd));
    assertWholeFrames(parts.at(-1)!);
    carry = bytes.slice(frames.carryStart);
    if (check.violation !== undefined || check.close !== undefined) break;
  }
  return { frames: check, forwarded: concat(...parts) };
}

/** What goes on must end with a frame, so that a Close can follow it. */
function assertWholeFrames(bytes: Uint8Array): void {
  const header = new FrameHeader();
  let at = 0;
  while (at < bytes.length) {
    assert.equal(readFrameHeader(bytes, at, bytes.length, header), true);
    assert.ok(header.lengthCode < 126 || header.payloadLength > 125, "the shortest length encoding is kept");
    at += header.size + header.payloadLength;
  }
  assert.equal(at, bytes.length);
}

/** The messages and control frames in `bytes`: opcode and unmasked payload, fragments joined. */
function messagesOf(bytes: Uint8Array): [number, string][] {
  const header = new FrameHeader();
  const messages: [number, string][] = [];
  let open: { opcode: number; parts: number[] } | undefined;
  for (let at = 0; at < bytes.length;) {
    readFrameHeader(bytes, at, bytes.length, header);
    at += header.size;
    const payload: number[] = [];
    for (let i = 0; i < header.payloadLength; i++) {
      payload.push(bytes[at + i]! ^ ((header.maskKey >>> (24 - (i & 3) * 8)) & 255));
    }
    at += header.payloadLength;
    if (header.opcode >= 8) {
      messages.push([header.opcode, payload.join()]);
      continue;
    }
    assert.equal(open === undefined, header.opcode !== OPCODE.continuation);
    open ??= { opcode: header.opcode, parts: [] };
    open.parts.push(...payload);
    if (header.fin) {
      messages.push([open.opcode, open.parts.join()]);
      open = undefined;
    }
  }
  return messages;
}

const SIZES = [[1], [2], [3], [7], [1, 5, 2, 100], [14, 3], [1e6]];

function assertViolation(stream: Uint8Array, rule: string, code: number): void {
  for (const sizes of SIZES) {
    const { frames } = feed(stream, sizes);
    assert.deepEqual([frames.violation?.rule, frames.violation?.code], [rule, code], `in pieces of ${sizes}`);
  }
}

function assertAccepted(stream: Uint8Array): void {
  for (const sizes of SIZES) {
    const { frames, forwarded } = feed(stream, sizes);
    assert.equal(frames.violation, undefined, `in pieces of ${sizes}`);
    assert.deepEqual(messagesOf(forwarded), messagesOf(stream));
  }
}

const hello = frame({ opcode: OPCODE.text, payload: "hello" });

Deno.test("valid messages go on unchanged in meaning, however they are cut", () => {
  assertAccepted(hello);
  assertAccepted(frame({ opcode: OPCODE.text }));
  assertAccepted(frame({ opcode: OPCODE.binary, payload: new Uint8Array(300).map((_, i) => i) }));
  assertAccepted(concat(
    hello,
    frame({ opcode: OPCODE.text, fin: false, payload: "h\u00e9" }),
    frame({ opcode: OPCODE.ping, payload: "x".repeat(125) }),
    frame({ opcode: OPCODE.continuation, fin: false }),
    frame({ opcode: OPCODE.continuation, payload: "\u{1f600}".repeat(60) }),
    frame({ opcode: OPCODE.pong }),
    hello,
  ));
});

Deno.test("frames that are all there go on byte for byte", () => {
  const stream = concat(hello, frame({ opcode: OPCODE.ping, payload: "p" }), hello);
  assert.deepEqual(feed(stream, [1e6]).forwarded, stream);
});

Deno.test("an unmasked frame breaks the masking rule", () => {
  assertViolation(frame({ opcode: OPCODE.text, payload: "a", mask: false }), "masking", 1002);
});

Deno.test("each reserved bit and each reserved opcode is refused at the second byte", () => {
  for (let rsv = 1; rsv < 8; rsv++) {
    assertViolation(frame({ opcode: 1, rsv, payload: "a" }), "reserved_bits", 1002);
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    assertViolation(frame({ opcode, payload: "a" }), "reserved_opcode", 1002);
    assertViolation(frame({ opcode, payload: "a" }).subarray(0, 2), "reserved_opcode", 1002);
  }
});

Deno.test("a control frame must be final and at most 125 bytes", () => {
  for (const opcode of [OPCODE.close, OPCODE.ping, OPCODE.pong]) {
    assertViolation(frame({ opcode, fin: false }), "control_frame", 1002);
    assertViolation(frame({ opcode, payload: new Uint8Array(126) }).subarray(0, 2), "control_frame", 1002);
    assertViolation(frame({ opcode, payload: "a", lengthForm: 16 }), "control_frame", 1002);
  }
  for (const size of [124, 125]) {
    assertAccepted(frame({ opcode: OPCODE.ping, payload: new Uint8Array(size) }));
  }
});

Deno.test("the length must be written in the shortest form and below 2^63", () => {
  for (const size of [0, 1, 125]) {
    assertViolation(
      frame({ opcode: 2, payload: new Uint8Array(size), lengthForm: 16 }),
      "length_encoding",
      1002,
    );
    assertViolation(
      frame({ opcode: 2, payload: new Uint8Array(size), lengthForm: 64 }),
      "length_encoding",
      1002,
    );
  }
  assertViolation(frame({ opcode: 2, lengthForm: 64, claimedLength: 65535 }), "length_encoding", 1002);
  assertViolation(frame({ opcode: 2, lengthForm: 64, claimedLength: 2n ** 63n }), "length_encoding", 1002);
  assertViolation(
    frame({ opcode: 2, lengthForm: 64, claimedLength: 2n ** 63n - 1025n }),
    "message_size",
    1009,
  );
  assertViolation(frame({ opcode: 2, lengthForm: 64, claimedLength: 65536 }), "message_size", 1009);
  assertAccepted(frame({ opcode: 2, payload: new Uint8Array(126) }));
});

Deno.test("continuation frames continue a message, and nothing else comes in between", () => {
  assertViolation(frame({ opcode: OPCODE.continuation, payload: "a" }), "continuation", 1002);
  assertViolation(
    concat(hello, frame({ opcode: OPCODE.continuation, payload: "a" })),
    "continuation",
    1002,
  );
  for (const opcode of [OPCODE.text, OPCODE.binary]) {
    assertViolation(concat(frame({ opcode, fin: false, payload: "a" }), hello), "continuation", 1002);
  }
});

Deno.test("a message may have exactly the limit, in one frame or in many", () => {
  for (const size of [999, 1000]) {
    assertAccepted(frame({ opcode: 2, payload: new Uint8Array(size) }));
    assertAccepted(concat(
      frame({ opcode: 2, fin: false, payload: new Uint8Array(500) }),
      frame({ opcode: 0, payload: new Uint8Array(size - 500) }),
    ));
  }
  assertViolation(frame({ opcode: 2, payload: new Uint8Array(1001) }).subarray(0, 8), "message_size", 1009);
  assertViolation(
    concat(
      frame({ opcode: 2, fin: false, payload: new Uint8Array(500) }),
      frame({ opcode: 0, payload: new Uint8Array(501) }),
    ),
    "message_size",
    1009,
  );
  assertAccepted(concat(
    frame({ opcode: 2, payload: new Uint8Array(1000) }),
    frame({ opcode: 2, payload: new Uint8Array(1000) }),
  ));
});

Deno.test("text must be UTF-8 over all its fragments, and is refused at the first bad byte", () => {
  assertViolation(frame({ opcode: 1, payload: Uint8Array.of(0x61, 0xff) }), "utf8", 1007);
  assertViolation(frame({ opcode: 1, payload: Uint8Array.of(0xc3) }), "utf8", 1007);
  assertViolation(
    concat(frame({ opcode: 1, fin: false, payload: Uint8Array.of(0xc3) }), frame({ opcode: 0 })),
    "utf8",
    1007,
  );
  assertAccepted(concat(
    frame({ opcode: 1, fin: false, payload: Uint8Array.of(0xc3) }),
    frame({ opcode: 0, payload: Uint8Array.of(0xa9) }),
  ));
  // Binary is nobody's business.
  assertAccepted(frame({ opcode: 2, payload: Uint8Array.of(0xff) }));
  // The rest of the frame has not come, and need not.
  const started = frame({ opcode: 1, payload: Uint8Array.of(0x61, 0xff), claimedLength: 100 });
  assertViolation(started, "utf8", 1007);
});

Deno.test("a Close frame carries nothing or a valid code and a UTF-8 reason", () => {
  function close(...bytes: number[]): Uint8Array {
    return frame({ opcode: OPCODE.close, payload: Uint8Array.from(bytes) });
  }
  assertViolation(close(3), "close_payload", 1002);
  // What follows would make it the code 1000.
  const [secondKey] = frame({ opcode: OPCODE.close, payload: new Uint8Array(2) }).subarray(3);
  const completed = feed(concat(close(3), Uint8Array.of(232 ^ secondKey!, 0x80)), [100]);
  assert.equal(completed.frames.violation?.rule, "close_payload");
  assert.equal(completed.frames.close, undefined);
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
    assertViolation(close(code >> 8, code & 255), "close_payload", 1002);
  }
  assertViolation(close(3, 232, 0xff), "utf8", 1007);
  assertViolation(close(3, 232, 0xc3), "utf8", 1007);
  for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999]) {
    for (const sizes of SIZES) {
      const { frames } = feed(close(code >> 8, code & 255, 0xc3, 0xa9), sizes);
      assert.deepEqual(frames.close, { code, reason: "\u00e9" });
    }
  }
  assert.deepEqual(feed(close(), [1]).frames.close, { code: 1005, reason: "" });
});

Deno.test("a Close frame is told, and neither it nor what follows goes on", () => {
  const close = frame({ opcode: OPCODE.close, payload: Uint8Array.of(3, 232) });
  for (const sizes of SIZES) {
    const { frames, forwarded } = feed(concat(hello, close, hello, Uint8Array.of(0xff, 0xff)), sizes);
    assert.equal(frames.violation, undefined);
    assert.deepEqual(frames.close, { code: 1000, reason: "" });
    assert.deepEqual(messagesOf(forwarded), messagesOf(hello));
  }
});

Deno.test("of a frame that breaks a rule nothing goes on, and all before it does", () => {
  for (const sizes of SIZES) {
    const { forwarded } = feed(concat(hello, hello, frame({ opcode: 3 })), sizes);
    assert.deepEqual(messagesOf(forwarded), messagesOf(concat(hello, hello)));
  }
});

const someFrame = fc.record({
  opcode: fc.constantFrom(0, 0, 1, 1, 2, 2, 8, 9, 10, 3),
  fin: fc.boolean(),
  payload: fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), fc.uint8Array({ maxLength: 200 })),
  mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
});

Deno.test("the verdict and what goes on do not depend on how the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(someFrame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
      (inits, sizes) => {
        const stream = concat(...inits.map((init) => frame(init)));
        const whole = feed(stream, [1e6]);
        const cut = feed(stream, sizes);
        assert.deepEqual(cut.frames.violation, whole.frames.violation);
        assert.deepEqual(cut.frames.close, whole.frames.close);
        if (whole.frames.violation === undefined) {
          assert.deepEqual(messagesOf(cut.forwarded), messagesOf(whole.forwarded));
        }
      },
    ),
    { numRuns: 3000, seed: 1 },
  );
});
