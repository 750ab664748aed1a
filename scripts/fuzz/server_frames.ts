// Fuzzes the reader of another server's frames: every case is cut in many ways, each result compared with the model.

import assert from "node:assert/strict";
import { EndpointFrames } from "../../src/firewall/ways/endpoint_frames.ts";
import { SizeHistogram } from "../../src/telemetry/histogram.ts";
import { concat } from "../../tests/support/raw_client.ts";
import { makeStream } from "./frame_cases.ts";
import { judge, type Verdict } from "./frame_model.ts";
import type { Random } from "./random.ts";

/** Runs one case and returns how many frames it was; throws at the first difference. */
export function fuzzServerStream(random: Random): number {
  const maxMessageSize = random.pick([1, 125, 126, 300, 65_535, 65_536, 2 ** 20]);
  const limits = { maxMessageSize, maxFragments: 65_536 };
  const { bytes, frames } = makeStream(random, 12, { ...limits, maxFragments: 5 }, false);
  const verdict = judge(bytes, limits, false);
  for (const pieces of [[bytes], random.cut(bytes)]) compare(verdict, bytes, pieces, maxMessageSize, random);
  return frames;
}

function compare(
  verdict: Verdict,
  stream: Uint8Array,
  pieces: readonly Uint8Array<ArrayBuffer>[],
  maxMessageSize: number,
  random: Random,
): void {
  const frames = new EndpointFrames(new SizeHistogram(), random.bytes(8), maxMessageSize);
  const { check } = frames;
  const start = random.below(5);
  let carried = new Uint8Array(0);
  let forwarded = 0;
  let boundary = 0;
  for (const piece of pieces) {
    const bytes = concat(new Uint8Array(start), carried, piece);
    assert.equal(frames.inspect(bytes, start, bytes.length), bytes.length, "nothing is taken out");
    for (let at = start; at < frames.forwardEnd; at++) {
      if (bytes[at] !== stream[forwarded + at - start]) assert.fail(`byte ${forwarded + at - start} differs`);
    }
    if (frames.boundary >= 0) boundary = forwarded + frames.boundary - start;
    forwarded += frames.forwardEnd - start;
    carried = bytes.slice(frames.forwardEnd);
    if (check.violation !== undefined || check.close !== undefined) break;
  }
  assert.equal(check.violation?.code, verdict.violation, "the code of the violation");
  assert.equal(check.close?.code, verdict.close, "the code of the Close");
  assert.equal(frames.messages, verdict.messages.length, "the number of messages");
  const passed = judge(
    stream.subarray(0, forwarded),
    { maxMessageSize: 2 ** 52, maxFragments: 2 ** 52 },
    false,
  );
  assert.equal(passed.violation, undefined, "what goes on must be right");
  assert.equal(passed.close, undefined, "a Close does not go on by itself");
  assert.equal(passed.messages.length, verdict.messages.length, "every whole message goes on");
  assert.equal(frames.isInFrame, passed.isInsideFrame, "whether a frame has begun");
  const whole = judge(
    stream.subarray(0, boundary),
    { maxMessageSize: 2 ** 52, maxFragments: 2 ** 52 },
    false,
  );
  assert.equal(whole.isInsideFrame, false, "the boundary is one");
}
