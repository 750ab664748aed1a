// All that the server can do wrong, by group: the path, what it does in words, and how.

import { OPCODE } from "../../protocol/frame.ts";
import { bytesOf, concat, frame } from "../raw_frame.ts";
import type { ConnectionUnderTest } from "./connection_under_test.ts";
import { group, type Misbehaviour } from "./misbehaviour.ts";
import { BYTE_RATE, count, DURATION, RATE, SIZE } from "./parameters.ts";

type Client = ConnectionUnderTest;
const { text, binary, continuation, ping, pong, close } = OPCODE;

/** A step that sends frames, one after the other. */
function frames(...inits: readonly Parameters<Client["sendFrame"]>[0][]): Misbehaviour["run"] {
  return async (client) => {
    for (const init of inits) await client.sendFrame(init);
  };
}

/** A step that opens with a wrong 101. */
function accepts(wrong: Client["accept"]): Misbehaviour["run"] {
  return async (client) => {
    Object.assign(client.accept, wrong);
    await client.open();
  };
}

/** A step that answers the handshake with any text, and ends. */
function answers(answer: string): Misbehaviour["run"] {
  return async (client) => {
    await client.write(bytesOf(answer));
    await client.finish();
  };
}

/** The beginning of a frame that claims 100 bytes. */
function beginning(payload: string): Uint8Array {
  return frame({ opcode: text, payload, claimedLength: 100n, lengthForm: 7, masked: false });
}

function code(value: number, reason: string | Uint8Array = ""): Uint8Array {
  return concat(Uint8Array.of(value >> 8, value & 255), bytesOf(reason));
}

const BEFORE_101 = group("before the 101", [
  [
    "status",
    "answers with this HTTP status",
    async (client, status) => {
      await client.refuse(status, ...(status === 429 || status === 503 ? ["Retry-After: 1"] : []));
    },
    count(200, 599, "CODE"),
    "503",
  ],
  ["redirect", "answers with 302 and the location /echo", (client) => client.refuse(302, "Location: /echo")],
  ["unauthorized", "answers with 401", (client) => client.refuse(401, "WWW-Authenticate: Bearer")],
  ["never", "never answers the handshake", (client) => client.hang()],
  [
    "handshake/wrong-accept",
    "the 101 does not answer the key",
    accepts({ key: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=" }),
  ],
  ["handshake/no-accept", "the 101 has no Sec-WebSocket-Accept", accepts({ key: "" })],
  ["handshake/no-upgrade", "the 101 has no Upgrade", accepts({ upgrade: "" })],
  ["handshake/wrong-upgrade", "the 101 upgrades to h2c", accepts({ upgrade: "h2c" })],
  ["handshake/no-connection", "the 101 has no Connection", accepts({ connection: "" })],
  [
    "handshake/unknown-extension",
    "the 101 chooses an extension that nobody offered",
    accepts({ more: "Sec-WebSocket-Extensions: x-unknown" }),
  ],
  [
    "handshake/unknown-subprotocol",
    "the 101 chooses a subprotocol that nobody offered",
    accepts({ more: "Sec-WebSocket-Protocol: x-unknown" }),
  ],
  [
    "handshake/huge-header",
    "the 101 has a header of 300 kB",
    accepts({ more: `X-Huge: ${"a".repeat(300_000)}` }),
  ],
  ["handshake/garbage", "answers with something that is no HTTP", answers("SSH-2.0-misbehave\r\n")],
  ["handshake/truncated", "ends in the middle of the 101", answers("HTTP/1.1 101 Switching Pro")],
  ["handshake/with-frame", "a message comes in the segment of the 101, which is right", async (client) => {
    await client.open(frame({ opcode: text, payload: "early", masked: false }));
  }],
]);

const DATA = group("data", [
  [
    "fragments",
    "sends a message in this many fragments, and answers in as many",
    async (client, fragments) => {
      client.modes.fragments = fragments;
      await client.sendMessage(text, bytesOf("in fragments"));
    },
    count(1, 100_000),
    "100",
  ],
  [
    "chop",
    "writes all that follows in pieces of this many bytes",
    (client, size) => {
      client.modes.chop = size;
    },
    count(1, 65_535, "BYTES"),
    "1",
  ],
  [
    "slow",
    "writes all that follows so slowly",
    (client, rate) => {
      client.modes.bytesPerSecond = rate;
    },
    BYTE_RATE,
    "1KiB/s",
  ],
  ["stall", "begins a message and never goes on", async (client) => {
    await client.open(beginning("half a"));
    await client.readAway();
  }],
  [
    "size",
    "sends a binary message of this size",
    (client, size) => client.sendZeros(size),
    SIZE,
    "16MiB",
  ],
  ["empty", "sends an empty text message", frames({ opcode: text })],
  [
    "flood",
    "sends this many messages a second",
    async (client, rate) => {
      await client.open();
      client.repeat(rate, (index) => client.sendMessage(text, bytesOf(`flood ${index}`)));
    },
    RATE,
    "1000/s",
  ],
  ["silent", "answers no message", (client) => {
    client.modes.answers = false;
  }],
  ["never-read", "opens, and never reads anything", async (client) => {
    await client.open();
    await client.hang();
  }],
]);

const CONTROL = group("control frames", [
  [
    "pings",
    "sends this many Pings a second",
    async (client, rate) => {
      await client.open();
      client.repeat(rate, (index) => client.sendFrame({ opcode: ping, payload: String(index) }));
    },
    RATE,
    "1000/s",
  ],
  ["no-pong", "answers no Ping", (client) => {
    client.modes.pongs = false;
  }],
  [
    "pong/late",
    "answers Pings so late",
    (client, ms) => {
      client.modes.pongDelayMs = ms;
    },
    DURATION,
    "5s",
  ],
  [
    "pong/unasked",
    "sends a Pong that nobody asked for, which is right",
    frames({ opcode: pong, payload: "unasked" }),
  ],
  [
    "ping",
    "sends a Ping of this many bytes; more than 125 are illegal",
    (client, size) => {
      return client.sendFrame({ opcode: ping, payload: new Uint8Array(size) });
    },
    count(0, 65_535, "BYTES"),
    "126",
  ],
]);

const ILLEGAL = group("illegal frames", [
  [
    "bad/utf8",
    "a text that is not UTF-8",
    frames({ opcode: text, payload: Uint8Array.of(0x61, 0xc0, 0x80) }),
  ],
  [
    "bad/utf8-split",
    "a text whose last fragment ends inside a character",
    frames({ opcode: text, fin: false, payload: "a" }, {
      opcode: continuation,
      payload: Uint8Array.of(0xe2, 0x82),
    }),
  ],
  ["bad/masked", "a masked frame", frames({ opcode: text, payload: "masked", masked: true })],
  [
    "bad/rsv1",
    "a frame with reserved bit 1, as if compressed",
    frames({ opcode: text, rsv: 4, payload: "rsv1" }),
  ],
  ["bad/rsv2", "a frame with reserved bit 2", frames({ opcode: text, rsv: 2, payload: "rsv2" })],
  ["bad/rsv3", "a frame with reserved bit 3", frames({ opcode: text, rsv: 1, payload: "rsv3" })],
  [
    "bad/opcode",
    "a frame with this opcode",
    (client, opcode) => client.sendFrame({ opcode }),
    count(0, 15),
    "3",
  ],
  ["bad/orphan", "a continuation without a beginning", frames({ opcode: continuation, payload: "orphan" })],
  [
    "bad/interleaved",
    "a message that begins inside another",
    frames({ opcode: text, fin: false, payload: "one" }, { opcode: text, payload: "two" }),
  ],
  ["bad/fragmented-ping", "a Ping that is not final", frames({ opcode: ping, fin: false, payload: "part" })],
  [
    "bad/long-length",
    "a length in more bytes than it needs",
    frames({ opcode: text, payload: "x", lengthForm: 64 }),
  ],
  ["bad/huge-claim", "a frame that claims 2^62 bytes", frames({ opcode: binary, claimedLength: 2n ** 62n })],
  [
    "bad/negative-length",
    "a length with its highest bit set",
    frames({ opcode: binary, claimedLength: 2n ** 63n }),
  ],
  ["bad/truncated-frame", "the connection ends inside a frame", async (client) => {
    await client.open(beginning("half a"));
    await client.drop();
  }],
]);

const CLOSING = group("closing", [
  [
    "close",
    "sends a Close with any code; ?reason= says why",
    async (client, value) => {
      await client.close(code(value, client.query.get("reason") ?? ""));
    },
    count(0, 65_535, "CODE"),
    "4001",
  ],
  ["close/empty", "sends a Close without a code", (client) => client.close(new Uint8Array(0))],
  ["close/one-byte", "sends a Close with half a code", (client) => client.close(Uint8Array.of(3))],
  [
    "close/bad-utf8",
    "sends a Close whose reason is not UTF-8",
    (client) => client.close(code(1000, Uint8Array.of(255))),
  ],
  ["close/long", "sends a Close of 126 bytes", (client) => client.close(code(1000, "a".repeat(124)))],
  ["close/never-answer", "never answers a Close", (client) => {
    client.modes.answersClose = false;
  }],
  ["close/stay", "sends a Close and does not end the connection", async (client) => {
    await client.sendFrame({ opcode: close, payload: code(1000) });
    await client.readAway();
  }],
  ["close/twice", "sends two Close frames", async (client) => {
    await client.sendFrame({ opcode: close, payload: code(1000) });
    await client.close(code(1001));
  }],
  ["close/then-data", "sends a message after its Close", async (client) => {
    await frames({ opcode: close, payload: code(1000) }, { opcode: text, payload: "late" })(client, NaN);
    await client.readAway();
  }],
  ["drop", "ends the connection with a FIN and no Close", async (client) => {
    await client.open();
    await client.drop();
  }],
  ["reset", "ends the connection with a RST", async (client) => {
    await client.open();
    // A RST discards what the client has not read yet, and that would be the 101.
    await client.sleep(100);
    client.reset();
  }],
  ["half-close", "ends its half of the connection and reads on", async (client) => {
    await client.open();
    await client.closeWrite();
    await client.readAway();
  }],
]);

const ORDER = group("order", [
  ["open", "answers the handshake now", (client) => client.open()],
  [
    "delay",
    "waits, before the handshake is answered or after",
    (client, ms) => client.sleep(ms),
    DURATION,
    "200ms",
  ],
  [
    "after",
    "answers this many messages, then goes on",
    (client, n) => client.echo(n),
    count(1, 1_000_000),
    "1/drop",
  ],
  ["echo", "answers every message, as the end of every path does", (client) => client.echo()],
]);

/** All misbehaviours, in the order of the page. */
export const CATALOGUE: readonly Misbehaviour[] = [
  ...BEFORE_101,
  ...DATA,
  ...CONTROL,
  ...ILLEGAL,
  ...CLOSING,
  ...ORDER,
];
