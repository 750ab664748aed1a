// The first bytes on a TLS port: waits for a whole ClientHello, before anything is spent on it.

import type { ByteSocket } from "../byte_socket.ts";

/** Names of the alerts that are sent or seen here, by their number (RFC 8446 §6). */
export const ALERTS = {
  10: "unexpected_message",
  20: "bad_record_mac",
  22: "record_overflow",
  40: "handshake_failure",
  42: "bad_certificate",
  47: "illegal_parameter",
  50: "decode_error",
  51: "decrypt_error",
  70: "protocol_version",
  71: "insufficient_security",
  80: "internal_error",
  100: "no_renegotiation",
  109: "missing_extension",
  112: "unrecognized_name",
  116: "certificate_required",
  120: "no_application_protocol",
} as const;

/** The number of an alert. */
export type Alert = keyof typeof ALERTS;

/** Why there is no hello: another protocol, or the number of the TLS alert for the mistake. */
export type HelloFault = "http" | "not_tls" | Alert;

/** Room for a usual hello; a longer one gets more. */
const USUAL_SIZE = 1024;
/** The most bytes that a hello may take with its record headers; real ones have some 2000. */
export const MAX_HELLO_SIZE = 16_384;

const HEADER_SIZE = 5;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** Bytes of a message before its body: type and length (RFC 8446 §4). */
const MESSAGE_HEADER_SIZE = 4;
const MAX_RECORD_SIZE = 16_384;

/**
 * Resolves with the first bytes, in which there is a whole ClientHello, with why there is none, or with undefined at
 * the peer's end.
 */
export async function readHello(
  socket: Pick<ByteSocket, "read">,
): Promise<Uint8Array | HelloFault | undefined> {
  const scanner = new HelloScanner();
  let bytes = new Uint8Array(USUAL_SIZE);
  for (let end = 0;;) {
    const size = await socket.read(bytes.subarray(end));
    if (size === null) return undefined;
    end += size;
    const state = scanner.scan(bytes, end);
    if (state === "whole") return bytes.subarray(0, end);
    if (state !== "incomplete") return state;
    if (end < bytes.length) continue;
    if (end >= MAX_HELLO_SIZE) return 50;
    const larger = new Uint8Array(bytes.length * 4);
    larger.set(bytes);
    bytes = larger;
  }
}

/** Looks at each byte once, also if the hello is split over many records. */
export class HelloScanner {
  /** The start of the unfinished record. */
  #recordAt = 0;
  /** How many bytes of the message's type and length were seen. */
  #messageHeader = 0;
  #messageHeaderSize = 0;
  #payloadSize = 0;

  /** Takes the bytes from 0 to `end`, of which those of earlier calls were seen. */
  scan(bytes: Uint8Array, end: number): "incomplete" | "whole" | HelloFault {
    if (this.#recordAt === 0 && end > 0 && bytes[0] !== HANDSHAKE) return foreign(bytes, end);
    for (;;) {
      const at = this.#recordAt;
      if (end < at + HEADER_SIZE) return "incomplete";
      if (bytes[at] !== HANDSHAKE) return 10;
      // The minor version of a record says nothing (RFC 8446 §5.1).
      if (bytes[at + 1] !== 3) return 70;
      const size = bytes[at + 3]! << 8 | bytes[at + 4]!;
      if (size > MAX_RECORD_SIZE) return 22;
      // RFC 8446 §5.1: no empty fragments of handshake messages.
      if (size === 0) return 10;
      if (end > at + HEADER_SIZE && at === 0 && bytes[HEADER_SIZE] !== CLIENT_HELLO) return 10;
      if (end < at + HEADER_SIZE + size) return "incomplete";
      this.#take(bytes.subarray(at + HEADER_SIZE, at + HEADER_SIZE + size));
      this.#recordAt = at + HEADER_SIZE + size;
      if (this.#messageHeaderSize < MESSAGE_HEADER_SIZE) continue;
      const messageSize = this.#messageHeader & 0xffffff;
      if (messageSize > MAX_HELLO_SIZE) return 50;
      if (this.#payloadSize >= MESSAGE_HEADER_SIZE + messageSize) return "whole";
    }
  }

  #take(payload: Uint8Array): void {
    for (const byte of payload.subarray(0, MESSAGE_HEADER_SIZE - this.#messageHeaderSize)) {
      this.#messageHeader = this.#messageHeader << 8 | byte;
      this.#messageHeaderSize++;
    }
    this.#payloadSize += payload.length;
  }
}

/** A fatal alert as an unencrypted record (RFC 8446 §6). */
export function encodeAlert(alert: Alert): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(21, 3, 3, 0, 2, 2, alert);
}

/** The unencrypted fatal alert at the end of `bytes`; undefined if there is none, or none of {@linkcode ALERTS}. */
export function readAlert(bytes: Uint8Array): Alert | undefined {
  const [type, major, , high, low, level, alert] = bytes.subarray(-7);
  const isAlert = type === 21 && major === 3 && high === 0 && low === 2 && level === 2;
  return isAlert && alert! in ALERTS ? alert as Alert : undefined;
}

/** What bytes are that are not a TLS handshake. */
function foreign(bytes: Uint8Array, end: number): "incomplete" | HelloFault {
  const first = bytes[0]!;
  // Another record of TLS: an alert, or data before any handshake.
  if (first >= 20 && first <= 23) return end === 1 ? "incomplete" : bytes[1] === 3 ? 10 : "not_tls";
  // A method in capital letters and a space, as far as it has come.
  for (let at = 0; at < Math.min(end, 8); at++) {
    const byte = bytes[at]!;
    if (byte === 0x20 && at > 2) return "http";
    if (byte < 0x41 || byte > 0x5a) return "not_tls";
  }
  return end < 8 ? "incomplete" : "not_tls";
}
