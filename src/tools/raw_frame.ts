// The frame writer of all tools: it writes illegal frames too (RFC 6455 §5.2).

import { OPCODE, writeFrameHeader } from "../protocol/frame.ts";

/** What goes into a frame. Nothing is checked. */
export interface FrameInit {
  /** 0 to 15. */
  readonly opcode: number;
  /** True if left out. */
  readonly fin?: boolean;
  /** The three reserved bits as a number from 0 to 7; RSV1 is 4. */
  readonly rsv?: number;
  /** Text is sent as UTF-8; empty if left out. */
  readonly payload?: string | Uint8Array;
  /** Whether to mask, as a client must and a server must not (RFC 6455 §5.1); true if left out. */
  readonly masked?: boolean;
  /** The masking key; a fixed one if left out. */
  readonly maskKey?: number;
  /** How many bits the length is written in; the fewest that can hold it if left out. */
  readonly lengthForm?: 7 | 16 | 64;
  /** The length that the header claims; the payload's if left out. */
  readonly claimedLength?: bigint;
}

const encoder = new TextEncoder();
/** Random keys protect proxies on the way (RFC 6455 §10.3). A test has none, and a fixed key makes traces readable. */
const MASK = 0x37fa213d;

/** The bytes of one frame. */
export function frame(
  { opcode, fin = true, rsv = 0, payload = "", masked = true, maskKey = MASK, ...claim }: FrameInit,
): Uint8Array<ArrayBuffer> {
  const data = bytesOf(payload);
  const header = new Uint8Array(14);
  const { lengthForm, claimedLength } = claim;
  const length = claimedLength ?? BigInt(data.length);
  let size: number;
  if (lengthForm === undefined && claimedLength === undefined) {
    const mask = masked ? { maskKey } : {};
    size = writeFrameHeader(header, 0, { fin, opcode, payloadLength: data.length, ...mask });
  } else {
    size = writeOddHeader(header, length, lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64), {
      fin,
      opcode,
      maskKey: masked ? maskKey : undefined,
    });
  }
  header[0]! |= rsv << 4;
  const whole = new Uint8Array(size + data.length);
  whole.set(header.subarray(0, size));
  whole.set(data, size);
  if (masked) {
    for (let i = 0; i < data.length; i++) whole[size + i]! ^= (maskKey >>> (24 - (i & 3) * 8)) & 255;
  }
  return whole;
}

/** A text message in one frame. */
export function text(payload: string | Uint8Array, init: Partial<FrameInit> = {}): Uint8Array<ArrayBuffer> {
  return frame({ opcode: OPCODE.text, payload, ...init });
}

/** A Close frame with any code from 0 to 65535; an empty one without a code. */
export function close(
  code?: number,
  reason: string | Uint8Array = "",
  masked = true,
): Uint8Array<ArrayBuffer> {
  const payload = code === undefined
    ? new Uint8Array(0)
    : concat(Uint8Array.of(code >> 8, code & 255), bytesOf(reason));
  return frame({ opcode: OPCODE.close, payload, masked });
}

/** All parts, one after the other, in a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Text as UTF-8, bytes as they are. */
export function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data;
}

function writeOddHeader(
  header: Uint8Array,
  length: bigint,
  form: 7 | 16 | 64,
  { fin, opcode, maskKey }: {
    readonly fin: boolean;
    readonly opcode: number;
    readonly maskKey: number | undefined;
  },
): number {
  const view = new DataView(header.buffer);
  view.setUint8(0, (fin ? 0x80 : 0) | opcode);
  view.setUint8(
    1,
    (maskKey === undefined ? 0 : 0x80) | (form === 7 ? Number(length) : form === 16 ? 126 : 127),
  );
  if (form === 16) view.setUint16(2, Number(length));
  if (form === 64) view.setBigUint64(2, length);
  const at = form === 7 ? 2 : form === 16 ? 4 : 10;
  if (maskKey === undefined) return at;
  view.setUint32(at, maskKey);
  return at + 4;
}
