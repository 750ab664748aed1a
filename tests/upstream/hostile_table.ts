// What an upstream server can do wrong, and what the client and the log get.

import { closePayload, concat, frame, OPCODE } from "../support/raw_client.ts";

/** A connection that a hostile server has accepted, after it has read the request head. */
export interface Hostile {
  readonly conn: Deno.TcpConn;
  /** The right answer to its request, without the empty line at its end. */
  readonly welcome: string;
  send(data: string | Uint8Array): Promise<void>;
  /** Reads until the firewall ends the connection, and resolves with the code of the Close that came, 0 for none. */
  end(): Promise<number>;
}

/** One thing that goes wrong. */
export interface Misdeed {
  readonly name: string;
  readonly act: (hostile: Hostile) => Promise<void>;
  /** The status that the client gets, or the code of its Close; 1006 when its connection ends without one. */
  readonly client: number;
  /** The record that is written. */
  readonly record:
    | "upstream.unreachable"
    | "upstream.refused"
    | "upstream.lost"
    | "upstream.protocol_error"
    | "none";
  /** The code of the Close that the server gets after a 101, 0 for none; not looked at if left out. */
  readonly server?: number;
  /** The body that the client gets with its status; not looked at if left out. */
  readonly body?: string;
  /** Whether it is found out by a Ping. */
  readonly isSilent?: true;
  /** Texts that the client gets before the end. */
  readonly texts?: readonly string[];
}

const text = (payload: string | Uint8Array, more = {}) =>
  frame({ opcode: OPCODE.text, payload, mask: false, ...more });
const raw = (...bytes: number[]) => Uint8Array.from(bytes);
const head = (status: string, ...lines: string[]) => [`HTTP/1.1 ${status}`, ...lines, "", ""].join("\r\n");
const UPGRADE = ["Upgrade: websocket", "Connection: Upgrade"];

/** Answers with this head; the server then waits for the end. */
const answers = (answer: (hostile: Hostile) => string) => async (hostile: Hostile) => {
  await hostile.send(answer(hostile));
  await hostile.end();
};

/** Accepts, and sends this. */
const sends = (...parts: Uint8Array[]) => async (hostile: Hostile) => {
  await hostile.send(concat(new TextEncoder().encode(`${hostile.welcome}\r\n\r\n`), ...parts));
};

/** The table. */
export const MISDEEDS: readonly Misdeed[] = [
  // Before the 101.
  { name: "no answer", act: async (h) => void await h.end(), client: 504, record: "upstream.unreachable" },
  {
    name: "half a head, then nothing",
    act: async (h) => (await h.send("HTTP/1.1 101 Swi"), void await h.end()),
    client: 504,
    record: "upstream.unreachable",
  },
  {
    name: "a head that comes too slowly",
    async act(h) {
      const timer = setInterval(() => void h.send("X-A: b\r\n").catch(() => {}), 50);
      await h.send(`${h.welcome}\r\n`);
      await h.end();
      clearInterval(timer);
    },
    client: 504,
    record: "upstream.unreachable",
  },
  { name: "the end at once", act: () => Promise.resolve(), client: 502, record: "upstream.unreachable" },
  {
    name: "a head without end",
    async act(h) {
      const line = `X-A: ${"b".repeat(1000)}\r\n`;
      await h.send(`${h.welcome}\r\n`);
      for (let i = 0; i < 100; i++) await h.send(line).catch(() => {});
      await h.end();
    },
    client: 502,
    record: "upstream.unreachable",
  },
  ...([
    [
      "a wrong Accept",
      () => head("101 OK", ...UPGRADE, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp="),
    ],
    ["no Accept", () => head("101 OK", ...UPGRADE)],
    ["two Accepts", (h) => `${h.welcome}\r\nSec-WebSocket-Accept: x\r\n\r\n`],
    ["no Upgrade", (h) => head("101 OK", "Connection: Upgrade", h.welcome.split("\r\n").at(-1)!)],
    ["no Connection", (h) => head("101 OK", "Upgrade: websocket", h.welcome.split("\r\n").at(-1)!)],
    [
      "another protocol",
      (h) => head("101 OK", "Upgrade: h2c", "Connection: Upgrade", h.welcome.split("\r\n").at(-1)!),
    ],
    ["an extension", (h) => `${h.welcome}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`],
    ["a subprotocol that was not offered", (h) => `${h.welcome}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`],
    ["200", () => head("200 OK", "Content-Length: 2") + "ok"],
    ["204", () => head("204 No Content")],
    ["100", () => head("100 Continue")],
    ["103", () => head("103 Early Hints")],
    ["a redirect", () => head("302 Found", "Location: http://169.254.169.254/")],
    ["304", () => head("304 Not Modified")],
    ["a status of 600", () => head("600 What")],
    ["a status of 99", () => head("099 What")],
    ["HTTP/1.0", (h) => `${h.welcome.replace("1.1", "1.0")}\r\n\r\n`],
    ["HTTP/2", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a folded header", (h) => `${h.welcome}\r\n folded: 1\r\n\r\n`],
    ["a space before the colon", (h) => `${h.welcome}\r\nX-A : 1\r\n\r\n`],
    ["a NUL in a header", (h) => `${h.welcome}\r\nX-A: \0\r\n\r\n`],
    ["a bare CR in a header", (h) => `${h.welcome}\r\nSet-Cookie: a=1\rSet-Cookie: b=1\r\n\r\n`],
    ["junk", () => "\x15\x03\x01\x00\x02\x02\x28\r\n\r\n"],
  ] as [string, (hostile: Hostile) => string][]).map(([name, answer]): Misdeed => ({
    name,
    act: answers(answer),
    client: 502,
    record: "upstream.unreachable",
  })),
  ...([
    ["its own 403", 403, head("403 Forbidden", "Content-Length: 3") + "no!", "no!"],
    ["its own 404", 404, head("404 Not Found"), "the upstream refused\n"],
    [
      "its own 418, and a long body",
      418,
      head("418 I'm a teapot", "Content-Length: 100000000") + "x".repeat(10_000),
      "x".repeat(4096),
    ],
    [
      "its own 401",
      401,
      head("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"', "X-Secret: 1", "Content-Length: 0"),
      "the upstream refused\n",
    ],
    ["its own 503", 503, head("503 Busy", "Retry-After: 7", "Content-Length: 0"), "the upstream refused\n"],
    [
      "chunks",
      500,
      head("500 Oops", "Transfer-Encoding: chunked") +
      "5\r\noops!\r\n1;a=b\r\n \r\n00A\r\n0123456789\r\n0\r\nX: 1\r\n\r\n",
      "oops! 0123456789",
    ],
    [
      "chunks without an end",
      500,
      head("500 Oops", "Transfer-Encoding: chunked") + "5\r\noops!\r\n",
      "oops!",
    ],
    [
      "more chunks than there is room for",
      500,
      head("500 Oops", "Transfer-Encoding: Chunked") + "1000\r\n" + "y".repeat(4096) +
      "\r\n5\r\noops!\r\n0\r\n\r\n",
      "y".repeat(4096),
    ],
    [
      "a chunk of nonsense",
      500,
      head("500 Oops", "Transfer-Encoding: chunked") + "2\r\nab\r\n-1\r\ncd\r\n0\r\n\r\n",
      "ab",
    ],
    [
      "chunks of one byte, for ever",
      500,
      head("500 Oops", "Transfer-Encoding: chunked") + "1\r\nz\r\n".repeat(5000),
      undefined,
    ],
    [
      "chunks in a coding",
      500,
      head("500 Oops", "Transfer-Encoding: gzip, chunked") + "1\r\nz\r\n",
      "the upstream refused\n",
    ],
    [
      "a compressed body",
      500,
      head("500 Oops", "Content-Encoding: gzip", "Content-Length: 1") + "z",
      "the upstream refused\n",
    ],
    ["half a body", 500, head("500 Oops", "Content-Length: 9") + "half", "half"],
    ["a body without a length", 500, head("500 Oops") + "all of it", "all of it"],
    ["a length of nonsense", 500, head("500 Oops", "Content-Length: x") + "z", "the upstream refused\n"],
  ] as [string, number, string, string | undefined][]).map(([name, status, answer, body]): Misdeed => ({
    name: `a refusal: ${name}`,
    act: answers(() => answer),
    client: status,
    record: "upstream.refused",
    ...(body === undefined ? {} : { body }),
  })),

  // After it, what breaks RFC 6455.
  ...([
    ["a masked frame", 1002, frame({ opcode: OPCODE.text, payload: "x" })],
    ["RSV1", 1002, text("x", { rsv: 4 })],
    ["RSV3", 1002, text("x", { rsv: 1 })],
    ["a reserved opcode", 1002, text("x", { opcode: 3 })],
    ["a reserved control opcode", 1002, text("", { opcode: 11 })],
    ["a continuation of nothing", 1002, text("x", { opcode: 0 })],
    ["a message in a message", 1002, concat(text("a", { fin: false }), text("b"))],
    ["a Ping in two frames", 1002, text("x", { opcode: OPCODE.ping, fin: false })],
    ["a Ping of 126 bytes", 1002, text("x".repeat(126), { opcode: OPCODE.ping })],
    ["a length that is too long", 1002, text("x", { lengthForm: 16 })],
    ["a length of 64 bits for little", 1002, text("x", { lengthForm: 64 })],
    ["a length with the highest bit", 1002, raw(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1)],
    ["bad UTF-8", 1007, text(raw(0x61, 0xff))],
    ["half a surrogate pair", 1007, text(raw(0xed, 0xa0, 0x80))],
    ["a text that ends inside a code point", 1007, text(raw(0x61, 0xc3))],
    [
      "bad UTF-8 over two frames",
      1007,
      concat(text(raw(0xc3), { fin: false }), text(raw(0x28), { opcode: 0 })),
    ],
    ["a message that is too large", 1009, raw(0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1)],
    [
      "a message too large in two frames",
      1009,
      concat(
        text("x", { opcode: OPCODE.binary, fin: false }),
        raw(0x80, 127, 0, 0, 0, 0, 0, 0x10, 0, 0),
      ),
    ],
    [
      "fragments without end",
      1009,
      concat(
        text("", { fin: false }),
        ...Array.from({ length: 65_536 }, () => raw(0, 0)),
      ),
    ],
    ["Close 1005", 1002, text(closePayload(1005), { opcode: OPCODE.close })],
    ["Close 1006", 1002, text(closePayload(1006), { opcode: OPCODE.close })],
    ["Close 1015", 1002, text(closePayload(1015), { opcode: OPCODE.close })],
    ["Close 0", 1002, text(raw(0, 0), { opcode: OPCODE.close })],
    ["a Close of one byte", 1002, text(raw(3), { opcode: OPCODE.close })],
    [
      "a Close reason that is no UTF-8",
      1007,
      text(concat(closePayload(1000), raw(0xff)), { opcode: OPCODE.close }),
    ],
  ] as [string, number, Uint8Array][]).map(([name, server, bytes]): Misdeed => ({
    name,
    async act(hostile) {
      await sends(text("before"), bytes)(hostile);
      const code = await hostile.end();
      if (code !== server) throw new Error(`the server got Close ${code}, not ${server}`);
    },
    client: 1011,
    record: "upstream.protocol_error",
    texts: ["before"],
  })),

  // How it ends, or does not.
  {
    name: "the end without a Close",
    act: sends(text("before")),
    client: 1011,
    record: "upstream.lost",
    texts: ["before"],
  },
  {
    name: "a half-close",
    async act(h) {
      await sends(text("before"))(h);
      await h.conn.closeWrite();
      await h.end();
    },
    client: 1011,
    record: "upstream.lost",
    texts: ["before"],
  },
  { name: "the end inside a frame", act: sends(raw(0x82, 100, 1, 2)), client: 1006, record: "upstream.lost" },
  { name: "the end inside a header", act: sends(raw(0x82, 126, 1)), client: 1011, record: "upstream.lost" },
  {
    name: "bad UTF-8 in a frame of which a part has gone",
    async act(h) {
      await sends(concat(raw(0x81, 126, 0xff, 0xff), new Uint8Array(40_000).fill(0x61)))(h);
      await h.send(concat(raw(0xff), new Uint8Array(25_534).fill(0x61)));
      if (await h.end() !== 1007) throw new Error("the server was not told");
    },
    client: 1006,
    record: "upstream.protocol_error",
  },
  {
    name: "a Close, and frames after it",
    act: sends(text(closePayload(4000), { opcode: OPCODE.close }), text("after")),
    client: 4000,
    record: "none",
  },
  {
    name: "a Close without a code",
    act: sends(text("", { opcode: OPCODE.close })),
    client: 1005,
    record: "none",
  },
  {
    name: "Pongs that nobody asked for",
    act: sends(
      text("x", { opcode: OPCODE.pong }),
      text("", { opcode: OPCODE.pong }),
      text("after"),
      raw(0x88, 0),
    ),
    client: 1005,
    record: "none",
    texts: ["after"],
  },
  {
    name: "no answer to a Ping",
    async act(h) {
      await sends(text("before"))(h);
      while (await h.conn.read(new Uint8Array(1000)).catch(() => null) !== null);
    },
    isSilent: true,
    client: 1011,
    record: "upstream.lost",
    texts: ["before"],
  },
];
