// The frame header of RFC 6455 §5.2: reading it from bytes, writing it to bytes, masking.

import { type CloseReason, NO_STATUS_RECEIVED } from "./close_code.ts";

/** Frame opcodes (RFC 6455 §5.2). */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Bytes of the longest header: two, eight of extended length, four of masking key. */
export const MAX_HEADER_SIZE = 14;

/** The largest payload of a control frame, in bytes (RFC 6455 §5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/** One frame header. The object is meant to be reused: `readFrameHeader` overwrites every field. */
export class FrameHeader {
  fin = false;
  /** RSV1 to RSV3 as a number from 0 to 7. */
  rsv = 0;
  opcode = 0;
  masked = false;
  /** The length field of the second byte: 0 to 125, 126 (16 bits follow) or 127 (64 bits follow). */
  lengthCode = 0;
  /** Bytes of payload that the header announces: only the peer's claim. Above 2^53 - 1 it is 2^62, or 2^63 with the highest bit. */
  payloadLength = 0;
  /** The masking key, first byte in the highest bits; 0 when the frame is not masked. */
  maskKey = 0;
  /** Bytes of the header itself, from 2 to 14. */
  size = 0;
}

/** Whether `opcode` belongs to a control frame (RFC 6455 §5.5). */
export function isControl(opcode: number): boolean {
  return opcode >= 8;
}

/**
 * Reads the header that starts at `start`. Checks nothing.
 *
 * @returns Whether the header is whole. If not, but its first two bytes are there, their fields are set and `size` is
 * at least 2 (otherwise 0), so that rules about them can be applied at once.
 */
export function readFrameHeader(bytes: Uint8Array, start: number, end: number, header: FrameHeader): boolean {
  const available = end - start;
  if (available < 2) {
    header.size = 0;
    return false;
  }
  const first = bytes[start]!;
  const second = bytes[start + 1]!;
  header.fin = (first & 0x80) !== 0;
  header.rsv = (first >> 4) & 7;
  header.opcode = first & 15;
  header.masked = (second & 0x80) !== 0;
  header.lengthCode = second & 0x7f;
  const lengthSize = header.lengthCode === 126 ? 2 : header.lengthCode === 127 ? 8 : 0;
  header.size = 2 + lengthSize + (header.masked ? 4 : 0);
  if (available < header.size) return false;
  let at = start + 2;
  if (lengthSize === 0) {
    header.payloadLength = header.lengthCode;
  } else {
    let length = 0;
    for (const stop = at + lengthSize; at < stop; at++) length = length * 256 + bytes[at]!;
    header.payloadLength = length <= Number.MAX_SAFE_INTEGER
      ? length
      : bytes[start + 2]! >= 0x80
      ? 2 ** 63
      : 2 ** 62;
  }
  header.maskKey = header.masked
    ? ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    : 0;
  return true;
}

/** Bytes of the shortest header for a payload of `payloadLength` bytes. */
export function headerSize(payloadLength: number, masked: boolean): number {
  return 2 + (payloadLength < 126 ? 0 : payloadLength < 65536 ? 2 : 8) + (masked ? 4 : 0);
}

/** A header to be written; `maskKey` as in `FrameHeader`, absent for a frame that is not masked. */
export interface FrameHeaderFields {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payloadLength: number;
  readonly maskKey?: number;
}

/** Writes the shortest header for `fields` at `at`, which must have room. Returns the offset after it. */
export function writeFrameHeader(bytes: Uint8Array, at: number, fields: FrameHeaderFields): number {
  const { fin, opcode, payloadLength, maskKey } = fields;
  const maskBit = maskKey === undefined ? 0 : 0x80;
  bytes[at++] = (fin ? 0x80 : 0) | opcode;
  if (payloadLength < 126) {
    bytes[at++] = maskBit | payloadLength;
  } else if (payloadLength < 65536) {
    bytes[at++] = maskBit | 126;
    bytes[at++] = payloadLength >> 8;
    bytes[at++] = payloadLength & 255;
  } else {
    bytes[at++] = maskBit | 127;
    const high = Math.floor(payloadLength / 2 ** 32);
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (high >>> shift) & 255;
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (payloadLength >>> shift) & 255;
  }
  if (maskKey !== undefined) {
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (maskKey >>> shift) & 255;
  }
  return at;
}

/** The masking key for the rest of a payload after its first `offset` bytes (RFC 6455 §5.3). */
export function rotateMaskKey(maskKey: number, offset: number): number {
  const bits = (offset & 3) * 8;
  return bits === 0 ? maskKey : ((maskKey << bits) | (maskKey >>> (32 - bits))) >>> 0;
}

/**
 * A whole unfragmented frame in a new buffer. A `maskKey` masks it as a client must (RFC 6455 §5.3); `payload` is
 * left as it is.
 */
export function encodeFrame(opcode: number, payload: Uint8Array, maskKey?: number): Uint8Array<ArrayBuffer> {
  const start = headerSize(payload.length, maskKey !== undefined);
  const frame = new Uint8Array(start + payload.length);
  writeFrameHeader(frame, 0, {
    fin: true,
    opcode,
    payloadLength: payload.length,
    ...(maskKey === undefined ? {} : { maskKey }),
  });
  frame.set(payload, start);
  if (maskKey !== undefined) {
    for (let i = 0; i < payload.length; i++) frame[start + i]! ^= (maskKey >>> (24 - (i & 3) * 8)) & 255;
  }
  return frame;
}

const encoder = new TextEncoder();

/**
 * A Close frame, without a payload if the code is 1005 (RFC 6455 §7.4.1). `reason` must be at most 123 bytes of UTF-8
 * (§5.5.1).
 */
export function encodeClose({ code, reason }: CloseReason, maskKey?: number): Uint8Array<ArrayBuffer> {
  if (code === NO_STATUS_RECEIVED) return encodeFrame(OPCODE.close, new Uint8Array(0), maskKey);
  const text = encoder.encode(reason);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >> 8;
  payload[1] = code & 255;
  payload.set(text, 2);
  return encodeFrame(OPCODE.close, payload, maskKey);
}
