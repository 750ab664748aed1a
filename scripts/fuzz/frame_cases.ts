// Streams of frames: most are valid, and some are broken in every way that a frame can be.

import { closePayload, concat, frame, type FrameInit, OPCODE } from "../../tests/support/raw_client.ts";
import type { ModelLimits } from "./frame_model.ts";
import type { Random } from "./random.ts";

/** What one side sends after the handshake. */
export interface StreamCase {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many frames were put into it. */
  readonly frames: number;
}

const EDGES = [0, 1, 2, 7, 8, 31, 32, 33, 63, 125, 126, 127, 128, 255, 256, 300];
const LARGE_EDGES = [4095, 4096, 4097, 65_535, 65_536, 65_537];
const ODD_TEXT = [
  "\u0000",
  "\u007f",
  "\u0080",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
  "\ufeff",
];
const BAD_TEXT = [
  [0x80],
  [0xc0, 0xaf],
  [0xc1, 0xbf],
  [0xe0, 0x9f, 0xbf],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf5, 0x80],
  [0xff],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x92],
  [0xc3],
];
const CLOSE_CODES = [
  0,
  999,
  1000,
  1001,
  1003,
  1004,
  1005,
  1006,
  1007,
  1014,
  1015,
  1016,
  2999,
  3000,
  4999,
  5000,
  65_535,
];
const encoder = new TextEncoder();

/** A stream of up to about `mostFrames` frames; half of all streams are valid from the first to the last frame. */
export function makeStream(
  random: Random,
  mostFrames: number,
  limits: ModelLimits,
  isFromClient = true,
): StreamCase {
  const frames: FrameInit[] = [];
  const isClean = random.chance(0.5);
  const wanted = 1 + random.below(mostFrames);
  while (frames.length < wanted) {
    if (random.chance(0.25)) frames.push(makeControl(random));
    else frames.push(...makeMessage(random, limits, isClean));
  }
  if (!isClean) breakSomething(random, frames);
  if (isClean || random.chance(0.3)) frames.push(makeClose(random, isClean));
  // A server's frames are unmasked, which is wrong for a client's (RFC 6455 §5.1).
  const encoded = frames.map((init) => frame(isFromClient ? init : { ...init, mask: init.mask === false }));
  if (!isClean && encoded.length > 0 && random.chance(0.1)) {
    const broken = random.pick(encoded);
    if (broken.length > 0) broken[random.below(Math.min(broken.length, 16))]! ^= 1 << random.below(8);
  }
  let bytes = concat(...encoded);
  if (!isClean && random.chance(0.3)) bytes = bytes.slice(0, random.below(bytes.length + 1));
  if (random.chance(0.1)) bytes = concat(bytes, random.bytes(random.below(40)));
  return { bytes, frames: frames.length };
}

function makeMessage(random: Random, limits: ModelLimits, isClean: boolean): FrameInit[] {
  const opcode = random.chance(0.6) ? OPCODE.text : OPCODE.binary;
  let payload = opcode === OPCODE.text ? encoder.encode(makeText(random)) : random.bytes(makeSize(random));
  if (isClean && payload.length > limits.maxMessageSize) payload = new Uint8Array(limits.maxMessageSize);
  if (!isClean && random.chance(0.03)) {
    payload = concat(payload, Uint8Array.from(random.pick(BAD_TEXT)), payload.slice(0, random.below(3)));
  }
  const mostPieces = isClean ? limits.maxFragments : limits.maxFragments + 1;
  const pieces = random.chance(0.5) ? 1 : 1 + random.below(Math.min(6, mostPieces));
  const frames: FrameInit[] = [];
  let at = 0;
  for (let i = 0; i < pieces; i++) {
    const isLast = i === pieces - 1;
    const stop = isLast ? payload.length : at + random.below(payload.length - at + 1);
    frames.push({
      opcode: i === 0 ? opcode : OPCODE.continuation,
      fin: isLast,
      payload: payload.slice(at, stop),
      mask: random.chance(0.05) ? new Uint8Array(4) : random.bytes(4),
    });
    at = stop;
    if (!isLast && random.chance(0.2)) frames.push(makeControl(random));
  }
  return frames;
}

function makeText(random: Random): string {
  const kind = random.below(10);
  if (kind < 5) return "abcdefgh".repeat(Math.ceil(makeSize(random) / 8));
  let text = "";
  for (let count = random.below(40); count > 0; count--) {
    text += kind < 8 ? random.pick(ODD_TEXT) : String.fromCodePoint(makeCodePoint(random));
  }
  return text;
}

function makeCodePoint(random: Random): number {
  const point = random.below(0x110000);
  return point >= 0xd800 && point < 0xe000 ? 0x20ac : point;
}

function makeSize(random: Random): number {
  if (random.chance(0.004)) return random.pick(LARGE_EDGES);
  return random.chance(0.2) ? random.pick(EDGES) : random.below(24);
}

function makeControl(random: Random): FrameInit {
  return {
    opcode: random.chance(0.6) ? OPCODE.ping : OPCODE.pong,
    payload: random.bytes(random.chance(0.05) ? 125 : random.below(12)),
    mask: random.bytes(4),
  };
}

function makeClose(random: Random, isClean: boolean): FrameInit {
  const mask = random.bytes(4);
  if (random.chance(0.1)) return { opcode: OPCODE.close, mask };
  const code = isClean ? random.pick([1000, 1001, 3000, 4000, 4999]) : random.pick(CLOSE_CODES);
  let payload = closePayload(code, random.chance(0.3) ? "\u20ac".repeat(random.below(41)) : "");
  if (!isClean && random.chance(0.2)) payload = payload.slice(0, random.below(payload.length + 1));
  return { opcode: OPCODE.close, payload, mask };
}

/** Breaks at most one thing, so that what comes before it is tested too. */
function breakSomething(random: Random, frames: FrameInit[]): void {
  const at = random.below(frames.length);
  const chosen = frames[at]!;
  const size = (chosen.payload as Uint8Array).length;
  const broken: Partial<FrameInit>[] = [
    { mask: false },
    { rsv: 1 + random.below(7) },
    { opcode: random.below(16) },
    { fin: chosen.fin === false },
    { lengthForm: 16 },
    { lengthForm: 64 },
    { lengthForm: 64, claimedLength: 2n ** 63n + BigInt(random.below(100)) },
    { lengthForm: 64, claimedLength: BigInt(random.next()) * BigInt(random.next()) / 2n },
    { claimedLength: size + 1 + random.below(20) },
    { claimedLength: random.below(size + 1) },
    { payload: random.bytes(126 + random.below(10)) },
  ];
  const kind = random.below(broken.length + 3);
  if (kind < broken.length) {
    const change = broken[kind]!;
    // A length that does not fit its form would only be truncated.
    if (change.lengthForm === 16 && size > 65_535) return;
    frames[at] = { ...chosen, ...change };
  } else if (kind === broken.length) {
    frames.splice(at, 1);
  } else if (kind === broken.length + 1) {
    frames.splice(at, 0, chosen);
  } else {
    frames.push({ opcode: random.below(16), payload: random.bytes(random.below(30)), mask: random.bytes(4) });
  }
}
