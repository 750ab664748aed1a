// What a client may send in one write, and exactly which frames must come back, in which order.
//
// Written from RFC 6455; `in` is a text message that the endpoint answers, in the words of its protocol.

import { closePayload, concat, frame, OPCODE } from "./raw_client.ts";

/** How an endpoint speaks. */
export interface Dialect {
  /** The payload of a text message, `n` tells apart the messages of a sequence. */
  request(n: number): string;
  /** What comes back for it, as `describe` says it. */
  reply(n: number): string;
  /** What comes back for the binary message 01 02 03. */
  readonly binary: string;
}

/** One sequence. `expect` is what comes back, as `describeFrame` says it; the end of the stream follows if `ends`. */
export interface Sequence {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly expect: readonly string[];
  /** Whether the server ends the connection. */
  readonly ends: boolean;
  /** Whether the client ends its half (FIN) after sending. */
  readonly fin: boolean;
}

const BINARY = Uint8Array.of(1, 2, 3);
const encoder = new TextEncoder();

/** Says what a frame is: `text abc`, `binary 010203`, `pong abc`, `close 1000`. */
export function describeFrame(
  received: { opcode: number; text: string; payload: Uint8Array; closeCode?: number },
): string {
  const { opcode, text, payload, closeCode } = received;
  if (opcode === OPCODE.close) return `close ${closeCode}`;
  if (opcode === OPCODE.binary) return `binary ${payload.toHex()}`;
  const name = opcode === OPCODE.text ? "text" : opcode === OPCODE.pong ? "pong" : `opcode ${opcode}`;
  return text === "" ? name : `${name} ${text}`;
}

/** The table, for an endpoint that speaks like this. */
export function orderTable(dialect: Dialect): readonly Sequence[] {
  const { request, reply } = dialect;
  const text = (n: number) => frame({ opcode: OPCODE.text, payload: request(n) });
  const binary = frame({ opcode: OPCODE.binary, payload: BINARY });
  const ping = (payload = "p") => frame({ opcode: OPCODE.ping, payload });
  const pong = (payload = "q") => frame({ opcode: OPCODE.pong, payload });
  const close = (code?: number) =>
    frame({ opcode: OPCODE.close, payload: code === undefined ? "" : closePayload(code) });
  /** The message `n` in `count` frames, with `between` after each but the last. */
  const fragments = (n: number, count: number, between: Uint8Array = new Uint8Array(0)) => {
    const payload = encoder.encode(request(n));
    const size = Math.ceil(payload.length / count);
    const parts = Array.from({ length: count }, (_, i) =>
      frame({
        opcode: i === 0 ? OPCODE.text : OPCODE.continuation,
        fin: i === count - 1,
        payload: payload.slice(i * size, (i + 1) * size),
      }));
    return concat(...parts.flatMap((part, i) => i === count - 1 ? [part] : [part, between]));
  };
  const start = frame({ opcode: OPCODE.text, fin: false, payload: "a" });
  const bad = {
    opcode: frame({ opcode: 3, payload: "x" }),
    control: frame({ opcode: 11 }),
    rsv: frame({ opcode: OPCODE.text, rsv: 4, payload: "x" }),
    unmasked: frame({ opcode: OPCODE.text, payload: "x", mask: false }),
    utf8: frame({ opcode: OPCODE.text, payload: Uint8Array.of(0x61, 0xff) }),
    surrogate: frame({ opcode: OPCODE.text, payload: Uint8Array.of(0xed, 0xa0, 0x80) }),
    truncated: frame({ opcode: OPCODE.text, payload: Uint8Array.of(0x61, 0xc3) }),
    tooLarge: frame({ opcode: OPCODE.binary, claimedLength: 2 ** 20 + 1 }),
    orphan: frame({ opcode: OPCODE.continuation, payload: "x" }),
    ping: frame({ opcode: OPCODE.ping, payload: "x".repeat(126) }),
    fragmentedPing: frame({ opcode: OPCODE.ping, fin: false, payload: "x" }),
    close: frame({ opcode: OPCODE.close, payload: closePayload(1005) }),
    closeOne: frame({ opcode: OPCODE.close, payload: Uint8Array.of(3) }),
    closeReason: frame({ opcode: OPCODE.close, payload: concat(closePayload(1000), Uint8Array.of(0xff)) }),
    length: frame({ opcode: OPCODE.text, payload: "x", lengthForm: 16 }),
  };
  const rows: [name: string, bytes: Uint8Array[], expect: string[], rest?: "ends" | "fin"][] = [
    ["a text", [text(1)], [reply(1)]],
    ["a binary message", [binary], [dialect.binary]],
    ["three texts", [text(1), text(2), text(3)], [reply(1), reply(2), reply(3)]],
    ["text, binary, text", [text(1), binary, text(2)], [reply(1), dialect.binary, reply(2)]],
    ["a Ping", [ping("abc")], ["pong abc"]],
    ["an empty Ping", [ping("")], ["pong"]],
    ["a Ping of 125 bytes", [ping("x".repeat(125))], [`pong ${"x".repeat(125)}`]],
    ["two Pings", [ping("1"), ping("2")], ["pong 1", "pong 2"]],
    ["a Pong that nobody asked for, then a text", [pong(), text(1)], [reply(1)]],
    ["a Ping before a text", [ping(), text(1)], ["pong p", reply(1)]],
    ["a text before a Ping", [text(1), ping()], [reply(1), "pong p"]],
    ["text, Ping, text, Ping", [text(1), ping("1"), text(2), ping("2")], [
      reply(1),
      "pong 1",
      reply(2),
      "pong 2",
    ]],
    ["a text in two frames", [fragments(1, 2)], [reply(1)]],
    ["a text in five frames", [fragments(1, 5)], [reply(1)]],
    ["a Ping between two fragments", [fragments(1, 2, ping())], ["pong p", reply(1)]],
    ["a Ping after each of four fragments", [fragments(1, 5, ping())], [
      "pong p",
      "pong p",
      "pong p",
      "pong p",
      reply(1),
    ]],
    ["a Pong between two fragments", [fragments(1, 2, pong())], [reply(1)]],
    ["a fragmented text between two others", [text(1), fragments(2, 3), text(3)], [
      reply(1),
      reply(2),
      reply(3),
    ]],
    ["a Close", [close(1000)], ["close 1000"], "ends"],
    ["a Close without a code", [close()], ["close 1005"], "ends"],
    ["a Close with a code of its own", [close(4999)], ["close 4999"], "ends"],
    ["a text and a Close", [text(1), close(1000)], [reply(1), "close 1000"], "ends"],
    [
      "ten texts and a Close",
      [
        ...Array.from({ length: 10 }, (_, i) => text(i)),
        close(3000),
      ],
      [...Array.from({ length: 10 }, (_, i) => reply(i)), "close 3000"],
      "ends",
    ],
    ["a Ping and a Close", [ping(), close(1001)], ["pong p", "close 1001"], "ends"],
    ["a Close, then a text", [close(1000), text(1)], ["close 1000"], "ends"],
    ["a Close, then a Ping", [close(1000), ping()], ["close 1000"], "ends"],
    ["two Closes", [close(1000), close(1001)], ["close 1000"], "ends"],
    ["a Close inside a fragmented text", [start, close(1000)], ["close 1000"], "ends"],
    ["a text, then a reserved opcode", [text(1), bad.opcode], [reply(1), "close 1002"], "ends"],
    ["a text, then a reserved control opcode", [text(1), bad.control], [reply(1), "close 1002"], "ends"],
    ["a text, then a reserved bit", [text(1), bad.rsv], [reply(1), "close 1002"], "ends"],
    ["a text, then an unmasked frame", [text(1), bad.unmasked], [reply(1), "close 1002"], "ends"],
    ["a text, then bad UTF-8", [text(1), bad.utf8], [reply(1), "close 1007"], "ends"],
    ["a text, then a surrogate", [text(1), bad.surrogate], [reply(1), "close 1007"], "ends"],
    ["a text, then a truncated one", [text(1), bad.truncated], [reply(1), "close 1007"], "ends"],
    ["a text, then one that is too large", [text(1), bad.tooLarge], [reply(1), "close 1009"], "ends"],
    ["a text, then an orphan continuation", [text(1), bad.orphan], [reply(1), "close 1002"], "ends"],
    ["a text, then a long Ping", [text(1), bad.ping], [reply(1), "close 1002"], "ends"],
    ["a text, then a fragmented Ping", [text(1), bad.fragmentedPing], [reply(1), "close 1002"], "ends"],
    ["a text, then a Close with 1005", [text(1), bad.close], [reply(1), "close 1002"], "ends"],
    ["a text, then a Close of one byte", [text(1), bad.closeOne], [reply(1), "close 1002"], "ends"],
    ["a text, then a Close with a bad reason", [text(1), bad.closeReason], [reply(1), "close 1007"], "ends"],
    ["a text, then a length in too many bytes", [text(1), bad.length], [reply(1), "close 1002"], "ends"],
    ["text, Ping, violation", [text(1), ping(), bad.rsv], [reply(1), "pong p", "close 1002"], "ends"],
    [
      "bad UTF-8 in an unfinished text, then a Ping",
      [
        frame({ opcode: OPCODE.text, fin: false, payload: Uint8Array.of(0xff) }),
        ping(),
      ],
      ["close 1007"],
      "ends",
    ],
    ["a new text inside a fragmented one, between two Pings", [ping("1"), start, text(1), ping("2")], [
      "pong 1",
      "close 1002",
    ], "ends"],
    ["a violation, then a text", [bad.opcode, text(1)], ["close 1002"], "ends"],
    ["a violation, then a Close", [bad.opcode, close(1000)], ["close 1002"], "ends"],
    ["three texts, then the end of the stream", [text(1), text(2), text(3)], [
      reply(1),
      reply(2),
      reply(3),
    ], "fin"],
    ["a Ping, then the end of the stream", [ping()], ["pong p"], "fin"],
    ["a text and half a frame, then the end", [text(1), text(2).slice(0, 7)], [reply(1)], "fin"],
    ["a text and an unfinished one, then the end", [text(1), start], [reply(1)], "fin"],
    ["the end of the stream at once", [], [], "fin"],
    ["a text and a Close, then the end", [text(1), close(1000), new Uint8Array(0)], [
      reply(1),
      "close 1000",
    ], "fin"],
  ];
  return rows.map(([name, bytes, expect, rest]) => ({
    name,
    bytes: concat(...bytes),
    expect,
    ends: rest !== undefined,
    fin: rest === "fin",
  }));
}
