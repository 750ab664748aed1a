// What is counted of a client's frames, and its Close: the same whether served or relayed.
import assert from "node:assert/strict";
import { FrameCheck } from "../../../src/firewall/connection/frame_check.ts";
import { MessageReader } from "../../../src/firewall/connection/message_reader.ts";
import { PeerFrames } from "../../../src/firewall/ways/peer_frames.ts";
import { SizeHistogram } from "../../../src/telemetry/histogram.ts";
import { closePayload, concat, frame, OPCODE } from "../../support/raw_client.ts";

const LIMITS = { maxMessageSize: 1000, maxFragments: 3 };

/** Reads the bytes on both ways, and gives what is the same. */
function read(...frames: Uint8Array[]): { check: FrameCheck; sizes: SizeHistogram } {
  const bytes = concat(...frames);
  const sizes = new SizeHistogram();
  const check = new FrameCheck(LIMITS, sizes);
  const reader = new MessageReader(check);
  const own = bytes.slice();
  while (reader.next(own, own.length) !== "nothing");
  const relayed = new FrameCheck(LIMITS, new SizeHistogram());
  new PeerFrames(relayed).inspect(concat(new Uint8Array(16), bytes), 16, 16 + bytes.length);
  for (const name of ["close", "violation", "frames", "messages", "message"] as const) {
    assert.deepEqual(relayed[name], check[name], name);
  }
  return { check, sizes };
}

const start = frame({ opcode: OPCODE.text, fin: false, payload: "ab" });
const middle = frame({ opcode: OPCODE.continuation, fin: false, payload: "cde" });
const end = frame({ opcode: OPCODE.continuation, payload: "f" });

Deno.test("each frame counts toward the rate: fragments, Pings, Pongs and the Close too", () => {
  const { check } = read(
    start,
    frame({ opcode: OPCODE.ping }),
    end,
    frame({ opcode: OPCODE.pong }),
    frame({ opcode: OPCODE.close }),
  );
  assert.deepEqual([check.frames, check.messages, check.close], [5, 1, { code: 1005, reason: "" }]);
});

Deno.test("bytes and fragments of a message add up, and are forgotten with its end", () => {
  const unfinished = read(start, middle).check;
  assert.deepEqual(unfinished.message, { opcode: OPCODE.text, bytes: 5, fragments: 2 });
  const { check, sizes } = read(start, middle, end, start, middle, end);
  assert.deepEqual([check.message, check.messages, check.violation], [
    { opcode: 0, bytes: 0, fragments: 0 },
    2,
    undefined,
  ]);
  assert.deepEqual([total(sizes), sizes.sum], [2, 12]);
});

Deno.test("a Close of one byte is broken, also when what follows would complete it", () => {
  for (const mask of [Uint8Array.of(0, 0, 0, 0), Uint8Array.of(1, 2, 3, 4)]) {
    const { check } = read(
      frame({ opcode: OPCODE.close, payload: Uint8Array.of(3), mask }),
      Uint8Array.of(0xe8, 0, 0),
    );
    assert.deepEqual([check.violation?.rule, check.violation?.code, check.close], [
      "close_payload",
      1002,
      undefined,
    ]);
  }
});

Deno.test("a Close has a code that may be sent, and a reason of whole code points", () => {
  const rows: readonly [payload: Uint8Array, rule: string | undefined][] = [
    [closePayload(1000), undefined],
    [closePayload(4999, "caf\u00e9"), undefined],
    [closePayload(1005), "close_payload"],
    [closePayload(999), "close_payload"],
    [concat(closePayload(1000), Uint8Array.of(0x61, 0xff)), "utf8"],
    [concat(closePayload(1000), Uint8Array.of(0x61, 0xc3)), "utf8"],
  ];
  for (const [payload, rule] of rows) {
    const { check } = read(frame({ opcode: OPCODE.close, payload }));
    assert.equal(check.violation?.rule, rule, payload.toHex());
    if (rule !== undefined) continue;
    const reason = new TextDecoder().decode(payload.subarray(2));
    assert.deepEqual(check.close, { code: payload[0]! * 256 + payload[1]!, reason });
  }
});

Deno.test("what the first two bytes show is refused at them", () => {
  const check = new FrameCheck(LIMITS, new SizeHistogram());
  assert.equal(check.readHeader(Uint8Array.of(0x83), 0, 1), false);
  assert.equal(check.violation, undefined);
  assert.equal(check.readHeader(Uint8Array.of(0x83, 0x81), 0, 2), false);
  assert.equal(check.violation!.rule, "reserved_opcode");
});

function total({ counts }: SizeHistogram): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
