// Fuzzes the parsers themselves: every case is cut in many ways, and each result compared with the model.

import assert from "node:assert/strict";
import { parseProxyHeader } from "../../src/firewall/admission/proxy_protocol.ts";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { type Found, MessageReader } from "../../src/firewall/connection/message_reader.ts";
import { SizeHistogram } from "../../src/telemetry/histogram.ts";
import { HEADROOM, PeerFrames } from "../../src/firewall/ways/peer_frames.ts";
import {
  canBeRequest,
  checkHandshake,
  findHeadEnd,
  parseRequestHead,
  skipEmptyLines,
} from "../../src/protocol/handshake.ts";
import { concat } from "../../tests/support/raw_client.ts";
import { makeStream } from "./frame_cases.ts";
import { judge, type ModelLimits, type ModelMessage, type Verdict } from "./frame_model.ts";
import { makeHead, makePreamble } from "./head_cases.ts";
import { fuzzJson } from "./json_cases.ts";
import { Random } from "./random.ts";
import { fuzzServerStream } from "./server_frames.ts";

const NO_LIMITS: ModelLimits = { maxMessageSize: 2 ** 52, maxFragments: 2 ** 52 };
/** The longest input that is cut in two at each of its bytes. */
const EVERY_BYTE_SIZE = 600;

/** Runs one case. Returns how many frames, heads, preambles and texts it was; throws at the first difference. */
export function fuzzParsers(seed: number, index: number): number {
  const random = new Random(seed, index);
  const kind = random.below(20);
  if (kind === 0) return fuzzPreamble(random);
  if (kind === 1) return fuzzJson(random);
  if (kind < 4 && random.chance(0.5)) return fuzzServerStream(random);
  return kind < 4 ? fuzzHead(random) : fuzzStream(random);
}

function fuzzStream(random: Random): number {
  const limits = {
    maxMessageSize: random.pick([1, 125, 126, 300, 65_535, 65_536, 2 ** 20]),
    maxFragments: random.pick([1, 2, 5, 1024]),
  };
  const { bytes, frames } = makeStream(random, 12, limits);
  const verdict = judge(bytes, limits);
  compare(verdict, [bytes], limits, random);
  compare(verdict, random.cut(bytes), limits, random);
  // The most thorough part is also the slowest: a tenth of the cases is enough.
  if (bytes.length <= EVERY_BYTE_SIZE && random.chance(0.1)) {
    compare(verdict, Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)), limits, random);
    for (let at = 1; at < bytes.length; at++) {
      compare(verdict, [bytes.subarray(0, at), bytes.subarray(at)], limits, random);
    }
  }
  return frames;
}

/** Feeds the pieces, and compares what is passed on and how it ends with the verdict. */
function compare(
  verdict: Verdict,
  pieces: readonly Uint8Array<ArrayBuffer>[],
  limits: ModelLimits,
  random: Random,
): void {
  compareMessages(verdict, pieces, limits);
  const check = new FrameCheck(limits, new SizeHistogram());
  const frames = new PeerFrames(check);
  const forwarded: Uint8Array[] = [];
  let carried: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  const allowance = random.chance(0.2) ? 1 + random.below(3) : Infinity;
  // An odd start, because buffers need not be aligned to words.
  const start = HEADROOM + random.below(5);
  for (const piece of pieces) {
    let fresh = piece;
    for (;;) {
      const bytes = new Uint8Array(start + carried.length + fresh.length);
      bytes.set(carried, start);
      bytes.set(fresh, start + carried.length);
      const isDone = frames.inspect(bytes, start, bytes.length, allowance);
      if (frames.forwardEnd > frames.forwardStart) {
        const part = bytes.slice(frames.forwardStart, frames.forwardEnd);
        assert.ok(isWholeFrames(part), "what goes on must end with a frame");
        forwarded.push(part);
      }
      if (check.violation !== undefined || check.close !== undefined) break;
      carried = bytes.slice(frames.carryStart);
      fresh = new Uint8Array(0);
      if (isDone) break;
    }
    if (check.violation !== undefined || check.close !== undefined) break;
  }
  assert.equal(check.violation?.code, verdict.violation, "the code of the violation");
  assert.equal(check.close?.code, verdict.close, "the code of the Close");
  const passed = judgeForwarded(forwarded);
  assert.equal(passed.violation, undefined, "what goes on must be right");
  // A Close may be passed on as it is, or the firewall sends the endpoint one of its own.
  assert.ok(passed.close === undefined || passed.close === verdict.close);
  assertSame(passed.messages, verdict.messages);
  assertSame(passed.pings, verdict.pings);
}

/** The other reader of the same frames: whole messages for an endpoint in this process. */
function compareMessages(
  verdict: Verdict,
  pieces: readonly Uint8Array<ArrayBuffer>[],
  limits: ModelLimits,
): void {
  const check = new FrameCheck(limits, new SizeHistogram());
  const reader = new MessageReader(check);
  const messages: ModelMessage[] = [];
  const pings: ModelMessage[] = [];
  let carried = new Uint8Array(0);
  for (const piece of pieces) {
    const bytes = concat(carried, piece);
    reader.at = 0;
    for (let found: Found = "frame"; found !== "nothing";) {
      found = reader.next(bytes, bytes.length);
      if (found === "ping") {
        pings.push({ opcode: 9, payload: bytes.slice(reader.pingStart, reader.pingEnd) });
      } else if (found === "message") {
        const { message } = reader;
        messages.push(
          typeof message === "string"
            ? { opcode: 1, payload: new TextEncoder().encode(message) }
            : { opcode: 2, payload: new Uint8Array(message) },
        );
      }
    }
    if (check.violation !== undefined || check.close !== undefined) break;
    carried = bytes.slice(reader.at);
  }
  assert.equal(check.violation?.code, verdict.violation, "the code of the violation");
  assert.equal(check.close?.code, verdict.close, "the code of the Close");
  assertSame(messages, verdict.messages);
  assertSame(pings, verdict.pings);
}

/** Whether frames fill `bytes` to the last of them. */
function isWholeFrames(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const short = bytes[at + 1]! & 127;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    let length = extended === 0 ? short : 0;
    for (let i = 0; i < extended; i++) length = length * 256 + bytes[at + 2 + i]!;
    at += 2 + extended + 4 + length;
  }
  return at === bytes.length;
}

function judgeForwarded(forwarded: readonly Uint8Array[]): Verdict {
  return judge(concat(...forwarded), NO_LIMITS);
}

/** Throws unless two lists of messages are the same; faster than comparing them as objects. */
export function assertSame(actual: readonly ModelMessage[], expected: readonly ModelMessage[]): void {
  assert.equal(actual.length, expected.length, "the number of messages");
  for (let i = 0; i < actual.length; i++) {
    const [one, other] = [actual[i]!, expected[i]!];
    assert.equal(one.opcode, other.opcode);
    assert.equal(one.payload.length, other.payload.length, `the size of message ${i}`);
    for (let at = 0; at < one.payload.length; at++) {
      if (one.payload[at] !== other.payload[at]) assert.fail(`message ${i} differs at byte ${at}`);
    }
  }
}

function fuzzHead(random: Random): number {
  const { bytes, statuses, isWhole } = makeHead(random);
  const start = skipEmptyLines(bytes, 0, bytes.length);
  const end = findHeadEnd(bytes, start, bytes.length, start);
  assert.equal(end >= 0, isWhole, "the end of the head");
  // Wherever the bytes are cut, the end is found at the same place.
  for (let cut = start; cut < bytes.length; cut += 1 + random.below(40)) {
    const first = findHeadEnd(bytes, start, cut, start);
    assert.equal(first < 0 ? findHeadEnd(bytes, cut, bytes.length, start) : first, end);
    if (statuses.size === 0 && cut <= end) {
      assert.ok(canBeRequest(bytes, start, cut, start), `refused at byte ${cut}`);
    }
  }
  if (!isWhole) return 1;
  const parsed = parseRequestHead(bytes, start, end);
  const refusal = parsed.ok ? checkHandshake(parsed.head) : parsed.refusal;
  if (refusal !== undefined) {
    assert.ok(statuses.has(refusal.status), `${refusal.status} for a head with ${[...statuses]}`);
  } else {
    // Host, path and Origin are checked by later rules.
    const left = [...statuses].filter((status) => ![403, 404, 421].includes(status));
    if (!statuses.has(421)) assert.deepEqual(left, []);
  }
  return 1;
}

function fuzzPreamble(random: Random): number {
  const { bytes, expected } = makePreamble(random);
  let settled: string | undefined;
  for (let end = 0; end <= bytes.length; end++) {
    const result = parseProxyHeader(bytes, 0, end, settled === undefined ? Math.max(0, end - 1) : 0);
    if (settled !== undefined) assert.equal(JSON.stringify(result), settled, "it must not change any more");
    else if (result.state !== "incomplete") settled = JSON.stringify(result);
    if (result.state === "complete") {
      assert.ok(expected !== undefined, "a broken preamble was taken");
      assert.equal(result.size, expected.size);
      assert.equal(result.source?.address, expected.source);
      assert.ok(end >= expected.size);
    } else if (expected !== undefined) {
      assert.equal(result.state, "incomplete", "a right preamble was refused");
      assert.ok(end < expected.size);
    }
  }
  if (expected === undefined) assert.match(settled ?? "", /"invalid"/, "a broken preamble was not refused");
  return 1;
}
