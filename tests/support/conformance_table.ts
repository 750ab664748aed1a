// RFC 6455 on frames, messages and Closes, at every boundary that it names: what is sent, and what must come back.

import type { Sequence } from "./order_table.ts";
import { closePayload, concat, frame, OPCODE } from "./raw_client.ts";

/** A sequence for an endpoint that sends each message back as it is. */
export type Case = Pick<Sequence, "name" | "bytes" | "expect" | "ends">;

/** The sizes at which a length is written in another way (§5.2), and the largest message. */
const SIZES = [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537, 2 ** 20];
/** Code points at the edges of UTF-8's lengths and of what Unicode leaves out (RFC 3629 §3, §4). */
const EDGES = [
  0,
  0x7f,
  0x80,
  0x7ff,
  0x800,
  0xfff,
  0x1000,
  0xcfff,
  0xd000,
  0xd7ff,
  0xe000,
  0xfffd,
  0xfffe,
  0xffff,
]
  .concat([0x10000, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10ffff]);
/** No UTF-8, in hex. */
const NOT_UTF8 = [
  // Nothing that they would continue, and nothing that would continue them.
  ...["80", "bf", "8080", "c2", "e0a0", "ed9f", "f09080", "f48fbf", "c220", "e28220", "f09f9820"],
  // Longer than need be.
  ...["c080", "c1bf", "e08080", "e09fbf", "f0808080", "f08fbfbf"],
  // Surrogates, alone and in pairs; above U+10FFFF; five and six bytes; bytes that are in no text.
  ...["eda080", "edafbf", "edb080", "edbfbf", "eda080edb080", "f4908080", "f7bfbfbf"],
  ...["f888808080", "fc8480808080", "fe", "ff", "fefeffff"],
];
const MAY_BE_SENT = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
  .concat([3000, 3999, 4000, 4999]);
const MUST_NOT_BE_SENT = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

const encoder = new TextEncoder();
const text = frame({ opcode: OPCODE.text, payload: "before" });

/** A message in frames of `size` bytes, with `between` after each but the last. */
function inFragments(opcode: number, payload: Uint8Array, size: number, between?: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const fin = at + size >= payload.length;
    const piece = payload.subarray(at, at + size);
    parts.push(frame({ opcode: at === 0 ? opcode : OPCODE.continuation, fin, payload: piece }));
    if (!fin && between !== undefined) parts.push(between);
  }
  return concat(...parts);
}

/** Bytes that look like nothing in particular. */
function someBytes(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

function* messages(): Generator<Case> {
  for (const size of SIZES) {
    const letters = "abcdefg\u00e9".repeat(Math.ceil(size / 9)).slice(0, size);
    // A letter of two bytes at the end would make it longer.
    const payload = encoder.encode("*".repeat(size));
    const bytes = someBytes(size);
    const said = size === 0 ? "text" : `text ${"*".repeat(size)}`;
    const pieces = Math.max(1, Math.ceil(size / 1000));
    yield ok(`a text of ${size}`, [frame({ opcode: OPCODE.text, payload })], [said]);
    yield ok(`a text of ${size} in fragments`, [inFragments(OPCODE.text, payload, pieces)], [said]);
    yield ok(`a binary message of ${size}`, [frame({ opcode: OPCODE.binary, payload: bytes })], [
      `binary ${bytes.toHex()}`,
    ]);
    yield ok(`a binary message of ${size} in fragments`, [inFragments(OPCODE.binary, bytes, 1300)], [
      `binary ${bytes.toHex()}`,
    ]);
    if (size < 10 || size > 1000) continue;
    const long = encoder.encode(letters);
    yield ok(`a text of ${long.length} in fragments of one byte`, [inFragments(OPCODE.text, long, 1)], [
      `text ${letters}`,
    ]);
  }
  const bytes = new Uint8Array(2 ** 20);
  const half = inFragments(OPCODE.binary, concat(bytes, new Uint8Array(1)), 2 ** 19);
  yield no("fragments of one byte too much", [half], "close 1009");
}

function* controlFrames(): Generator<Case> {
  for (const size of [0, 1, 64, 124, 125]) {
    const payload = "p".repeat(size);
    const pong = size === 0 ? "pong" : `pong ${payload}`;
    yield ok(`a Ping of ${size}`, [frame({ opcode: OPCODE.ping, payload })], [pong]);
    yield ok(`a Pong of ${size} that nobody asked for`, [frame({ opcode: OPCODE.pong, payload }), text], [
      "text before",
    ]);
    const pings = inFragments(OPCODE.text, encoder.encode("abc"), 1, frame({ opcode: OPCODE.ping, payload }));
    yield ok(`Pings of ${size} between fragments`, [pings], [pong, pong, "text abc"]);
  }
  const ten = Array.from({ length: 10 }, (_, i) => `ping ${i}`);
  yield ok(
    "ten Pings",
    ten.map((payload) => frame({ opcode: OPCODE.ping, payload })),
    ten.map((p) => `pong ${p}`),
  );
  for (const opcode of [OPCODE.close, OPCODE.ping, OPCODE.pong]) {
    for (const size of [126, 127, 65_536]) {
      yield no(
        `a control frame ${opcode} of ${size}`,
        [frame({ opcode, payload: new Uint8Array(size) })],
        "close 1002",
      );
    }
    yield no(`a control frame ${opcode} in fragments`, [
      frame({ opcode, fin: false }),
      frame({ opcode: OPCODE.continuation }),
    ], "close 1002");
  }
}

function* headers(): Generator<Case> {
  for (let rsv = 1; rsv < 8; rsv++) {
    for (const opcode of [OPCODE.text, OPCODE.binary, OPCODE.ping, OPCODE.pong, OPCODE.close]) {
      yield no(`reserved bits ${rsv} on ${opcode}`, [frame({ opcode, rsv, payload: "ab" })], "close 1002");
    }
    const later = [frame({ opcode: OPCODE.text, fin: false }), frame({ opcode: OPCODE.continuation, rsv })];
    yield no(`reserved bits ${rsv} on a continuation`, later, "close 1002");
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    for (const payload of ["", "reserved"]) {
      yield no(
        `the opcode ${opcode} with ${payload.length} bytes`,
        [frame({ opcode, payload })],
        "close 1002",
      );
    }
  }
  for (const opcode of [OPCODE.text, OPCODE.binary, OPCODE.ping, OPCODE.close]) {
    yield no(`no mask on ${opcode}`, [frame({ opcode, payload: "ab", mask: false })], "close 1002");
  }
  for (const [size, lengthForm] of [[0, 16], [125, 16], [0, 64], [126, 64], [65_535, 64]] as const) {
    const payload = new Uint8Array(size);
    yield no(`${size} bytes written with ${lengthForm} bits`, [
      frame({ opcode: OPCODE.binary, payload, lengthForm }),
    ], "close 1002");
  }
  yield no("a length of 2^63", [frame({ opcode: OPCODE.binary, claimedLength: 2n ** 63n })], "close 1002");
  for (const fin of [true, false]) {
    const orphan = frame({ opcode: OPCODE.continuation, fin, payload: "x" });
    yield no(`a continuation of nothing, FIN ${fin}`, [orphan, text], "close 1002");
    yield no(`a continuation after a whole message, FIN ${fin}`, [text, orphan], "close 1002");
    for (const opcode of [OPCODE.text, OPCODE.binary]) {
      yield no(`a message ${opcode} inside a message, FIN ${fin}`, [
        frame({ opcode: OPCODE.text, fin: false, payload: "a" }),
        frame({ opcode, fin, payload: "b" }),
      ], "close 1002");
    }
  }
}

function* texts(): Generator<Case> {
  for (const edge of EDGES) {
    const letter = String.fromCodePoint(edge);
    const payload = encoder.encode(`a${letter}b`);
    for (const size of [1, 100]) {
      yield ok(`U+${edge.toString(16)} in frames of ${size}`, [inFragments(OPCODE.text, payload, size)], [
        `text a${letter}b`,
      ]);
    }
  }
  for (const hex of NOT_UTF8) {
    for (const size of [1, 100]) {
      for (const before of ["", "x".repeat(200)]) {
        const payload = concat(encoder.encode(before), Uint8Array.fromHex(hex));
        yield no(`${hex} after ${before.length} letters in frames of ${size}`, [
          inFragments(OPCODE.text, payload, before === "" ? size : size * 50),
        ], "close 1007");
      }
    }
    // What is no text may well be binary.
    const payload = Uint8Array.fromHex(hex);
    yield ok(`${hex} in a binary message`, [frame({ opcode: OPCODE.binary, payload })], [`binary ${hex}`]);
  }
}

function* closes(): Generator<Case> {
  const close = (payload: Uint8Array) => frame({ opcode: OPCODE.close, payload });
  for (const code of MAY_BE_SENT) {
    for (const reason of ["", "a", "\u00e9".repeat(61) + "x"]) {
      yield no(
        `a Close ${code} with ${reason.length} letters`,
        [close(closePayload(code, reason))],
        `close ${code}`,
      );
    }
  }
  for (const code of MUST_NOT_BE_SENT) {
    yield no(`a Close ${code}`, [close(closePayload(code))], "close 1002");
    yield no(`a Close ${code} with a reason`, [close(closePayload(code, "why"))], "close 1002");
  }
  for (const hex of NOT_UTF8) {
    const payload = concat(closePayload(1000), Uint8Array.fromHex(hex));
    yield no(`a Close with the reason ${hex}`, [close(payload)], "close 1007");
  }
  yield no("a Close of one byte", [close(Uint8Array.of(3))], "close 1002");
  yield no("a Close of one byte that the next one would complete", [
    frame({ opcode: OPCODE.close, payload: Uint8Array.of(3), mask: new Uint8Array(4) }),
    Uint8Array.of(0xe8),
  ], "close 1002");
  yield no("a Close of nothing", [close(new Uint8Array(0))], "close 1005");
}

/** Answered like this, and the connection goes on. */
function ok(name: string, parts: readonly Uint8Array[], expect: readonly string[]): Case {
  return { name, bytes: concat(...parts), expect, ends: false };
}

/** After a text that is answered, closed like this. */
function no(name: string, parts: readonly Uint8Array[], close: string): Case {
  const isAfterText = parts[0] === text;
  const expect = isAfterText ? ["text before", close] : [close];
  return { name, bytes: concat(...parts), expect, ends: true };
}

/** All of them. */
export function* conformanceTable(): Generator<Case> {
  yield* messages();
  yield* controlFrames();
  yield* headers();
  yield* texts();
  yield* closes();
}
