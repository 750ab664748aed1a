// Shapes of input that cost too much if a parser looks at the same bytes again and again.

import { Buffer } from "node:buffer";
import { importKey } from "../../src/auth/jwk.ts";
import { KeySet } from "../../src/auth/key_set.ts";
import { parseStrictJson } from "../../src/core/strict_json.ts";
import { createVerifier } from "../../src/auth/token.ts";
import { readPresentation } from "../../src/endpoints/sessions/presentation.ts";
import { clientAddress } from "../../src/firewall/admission/forwarded_for.ts";
import { createNetworkSet } from "../../src/firewall/admission/network_set.ts";
import { parseProxyHeader } from "../../src/firewall/admission/proxy_protocol.ts";
import { createRequestRules, firstRefusal } from "../../src/firewall/admission/request_rules.ts";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { MessageReader } from "../../src/firewall/connection/message_reader.ts";
import { HEADROOM, PeerFrames } from "../../src/firewall/ways/peer_frames.ts";
import { SizeHistogram } from "../../src/telemetry/histogram.ts";
import { canBeRequest, checkHandshake, findHeadEnd, parseRequestHead } from "../../src/protocol/handshake.ts";
import { Utf8Validator } from "../../src/protocol/utf8.ts";
import { formatJsonLine, formatLine } from "../../src/telemetry/line.ts";
import { measureGrowth, type Measuring } from "../../tests/support/growth.ts";
import { concat, frame, OPCODE } from "../../tests/support/raw_client.ts";

/** How long the work on one input may hold the event loop, in milliseconds. */
export const MOST_MS = 20;

/** How many times larger the larger of two compared inputs is. */
const TIMES = 8;
/** How many times as much work the larger input may be; quadratic work would be 64 times as much. */
const MOST_TIMES = 24;

const HEAD_SIZE = 16 * 1024;
const TOKEN_SIZE = 8 * 1024;
const KEY_SET_SIZE = 256 * 1024;
const MESSAGE_SIZE = 2 ** 20;

/** One shape, in any size. */
export interface Shape {
  readonly name: string;
  /** The largest size that gets as far as this work: bytes or characters. */
  readonly mostSize: number;
  /** Makes an input of about this size, and returns the work on it. */
  readonly make: (size: number) => () => unknown;
}

/** All shapes that a stranger or an issuer may send. */
export const SHAPES: readonly Shape[] = [
  ...heads({
    "blanks inside a value": (size) => `A: a${" ".repeat(size)}b`,
    "blanks at both ends of a value": (size) => `A:${" \t".repeat(size / 4)}b${"\t ".repeat(size / 4)}`,
    "only blanks in a value": (size) => `A:${" ".repeat(size)}`,
    "many headers": (size) => Array.from({ length: size / 6 }, (_, i) => `h${i % 100}:`).join("\r\n"),
    "one header many times": (size) => Array.from({ length: size / 6 }, () => "h: v").join("\r\n"),
    "a header without a colon": (size) => "a".repeat(size),
    "a list of empty tokens": (size) => `Connection: ${",".repeat(size)}`,
    "a list of blanks": (size) => `Connection: ${", \t".repeat(size / 3)}`,
    "many tokens": (size) => `Upgrade: ${"websocket x,".repeat(size / 12)}`,
    "many subprotocols": (size) => `Sec-WebSocket-Protocol: ${"a, ".repeat(size / 3)}a`,
    "a subprotocol of blanks": (size) => `Sec-WebSocket-Protocol: a${" ".repeat(size)}b`,
    "a long key": (size) => `Sec-WebSocket-Key: ${"A".repeat(size)}`,
    "an origin of dots": (size) => `Origin: http://${"a.".repeat(size / 2)}!`,
    "an origin of letters": (size) => `Origin: http://${"a".repeat(size)}!`,
  }),
  {
    name: "head: breaks that end nothing",
    mostSize: HEAD_SIZE,
    make(size) {
      const bytes = encode("\r\n\r".repeat(size / 3));
      return () => findHeadEnd(bytes, 0, bytes.length);
    },
  },
  {
    name: "head: a byte at a time",
    mostSize: HEAD_SIZE,
    make(size) {
      const bytes = encode(`GET /${"a".repeat(size)} HTTP/1.1\r\n`);
      return () => {
        for (let end = 1; end <= bytes.length; end++) {
          canBeRequest(bytes, end - 1, end);
          findHeadEnd(bytes, end - 1, end);
        }
      };
    },
  },
  ...texts("X-Forwarded-For", HEAD_SIZE, {
    "commas": ",",
    "blanks": " ",
    "addresses": "127.0.0.1, ",
    "brackets": "[",
    "digits": "1",
  }, (text) => {
    const trusted = createNetworkSet(["127.0.0.0/8"]);
    return () => clientAddress("127.0.0.1", text, trusted);
  }),
  {
    name: "PROXY: a byte at a time",
    mostSize: 500,
    make(size) {
      const bytes = encode(`PROXY UNKNOWN ${"a".repeat(size)}`);
      return () => {
        for (let end = 1; end <= bytes.length; end++) parseProxyHeader(bytes, 0, end);
      };
    },
  },
  ...texts("strict JSON", KEY_SET_SIZE, {
    "blanks": " ",
    "brackets": "[",
    "empty lists": "[],",
    "names": '"a":1,',
    "escapes": "\\\\",
    "quotes": '"',
    "digits": "1",
    "minus signs": "-",
  }, (text) => {
    const inputs = [`{"a":${text}}`, `{"a":[${text}0]}`, `{"a":"${text}"}`, `{${text}"b":0}`].map(encode);
    return () => inputs.map((bytes) => parseStrictJson(bytes));
  }),
  {
    name: "strict JSON: many different names",
    mostSize: KEY_SET_SIZE,
    make(size) {
      const bytes = encode(`{${Array.from({ length: size / 12 }, (_, i) => `"name${i}":0`).join()}}`);
      return () => parseStrictJson(bytes);
    },
  },
  {
    name: "strict JSON: strings that collide",
    mostSize: KEY_SET_SIZE,
    make(size) {
      const strings = Array.from({ length: size / 12 }, (_, i) => `"${7000 + 32_768 * i}"`);
      const bytes = encode(`{"a":[${strings}]}`);
      return () => parseStrictJson(bytes);
    },
  },
  ...texts("token", TOKEN_SIZE, { "letters": "a", "dots": ".", "parts": "aa.", "dashes": "-" }, (text) => {
    const verifier = createVerifier(new KeySet([]));
    const tokens = [
      text,
      `a.${text}`,
      `${text}.a.a`,
      `${btoa(`{"alg":"HS256","x":"${text.slice(0, 5000)}"}`)}.a.a`,
    ];
    return () => Promise.all(tokens.map((token) => verifier.verify(token)));
  }),
  {
    name: "key: a large modulus",
    mostSize: KEY_SET_SIZE,
    make(size) {
      const key = { kty: "RSA", n: "A".repeat(Math.ceil(size / 4) * 4), e: "AQAB" };
      return () => importKey(key);
    },
  },
  ...texts(
    "query",
    HEAD_SIZE,
    { "pairs": "a=b&", "tokens": "jwt&", "percents": "%", "plus signs": "+" },
    (text) => {
      const request = new Request(`http://localhost/?${text}`);
      return () => readPresentation(request, { insecureTokenInQuery: true });
    },
  ),
  ...texts(
    "log",
    HEAD_SIZE,
    { "quotes": '"', "blanks": " ", "beginnings of tokens": "eyJ", "breaks": "\n" },
    (text) => {
      const record = {
        time: "",
        level: "info",
        event: "e",
        text: "t",
        fields: { detail: text, reason: `eyJ${text}.` },
      } as const;
      return () => [formatLine(record), formatJsonLine(record)];
    },
  ),
  {
    name: "UTF-8: text of two bytes each",
    mostSize: MESSAGE_SIZE,
    make(size) {
      const bytes = encode("\u00e9".repeat(size / 2));
      return () => new Utf8Validator().accepts(bytes, 0, bytes.length, 0x01020304);
    },
  },
  ...frames(
    "a text in pieces of a byte",
    (size) =>
      [...frame({ opcode: OPCODE.text, payload: "a".repeat(size) })].map((byte) => Uint8Array.of(byte)),
    8192,
  ),
  ...frames("empty fragments", (size) => [
    concat(
      frame({ opcode: OPCODE.text, fin: false }),
      ...Array<Uint8Array>(Math.floor(size / 6)).fill(frame({ opcode: OPCODE.continuation, fin: false })),
    ),
  ], 65_536),
  ...frames(
    "empty messages",
    (size) => [concat(...Array<Uint8Array>(Math.floor(size / 6)).fill(frame({ opcode: OPCODE.text })))],
    65_536,
  ),
];

/** Measures a shape. Returns the milliseconds at its largest size; throws if it takes too long or grows too fast. */
export async function checkGrowth({ name, mostSize, make }: Shape, measuring?: Measuring): Promise<number> {
  const smaller = make(Math.floor(mostSize / TIMES));
  const limits = { mostTimes: MOST_TIMES, mostMs: MOST_MS };
  const { largerMs, times } = await measureGrowth(smaller, make(mostSize), limits, measuring);
  const took = `${largerMs.toFixed(1)} ms`;
  if (times > MOST_TIMES) {
    throw new Error(`${name}: ${TIMES} times the size took ${times.toFixed(1)} times as long (${took})`);
  }
  if (largerMs > MOST_MS) throw new Error(`${name}: ${took}, at most ${MOST_MS}`);
  return largerMs;
}

function heads(lines: Readonly<Record<string, (size: number) => string>>): Shape[] {
  const rules = createRequestRules({
    paths: ["/"],
    isLoopbackListener: true,
    settings: {
      allowHost: [],
      allowOrigin: [],
      insecureAllowAnyOrigin: false,
      insecureAllowNullOrigin: false,
    },
  });
  return Object.entries(lines).map(([name, makeLine]) => ({
    name: `head: ${name}`,
    mostSize: HEAD_SIZE,
    make(size) {
      // All other lines are valid, so that every rule looks at this one.
      const others = [
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
      ];
      const line = makeLine(size - 200);
      const bytes = encode(
        ["GET / HTTP/1.1", ...others, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", line, "", ""].join(
          "\r\n",
        ),
      );
      return () => {
        const parsed = parseRequestHead(bytes, 0, findHeadEnd(bytes, 0, bytes.length));
        return parsed.ok ? [checkHandshake(parsed.head), firstRefusal(rules, parsed.head)] : parsed;
      };
    },
  }));
}

function texts(
  reader: string,
  mostSize: number,
  units: Readonly<Record<string, string>>,
  make: (text: string) => () => unknown,
): Shape[] {
  return Object.entries(units).map(([name, unit]) => ({
    name: `${reader}: ${name}`,
    mostSize,
    make: (size) => make(unit.repeat(size / unit.length)),
  }));
}

function frames(
  name: string,
  makePieces: (size: number) => readonly Uint8Array[],
  mostSize: number,
): Shape[] {
  const limits = { maxMessageSize: 2 ** 30, maxFragments: Infinity };
  const shape = (
    reader: string,
    read: (pieces: readonly Uint8Array[], check: FrameCheck) => void,
  ): Shape => ({
    name: `frames, ${reader}: ${name}`,
    mostSize,
    make(size) {
      const pieces = makePieces(size);
      return () => read(pieces, new FrameCheck(limits, new SizeHistogram()));
    },
  });
  return [
    shape("relayed", (pieces, check) => {
      const reader = new PeerFrames(check);
      let carry: Uint8Array = new Uint8Array(0);
      for (const piece of pieces) {
        const bytes = concat(new Uint8Array(HEADROOM), carry, piece);
        reader.inspect(bytes, HEADROOM, bytes.length);
        carry = bytes.subarray(reader.carryStart);
      }
    }),
    shape("served", (pieces, check) => {
      const reader = new MessageReader(check);
      let carry: Uint8Array = new Uint8Array(0);
      for (const piece of pieces) {
        const bytes = concat(carry, piece);
        reader.at = 0;
        while (reader.next(bytes, bytes.length) !== "nothing");
        carry = bytes.subarray(reader.at);
      }
    }),
  ];
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
